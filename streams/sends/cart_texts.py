"""Texts about carts that somebody left, to numbers of the United States: rules of their own.

One text a cart, within 48 hours, and only to who has confirmed a subscription. They hold for
marketing in flows that a checkout or an addition to a cart starts.
"""

from typing import Final

from schemas.records import AddressState
from schemas.rows import FlowRun, ProfileRow, Trigger
from schemas.values import Instant, Millis
from streams.consent.phones import region_of
from streams.consent.state import is_confirmed
from streams.instants import HOUR
from streams.sends.gates import (
    CART_TEXT_LATE,
    CART_TEXT_NOT_CONFIRMED,
    CART_TEXT_REPEATED,
    PlannedSend,
)

CART_METRICS: Final = frozenset({"Added to Cart", "Started Checkout"})
WITHIN: Final[Millis] = 48 * HOUR


def cart_of(trigger: Trigger) -> str:
    """The cart that a run is about: its token, else the event that started the run."""
    tokens = (value for kind, value in trigger.identifiers if kind == "cart_token")
    return next(tokens, trigger.event_id)


def cart_objection(
    row: ProfileRow, run: FlowRun, planned: PlannedSend, state: AddressState | None, now: Instant
) -> str | None:
    """The first of these rules that stands against the text; None: none."""
    trigger, address = run.trigger, planned.address
    if (
        planned.channel != "sms"
        or planned.step.transactional
        or trigger.metric not in CART_METRICS
        or address is None
        or region_of(address) != "US"
    ):
        return None
    if not is_confirmed(state):
        return CART_TEXT_NOT_CONFIRMED
    if now - trigger.occurred_at > WITHIN:
        return CART_TEXT_LATE
    cart = cart_of(trigger)
    repeated = any(sent.cart == cart and not sent.transactional for sent in row.sent)
    return CART_TEXT_REPEATED if repeated else None
