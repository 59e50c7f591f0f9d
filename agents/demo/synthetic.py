"""SYNTHETIC: all that this module makes is invented. The data hold none of it.

The data know what was ordered, when, by which customer number, from which country. They know no
address, name, phone, consent, visit, cart or checkout; without these there is nothing to send and
nobody to send it to. Each event made here says `"source": "synthetic"` and is derived from an
invoice by a seeded hash of its ids (agents/demo/chance.py): the same on every machine.

What the store itself says (accounts, consent, checkouts) names the customer, or the guest's cart,
of the order it was derived from. What a customer does in a browser (views, carts) names the browser
alone (agents/demo/devices.py), as a client says it; an account and a checkout name both, and so the
browser becomes known. Rules and shares: docs/demo.md. When a record arrives is invented too
(`arrives`), for real orders as for synthetic events: the data have one time only.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from agents.demo.chance import between, happens, pick
from agents.demo.devices import browser_of, seen_at
from agents.demo.shop import (
    CURRENCY,
    PLACED_ORDER,
    Invoice,
    Line,
    StoreEvent,
    to_item,
)
from schemas.values import Instant
from streams.instants import DAY, HOUR, MINUTE, SECOND, to_instant, to_timestamp
from streams.money import to_micros, to_money

SOURCE = "synthetic"

SUBSCRIBED_SHARE = 0.70
"""Of the customers: those who say yes to e-mail."""
EARLY_SHARE = 0.30
"""Of the customers: those who sign up days before their first order instead of at it."""
SMS_SHARE = 0.60
"""Of those with a phone: those who say yes to SMS."""
FIRST_LOOK_SHARE = 0.40
"""Of the customers: those who look around, nameless, days before their first order."""
ABANDONED_SHARE = 0.60
"""After this share of the orders, a later checkout is left standing."""
BROWSING_SHARE = 0.60
"""After this share of the orders, a later visit ends without a cart."""
LATE_SHARE = 0.01
"""Of all records, real orders included: those that arrive minutes to hours late."""
ITEMS_MAX = 5
"""A checkout names so many items at most; its value and `items_count` are those of all."""

GIVEN_NAMES = """
Ada Alan Amara Anna Arthur Beatrix Ben Carla Clara Conor Dora Edith Elias Emma Erik Fay
Felix Finn Grace Greta Hana Harry Helen Ida Ivo Jack Jane Jonas Kate Lena Leo Lily Louis
Mara Max Maya Mira Nadia Nell Nina Noah Nora Olga Oscar Otto Paul Pia Quinn Rhea Robin
Rosa Sam Sara Silas Sofia Stella Theo Tilda Tom Uma Vera Viktor Wendy Will Yara Zoe
""".split()  # noqa: SIM905
FAMILY_NAMES = """
Abbot Archer Baker Barnes Becker Bell Bishop Brook Carter Chandler Clarke Cook Cooper Dale
Draper Dyer Field Fischer Fletcher Ford Foster Gardener Glover Green Hale Harper Hill
Hunter Keller Lake Lane Marsh Mason Meadow Meyer Miller Moss Palmer Parker Piper Porter
Potter Reed Rivers Sawyer Schmidt Shepherd Singer Skinner Slater Smith Stone Tanner Taylor
Thatcher Turner Wagner Walker Ward Weaver Webb West Wood Wright
""".split()  # noqa: SIM905
DOMAINS = ("example.com", "example.net", "example.org")
"""Reserved for documentation (RFC 2606): no mail sent there reaches anybody."""

PHONE_EVERY = 6
PHONE_FIRST = 12_346 // PHONE_EVERY
"""Customer numbers run from 12,346 to 18,287: every sixth of them fits into 991 numbers."""


KEYS = ("external_id", "anonymous_id", "cart_token")
"""What an arrival is keyed by: the first of these that it names."""


class Arrival(NamedTuple):
    """A store event and when the broker gets it. key: its person's, so that their order is kept."""

    received_at: Instant
    key: str
    event: StoreEvent


class Person(NamedTuple):
    """An invented person behind a real customer number."""

    external_id: str
    first_name: str
    last_name: str
    email: str
    phone: str | None


def person(external_id: str, country: str) -> Person:
    """Invent the person behind a customer number: always the same one."""
    first = pick(GIVEN_NAMES, "first name", external_id)
    last = pick(FAMILY_NAMES, "last name", external_id)
    domain = pick(DOMAINS, "domain", external_id)
    email = f"{first}.{last}.{external_id}@{domain}".lower()
    return Person(external_id, first, last, email, phone_of(external_id, country))


