"""SYNTHETIC: what the recipient of a send does. The data hold no reactions; all here is invented.

A send command goes in; the store events that follow from it come out, each marked `"source":
"synthetic"`, named after the send and fixed by its id alone: the same command gets the same
reactions, whoever asks and however often. No order ever comes from here: orders are the data's.

Rates, over all recipients: opened 52.04 %, clicked 5.31 % (published averages of all flows of a
large provider, 2024); all others are guesses of the usual size, written out below.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from agents.demo.chance import between, happens, pick, throw
from agents.demo.devices import browser_of
from agents.demo.shop import Invoice, Line, StoreEvent
from agents.demo.synthetic import SOURCE, person
from schemas.outputs import SendCommand
from schemas.values import Instant, Millis
from streams.instants import HOUR, MINUTE, SECOND, to_instant, to_timestamp

OPENED_SHARE = 0.5204
CLICKED_SHARE = 0.0531
BAD_ADDRESS_SHARE = 0.004
"""Of the addresses: those that bounce hard, always."""
SOFT_BOUNCE_SHARE = 0.006
UNSUBSCRIBED_SHARE = 0.0025
SPAM_SHARE = 0.0003
SMS_CLICKED_SHARE = 0.08
SMS_STOP_SHARE = 0.01
LOOKED_SHARE = 0.7
"""Of the clicks: those after which a product is looked at."""
OPENED_AFTER_MAX: Millis = 60 * HOUR
"""Half of the opens come within the first sixteenth of it, under four hours."""


class Recipients:
    """Everybody a send can reach.

    customers: address -> customer number, for what is done in the shop after a click.
    products:  what may be looked at.
    """

    def __init__(self, customers: Mapping[str, str], products: Sequence[Line]) -> None:
        assert products, "something to look at"
        self._customers, self._products = customers, products

    def react(self, command: SendCommand) -> list[StoreEvent]:
        """Say what follows from this send, in the order of time."""
        reactions = self._to_sms(command) if command.channel == "sms" else self._to_email(command)
        return sorted(reactions, key=lambda event: (event["time"], event["id"]))

    def _to_email(self, command: SendCommand) -> Iterator[StoreEvent]:
        sent = to_instant(command.decided_at)
        received = sent + between(2 * SECOND, 90 * SECOND, "received", command.id)
        if happens(BAD_ADDRESS_SHARE, "bad address", command.address):
            yield _outcome(command, "Bounced Email", received, bounce="hard")
            return
        if happens(SOFT_BOUNCE_SHARE, "soft bounce", command.id):
            yield _outcome(command, "Bounced Email", received, bounce="soft")
            return
        yield _outcome(command, "Received Email", received)
        # One throw for all: who clicks has opened, who leaves has opened too.
        luck = throw("reads", command.id)
        if luck >= OPENED_SHARE:
            return
        opened = received + 10 * SECOND + _opened_after(command)
        yield _outcome(command, "Opened Email", opened)
        if luck < CLICKED_SHARE:
            clicked = opened + between(5 * SECOND, 4 * MINUTE, "clicked", command.id)
            yield self._clicked(command, "Clicked Email", clicked)
            yield from self._look(command, clicked)
        elif luck < CLICKED_SHARE + UNSUBSCRIBED_SHARE:
            left = opened + between(5 * SECOND, 2 * MINUTE, "left", command.id)
            yield _outcome(command, "Unsubscribed", left, channel="email", method="link")
        elif luck < CLICKED_SHARE + UNSUBSCRIBED_SHARE + SPAM_SHARE:
            yield _outcome(command, "Marked Email as Spam", opened + 20 * SECOND)

    def _to_sms(self, command: SendCommand) -> Iterator[StoreEvent]:
        sent = to_instant(command.decided_at)
        received = sent + between(1 * SECOND, 20 * SECOND, "received", command.id)
        yield _outcome(command, "Received SMS", received)
        luck = throw("reads", command.id)
        read = received + between(20 * SECOND, 90 * MINUTE, "read", command.id)
        if luck < SMS_CLICKED_SHARE:
            yield self._clicked(command, "Clicked SMS", read)
            yield from self._look(command, read)
        elif luck < SMS_CLICKED_SHARE + SMS_STOP_SHARE:
            yield _outcome(command, "Received SMS Reply", read, body="STOP")

    def _clicked(self, command: SendCommand, metric: str, at: Instant) -> StoreEvent:
        """A click names the browser that it opens: so that becomes known."""
        event = _outcome(command, metric, at)
        customer = self._customers.get(command.address)
        if customer is not None:
            event["profile"]["anonymous_id"] = browser_of(customer, command.id)
        return event

    def _look(self, command: SendCommand, clicked: Instant) -> Iterator[StoreEvent]:
        """A look around the shop, in the browser that the click has opened."""
        customer = self._customers.get(command.address)
        if customer is None or not happens(LOOKED_SHARE, "looks", command.id):
            return
        line = pick(self._products, "looked at", command.id)
        at = clicked + between(10 * SECOND, 3 * MINUTE, "looked", command.id)
        yield {
            "id": f"{command.id}-viewed-product",
            "metric": "Viewed Product",
            "time": to_timestamp(at),
            "profile": {"anonymous_id": browser_of(customer, command.id)},
            "trust": "client",
            "properties": {
                "product_id": line.product_id,
                "name": line.name or "",
                "price": line.price,
            },
            "source": SOURCE,
        }


def recipients_of(invoices: Iterable[Invoice]) -> Recipients:
    """The recipients behind these invoices; they look at products of the first two hundred."""
    customers: dict[str, str] = {}
    products: dict[str, Line] = {}
    for place, invoice in enumerate(invoices):
        if invoice.customer is not None:
            who = person(invoice.customer, invoice.country)
            customers[who.email] = invoice.customer
            if who.phone is not None:
                customers[who.phone] = invoice.customer
        if place < 200:
            for line in invoice.lines:
                if line.quantity > 0 and line.price != "0.00":
                    products.setdefault(line.product_id, line)
    return Recipients(customers, list(products.values()))


def _opened_after(command: SendCommand) -> Millis:
    """Mostly soon, sometimes days later: the fourth power of a throw, so no logarithm is needed
    (its last digit differs between machines).
    """
    luck = throw("opened", command.id)
    return int(luck * luck * luck * luck * OPENED_AFTER_MAX)


def _outcome(command: SendCommand, metric: str, at: Instant, **more: Any) -> StoreEvent:
    """An event that names its send, carries its address and has an id of its own."""
    kind = "phone" if command.channel == "sms" else "email"
    named = {"send_id": command.id, "profile_id": command.profile_id, "message": command.message}
    if command.flow is not None:
        named["flow"] = command.flow
    return {
        "id": f"{command.id}-{metric.lower().replace(' ', '-')}",
        "metric": metric,
        "time": to_timestamp(at),
        "profile": {kind: command.address},
        "properties": named | more,
        "source": SOURCE,
    }
