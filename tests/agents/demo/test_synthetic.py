"""What is invented: marked, fixed, harmless."""

from collections import Counter
from functools import cache
from hashlib import sha256
from typing import Any

import msgspec
import orjson
import pytest

from agents.demo.chance import between, happens, pick, sample, throw
from agents.demo.log import SINCE, arrivals, invoices_until
from agents.demo.recipients import Recipients, recipients_of
from agents.demo.shop import Invoice, StoreEvent
from agents.demo.synthetic import DOMAINS, Arrival, invent, person, phone_of
from schemas.outputs import SendCommand
from streams.instants import DAY, MINUTE, to_instant, to_timestamp

UNTIL = to_instant("2010-12-15T00:00:00Z")

# The same on every machine, in every version: changed on purpose only.
FINGERPRINT_OF_TWO_WEEKS = "1dbe2f4a8b6c05f3e4f1acc87edf95d7758628b669bc30d80992f788a90120e3"
FINGERPRINT_OF_REACTIONS = "ce9eb25c463f62a3cae6e2039933a055fd24f9ed5048a994b1d1e9a1ee744e58"
FIXED_THROW = "2001-08-08T20:08:15.232Z"


@cache
def invoices() -> list[Invoice]:
    return invoices_until(UNTIL)


@cache
def invented() -> list[Arrival]:
    return list(invent(invoices(), since=SINCE, until=UNTIL))


@cache
def recipients() -> Recipients:
    return recipients_of(invoices())


def fingerprint(events: list[StoreEvent]) -> str:
    return sha256(orjson.dumps(events)).hexdigest()


def command(n: int, channel: str = "email") -> SendCommand:
    facts: dict[str, Any] = {
        "id": f"s{n}",
        "store": "main",
        "profile_id": f"i{n}",
        "channel": channel,
        "address": f"nobody.{n}@example.com" if channel == "email" else "+447700900001",
        "template": "welcome",
        "flow": "welcome",
        "flow_run_id": "r1",
        "message": "welcome-1",
        "variant": None,
        "attempt": 0,
        "transactional": False,
        "context": {},
        "unsubscribe_token": "t",
        "postal_address": "x",
        "decided_at": "2011-03-01T10:00:00.000Z",
        "valid_until": "2011-03-01T10:10:00.000Z",
    }
    return SendCommand(**facts)


def reactions(count: int, channel: str = "email") -> list[StoreEvent]:
    return [event for n in range(count) for event in recipients().react(command(n, channel))]


def test_the_same_year_is_invented_every_time() -> None:
    again = list(invent(invoices(), since=SINCE, until=UNTIL))
    assert again == invented()
    assert fingerprint([one.event for one in invented()]) == FINGERPRINT_OF_TWO_WEEKS


def test_every_invented_event_says_that_it_is_synthetic_and_has_an_id_of_its_own() -> None:
    events = [one.event for one in invented()] + reactions(200)
    assert {event["source"] for event in events} == {"synthetic"}
    ids = [event["id"] for event in events]
    assert len(ids) == len(set(ids))


def test_all_addresses_are_reserved_ones() -> None:
    people = [person(str(n), "United Kingdom") for n in range(12_346, 18_288)]
    assert len({who.email for who in people}) == len(people)
    assert all(who.email.rpartition("@")[2] in DOMAINS for who in people)
    assert {"example.com", "example.net", "example.org"} == set(DOMAINS)
    phones = [who.phone for who in people if who.phone is not None]
    assert len(phones) == len(set(phones)) > 900, "a number belongs to one person"
    assert all(phone.startswith("+447700900") and len(phone) == 13 for phone in phones)
    assert phone_of("12348", "France") is None


def test_nobody_who_does_not_exist_shops_and_no_guest_gets_a_name() -> None:
    real = {invoice.identifier for invoice in invoices()}
    customers = {name for kind, name in real if kind == "external_id"}
    for arrival in invented():
        profile = arrival.event["profile"]
        named = {(kind, profile[kind]) for kind in ("external_id", "cart_token") if kind in profile}
        assert named <= real
        assert "cart_token" not in profile or profile.keys() == {"cart_token"}
        browser = profile.get("anonymous_id", "browser-shared-")
        assert browser.startswith("browser-shared-") or browser.split("-")[1] in customers


def test_views_and_carts_name_the_browser_alone_and_an_account_or_a_checkout_says_whose_it_is() -> (
    None
):
    browsers: dict[str, set[str]] = {}
    for event in (one.event for one in invented()):
        if event["metric"] in ("Viewed Product", "Added to Cart"):
            assert event["trust"] == "client"
            assert event["profile"].keys() in ({"anonymous_id"}, {"cart_token"})
        elif event["metric"] in ("Identify", "Started Checkout"):
            assert "trust" not in event
            if "external_id" in event["profile"]:
                browser, who = (event["profile"][k] for k in ("anonymous_id", "external_id"))
                browsers.setdefault(who, set()).add(browser)
    people = len(browsers)
    assert people > 300
    assert 0.1 < sum(len(used) > 1 for used in browsers.values()) / people < 0.4, "two browsers"
    users = Counter(one for used in browsers.values() for one in used)
    shared = {browser for browser, count in users.items() if count > 1}
    assert shared
    assert all(browser.startswith("browser-shared-") for browser in shared)