def phone_of(external_id: str, country: str) -> str | None:
    """A number from 07700 900000 to 900999: Ofcom's range for drama, nobody's, a thousand numbers.

    An address belongs to one person, so numbers must not run out: every sixth customer number has
    one, and its place among the sixths is the number. Only British customers.
    """
    number = int(external_id)
    if country != "United Kingdom" or number % PHONE_EVERY:
        return None
    place = number // PHONE_EVERY - PHONE_FIRST
    assert 0 <= place < 1000, "customer numbers run from 12,346 to 18,287"
    return f"+447700900{place:03d}"


def invent(invoices: Iterable[Invoice], *, since: Instant, until: Instant) -> Iterator[Arrival]:
    """Invent what surrounds these invoices; nothing that happens before `since` or from `until` on.

    invoices: oldest first.
    """
    first, last = to_timestamp(since), to_timestamp(until)
    for event in _invented(invoices, since=since, until=until):
        if first <= event["time"] < last:
            yield arrives(event)


def _invented(
    invoices: Iterable[Invoice], *, since: Instant, until: Instant
) -> Iterator[StoreEvent]:
    orders: dict[str, list[Invoice]] = {}
    for invoice in invoices:
        if invoice.customer is not None and invoice.customer not in orders:
            yield from _signing_up(invoice, since=since)
            orders[invoice.customer] = []
        if invoice.metric != PLACED_ORDER:
            continue
        yield from _shopping(invoice)
        if invoice.customer is not None:
            orders[invoice.customer].append(invoice)
    for placed in orders.values():
        for order, later in pairwise([*placed, None]):
            assert order is not None, "only the last of the pairs ends in None"
            yield from _leaving(order, before=until if later is None else later.placed_at)


def arrives(event: StoreEvent) -> Arrival:
    """Say when a store event arrives: within seconds, or late for a small share of them."""
    identifiers = event["profile"]
    kind = next(one for one in KEYS if one in identifiers)
    delay = between(200, 4 * SECOND, "delay", event["id"])
    if happens(LATE_SHARE, "late", event["id"]):
        delay = between(5 * MINUTE, 6 * HOUR, "lateness", event["id"])
    return Arrival(_time(event) + delay, f"{kind}/{identifiers[kind]}", event)


def _time(event: StoreEvent) -> Instant:
    return to_instant(event["time"])


def _event(
    id: str,  # noqa: A002
    metric: str,
    at: Instant,
    invoice: Invoice,
    properties: dict[str, Any],
    **more: Any,
) -> StoreEvent:
    kind, value = invoice.identifier
    return _said(id, metric, at, {kind: value, **more.pop("profile", {})}, properties, **more)


def _in_browser(
    id: str,  # noqa: A002
    metric: str,
    at: Instant,
    profile: dict[str, str],
    properties: dict[str, Any],
    **more: Any,
) -> StoreEvent:
    """What a client says."""
    return _said(id, metric, at, profile, properties, trust="client", **more)


def _said(
    id: str,  # noqa: A002
    metric: str,
    at: Instant,
    profile: dict[str, Any],
    properties: dict[str, Any],
    **more: Any,
) -> StoreEvent:
    return {
        "id": id,
        "metric": metric,
        "time": to_timestamp(at),
        "profile": profile,
        "properties": properties,
        **more,
        "source": SOURCE,
    }


