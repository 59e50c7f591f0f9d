"""Whether a planned send is delivered, held or dropped: the gates, in their order.

In: a planned send and what stands for or against it. Out: one decision with all its reasons; the
first gate that objects names the reason. Nothing here changes anything.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from schemas.definitions import Hours, Send
from schemas.outputs import Evidence
from schemas.values import Channel, FlowId, FlowRunId, Instant, Millis, SendId
from streams.flows.waits import end_of, is_within, next_start
from streams.instants import DAY, MINUTE

VALID_FOR: Millis = 10 * MINUTE
"""How long a marketing command may travel, unless its step says more."""

PATIENCE_DEFAULT: Millis = DAY
_TURNS_MAX = 16

PROFILE_ERASED = "profile-erased"
STOPPED = "stopped"
NO_ADDRESS = "no-address"
SUPPRESSED = "suppressed"
NO_CONSENT = "no-consent"
CART_TEXT_NOT_CONFIRMED = "cart-text-not-confirmed"
CART_TEXT_LATE = "cart-text-late"
CART_TEXT_REPEATED = "cart-text-repeated"
NO_POSTAL_ADDRESS = "no-postal-address"
FLOW_FILTER = "flow-filter"
SEND_FILTER = "send-filter"
HOLDOUT = "holdout"
DUPLICATE = "duplicate"
SMART_SENDING = "smart-sending"
SMART_SENDING_ACROSS = "smart-sending-across"
FREQUENCY_CAP = "frequency-cap"
QUIET_HOURS = "quiet-hours"
SEND_WINDOW = "send-window"
PATIENCE = "patience"
EXPIRED = "expired"


class PlannedSend(NamedTuple):
    """A send that a flow run wants to make now.

    address: None where the profile has none on this channel. held_since: of the first hold.
    """

    id: SendId
    flow: FlowId
    run_id: FlowRunId
    step: Send
    address: str | None
    attempt: int
    held_since: Instant | None

    @property
    def channel(self) -> Channel:
        return self.step.channel


class Standing(NamedTuple):
    """What stands for or against a send to this profile.

    stopped: the store has stopped such sends.
    consented: to marketing; of a transactional send: has not denied such.
    cart_text: which rule of texts about carts stands against it, None: none.
    passes_flow, passes_send: the filters of the flow and of the send hold.
    smart_until, across_until: ends of the windows in force at earlier sends, 0: none.
    capped: a frequency cap is reached. quiet: quiet hours of the channel; quiet_in: the zones in
    which the profile may live: it is quiet if it is in any of them. zone: of the send's window.
    evidence: of the filters that do not hold; found: reason -> what the gate saw, as short text.
    """

    erased: bool
    stopped: bool
    suppressed: bool
    consented: bool
    cart_text: str | None
    has_postal_address: bool
    passes_flow: bool
    passes_send: bool
    held_out: bool
    sent_before: bool
    smart_until: Instant
    across_until: Instant
    capped: bool
    quiet: Hours | None
    quiet_in: tuple[ZoneInfo, ...]
    zone: ZoneInfo
    evidence: tuple[Evidence, ...] = ()
    found: Mapping[str, str] = MappingProxyType({})

    def explain(self, reasons: tuple[str, ...]) -> tuple[Evidence, ...]:
        """What was found behind these reasons."""
        return self.evidence + tuple(
            Evidence(leaf=reason, holds=False, value=self.found[reason])
            for reason in reasons
            if reason in self.found
        )


class Deliver(NamedTuple):
    """Write the command. valid_until is later than now."""

    valid_until: Instant


class Hold(NamedTuple):
    """Ask all gates again at `until`, which is later than now."""

    until: Instant
    reasons: tuple[str, ...]


class Drop(NamedTuple):
    reasons: tuple[str, ...]


Decision: TypeAlias = Deliver | Hold | Drop


def decide(planned: PlannedSend, standing: Standing, *, now: Instant) -> Decision:
    """Decide what becomes of a planned send.

    All gates are asked, in the order of the design, so a person sees every reason; one that drops
    wins over one that holds. A held send that has waited for its step's patience is dropped.
    """
    drops = _drops(planned, standing, now)
    holds = _holds(planned, standing, now)
    if drops:
        return Drop((*drops, *holds))
    if not holds:
        return Deliver(_valid_until(planned, standing, now))
    if QUIET_HOURS in holds and planned.step.quiet_hours == "drop":
        return Drop(holds)
    held_since = now if planned.held_since is None else planned.held_since
    deadline = held_since + planned.step.patience
    if now >= deadline:
        return Drop((*holds, PATIENCE))
    until = _free_at(planned, standing, now)
    return Hold(deadline if until is None else min(until, deadline), holds)


def _drops(planned: PlannedSend, standing: Standing, now: Instant) -> list[str]:
    marketing = not planned.step.transactional
    smart = marketing and planned.step.smart_sending
    gates = (
        (PROFILE_ERASED, standing.erased),
        (STOPPED, standing.stopped),
        (NO_ADDRESS, planned.address is None),
        (SUPPRESSED, standing.suppressed),
        (NO_CONSENT, not standing.consented),
        (standing.cart_text or "", standing.cart_text is not None),
        (NO_POSTAL_ADDRESS, _needs_postal_address(planned) and not standing.has_postal_address),
        (FLOW_FILTER, not standing.passes_flow),
        (SEND_FILTER, not standing.passes_send),
        (HOLDOUT, marketing and standing.held_out),
        (DUPLICATE, standing.sent_before),
        (SMART_SENDING, smart and standing.smart_until > now),
        (SMART_SENDING_ACROSS, smart and standing.across_until > now),
        (FREQUENCY_CAP, marketing and standing.capped),
    )
    return [reason for reason, objects in gates if objects]


def _holds(planned: PlannedSend, standing: Standing, now: Instant) -> tuple[str, ...]:
    reasons = []
    if _quiet_until(planned, standing, now) > now:
        reasons.append(QUIET_HOURS)
    window = planned.step.window
    if window is not None and not is_within(window, now, standing.zone):
        reasons.append(SEND_WINDOW)
    return tuple(reasons)


def _needs_postal_address(planned: PlannedSend) -> bool:
    return planned.step.channel == "email" and not planned.step.transactional


def _quiet(planned: PlannedSend, standing: Standing) -> Hours | None:
    step = planned.step
    return None if step.transactional or step.quiet_hours == "ignore" else standing.quiet


def _quiet_until(planned: PlannedSend, standing: Standing, at: Instant) -> Instant:
    """When it is over wherever it is quiet at `at`; `at` where it is quiet nowhere."""
    quiet = _quiet(planned, standing)
    if quiet is None:
        return at
    return max((end_of(quiet, at, zone) for zone in standing.quiet_in), default=at)


def _free_at(planned: PlannedSend, standing: Standing, now: Instant) -> Instant | None:
    """The first instant that neither quiet hours nor the send's window object to; None: there is
    none within some days.
    """
    window, zone = planned.step.window, standing.zone
    at = now
    for _ in range(_TURNS_MAX):
        if (quiet_until := _quiet_until(planned, standing, at)) > at:
            at = quiet_until
        elif window is not None and not is_within(window, at, zone):
            start = next_start(window, at, zone)
            if start is None:
                return None
            at = start
        else:
            assert at > now, "nothing held the send"
            return at
    return None


def _valid_until(planned: PlannedSend, standing: Standing, now: Instant) -> Instant:
    """The end of the allowed hours or of the step's patience, for marketing 10 minutes unless the
    step names a patience of its own.
    """
    step = planned.step
    marketing = not step.transactional
    said = step.patience != PATIENCE_DEFAULT
    until = now + (VALID_FOR if marketing and not said else max(step.patience, MINUTE))
    if (quiet := _quiet(planned, standing)) is not None:
        starts = (next_start(quiet, now, zone) for zone in standing.quiet_in)
        until = min([until, *(start for start in starts if start is not None)])
    if step.window is not None:
        until = min(until, end_of(step.window, now, standing.zone))
    assert until > now, "a command that is too late when it is written"
    return until