def test_a_checkout_comes_before_its_order_and_is_lean() -> None:
    checkouts = {
        one.event["id"]: one.event
        for one in invented()
        if one.event["metric"] == "Started Checkout"
    }
    ordered = [one for one in invoices() if one.metric == "Placed Order" and one.placed_at < UNTIL]
    for order in ordered:
        checkout = checkouts[f"checkout-{order.number}"]
        assert 0 < order.placed_at - to_instant(checkout["time"]) < 10 * MINUTE
        assert len(checkout["properties"]["items"]) <= 5
    assert len(checkouts) > len(ordered), "some are left standing"


def test_a_small_share_arrives_late_and_none_before_it_happened() -> None:
    delays = [one.received_at - to_instant(one.event["time"]) for one in invented()]
    assert min(delays) > 0
    assert 0.005 < sum(delay > 4 * MINUTE for delay in delays) / len(delays) < 0.02


def test_a_short_log_begins_as_the_long_one_does() -> None:
    week = SINCE + 7 * DAY
    short = arrivals(invoices_until(week), since=SINCE, until=week)
    long = arrivals(invoices(), since=SINCE, until=UNTIL)
    assert short == [record for record in long if record.received_at < week]
    assert long == sorted(long)


# --- recipients ----------------------------------------------------------------------------------


def test_a_command_gets_the_same_reactions_whoever_asks() -> None:
    assert reactions(300) == reactions(300)
    assert recipients_of(invoices()).react(command(7)) == recipients().react(command(7))
    assert fingerprint(reactions(300)) == FINGERPRINT_OF_REACTIONS


def test_recipients_react_as_often_as_published() -> None:
    count = 20_000
    metrics = Counter(event["metric"] for event in reactions(count))
    share = {metric: number / count for metric, number in metrics.items()}
    assert share["Opened Email"] == pytest.approx(0.5204, abs=0.01)
    assert share["Clicked Email"] == pytest.approx(0.0531, abs=0.005)
    assert share["Received Email"] == pytest.approx(0.99, abs=0.005)
    assert share["Bounced Email"] == pytest.approx(0.01, abs=0.003)
    assert 0.001 < share["Unsubscribed"] < 0.004
    assert "Placed Order" not in metrics, "orders are the data's"


def test_a_reaction_names_its_send_and_comes_after_it() -> None:
    for n in range(300):
        for event in recipients().react(command(n)):
            assert event["time"] > command(n).decided_at
            if event["metric"] == "Viewed Product":
                continue
            assert event["properties"]["send_id"] == f"s{n}"
            assert event["properties"]["profile_id"] == f"i{n}"
            assert event["profile"]["email"] == command(n).address


def test_who_clicks_looks_around_in_the_browser_that_the_click_names() -> None:
    customer = next(one for one in invoices() if one.customer is not None)
    assert customer.customer is not None
    address = person(customer.customer, customer.country).email
    sent = [msgspec.structs.replace(command(n), address=address) for n in range(500)]
    events = [event for one in sent for event in recipients().react(one)]
    clicked = [event["profile"] for event in events if event["metric"] == "Clicked Email"]
    looks = [event for event in events if event["metric"] == "Viewed Product"]
    assert looks
    assert all(one["email"] == address for one in clicked)
    assert all(look["profile"].keys() == {"anonymous_id"} for look in looks)
    assert {look["profile"]["anonymous_id"] for look in looks} <= {
        one["anonymous_id"] for one in clicked
    }


def test_a_text_is_answered_by_phone_and_stop_is_a_reply() -> None:
    events = reactions(2_000, "sms")
    replies = [event for event in events if event["metric"] == "Received SMS Reply"]
    assert 5 < len(replies) < 50
    assert {event["properties"]["body"] for event in replies} == {"STOP"}
    assert {
        frozenset(event["profile"]) for event in events if "send_id" in event["properties"]
    } == {frozenset({"phone"})}


# --- chance --------------------------------------------------------------------------------------


def test_chance_is_even_and_fixed() -> None:
    throws = [throw("test", n) for n in range(10_000)]
    assert sum(throws) / len(throws) == pytest.approx(0.5, abs=0.02)
    assert {between(1, 3, "test", n) for n in range(100)} == {1, 2, 3}
    assert {pick("abc", "test", n) for n in range(100)} == set("abc")
    assert sum(happens(0.25, "test", n) for n in range(10_000)) == pytest.approx(2500, abs=200)
    ids = [f"s{n}" for n in range(5_000)]
    assert len(sample(ids, 1_000, "smtp")) == 1_000
    assert sample(ids, 1_000, "smtp") == sample(reversed(ids), 1_000, "smtp")
    assert sample(ids[:5], 1_000, "smtp") == set(ids[:5])
    assert to_timestamp(int(throw("fixed", 1) * 10**12)) == FIXED_THROW