def _signing_up(first: Invoice, *, since: Instant) -> Iterator[StoreEvent]:
    """A look around, an account, and for a share of the customers consent, before or at their first
    invoice.
    """
    assert first.customer is not None
    who = person(first.customer, first.country)
    if happens(FIRST_LOOK_SHARE, "first look", who.external_id) and first.metric == PLACED_ORDER:
        key = f"{who.external_id}-first"
        before = between(1 * DAY, 20 * DAY, "first look", who.external_id)
        count = between(1, 2, "views", key)
        yield from _views(first, key, first.placed_at - before, count=count)
    if happens(EARLY_SHARE, "early", who.external_id):
        before = between(1 * DAY, 20 * DAY, "sign-up", who.external_id)
    else:
        before = between(2 * MINUTE, 40 * MINUTE, "sign-up", who.external_id)
    at = first.placed_at - before
    if at < since:
        at = since + between(1 * MINUTE, 6 * HOUR, "sign-up at the start", who.external_id)
    address = {"email": who.email} | ({"phone": who.phone} if who.phone else {})
    browser = {"anonymous_id": browser_of(who.external_id, "account")}
    names = {"first_name": who.first_name, "last_name": who.last_name}
    yield _event(
        f"account-{who.external_id}",
        "Identify",
        at,
        first,
        {},
        profile=address | browser | {"traits": names},
    )
    if happens(SUBSCRIBED_SHARE, "subscribed", who.external_id):
        said = {"channel": "email", "method": "checkout"}
        id = f"subscribed-email-{who.external_id}"  # noqa: A001
        yield _event(id, "Subscribed", at + 5 * SECOND, first, said, profile={"email": who.email})
    if who.phone and happens(SMS_SHARE, "subscribed to sms", who.external_id):
        said = {"channel": "sms", "method": "checkout"}
        id = f"subscribed-sms-{who.external_id}"  # noqa: A001
        yield _event(id, "Subscribed", at + 5 * SECOND, first, said, profile={"phone": who.phone})


def _shopping(order: Invoice) -> Iterator[StoreEvent]:
    """The visit that ended in this real order: products seen, put into the cart, checked out."""
    key = order.number
    ended = order.placed_at - between(1 * MINUTE, 9 * MINUTE, "checkout", key)
    yield from _visit(order, key, ended, views=between(1, 3, "views", key))


def _leaving(order: Invoice, *, before: Instant) -> Iterator[StoreEvent]:
    """Visits after this order that ended in none: a checkout left standing, a look around."""
    if happens(ABANDONED_SHARE, "abandons", order.number):
        at = _some_day(order, "abandoned")
        if at < before:
            yield from _visit(order, f"{order.number}-left", at, views=1)
    if happens(BROWSING_SHARE, "browses", order.number):
        at = _some_day(order, "browsed")
        if at < before:
            key = f"{order.number}-look"
            yield from _views(order, key, at, count=between(1, 2, "views", key))


def _some_day(order: Invoice, what: str) -> Instant:
    """1 to 40 days after the order, at 7 to 22 o'clock UTC."""
    midnight = order.placed_at - order.placed_at % DAY
    days = between(1, 40, f"{what} days", order.number)
    return midnight + days * DAY + between(7 * HOUR, 22 * HOUR, f"{what} hour", order.number)


def _visit(order: Invoice, key: str, ended: Instant, *, views: int) -> Iterator[StoreEvent]:
    """Views, carts and the checkout at `ended`, of the products of this order: in one browser, and
    the checkout names it.
    """
    yield from _views(order, key, ended - 12 * MINUTE, count=views)
    lines = _lines(order)
    seen = seen_at(order, key)
    for n in range(between(1, 2, "carts", key)):
        line = pick(lines, "cart", key, n)
        at = ended - between(1 * MINUTE, 11 * MINUTE, "cart at", key, n)
        yield _in_browser(
            f"cart-{key}-{n}",
            "Added to Cart",
            at,
            seen,
            to_item(line),
            **_amount([line]),
        )
    properties = {
        "checkout_id": f"checkout-{key}",
        "items": [to_item(line) for line in lines[:ITEMS_MAX]],
        "items_count": len(lines),
    }
    yield _event(
        f"checkout-{key}",
        "Started Checkout",
        ended,
        order,
        properties,
        profile=seen,
        **_amount(lines),
    )


def _views(order: Invoice, key: str, until: Instant, *, count: int) -> Iterator[StoreEvent]:
    lines = _lines(order)
    seen = seen_at(order, key)
    for n in range(count):
        line = pick(lines, "view", key, n)
        at = until - between(0, 30 * MINUTE, "view at", key, n)
        product = {"product_id": line.product_id, "name": line.name or "", "price": line.price}
        yield _in_browser(f"view-{key}-{n}", "Viewed Product", at, seen, product)


def _lines(order: Invoice) -> list[Line]:
    """The lines with goods and a price: a visitor cannot put a correction into a cart."""
    priced = [x for x in order.lines if x.quantity > 0 and x.price != "0.00"]
    assert priced, "a positive total has a line with goods and a price"
    return priced


def _amount(lines: Iterable[Line]) -> dict[str, str]:
    total = sum((Decimal(line.price) * line.quantity for line in lines), Decimal(0))
    return {"value": to_money(to_micros(total)), "currency": CURRENCY}
