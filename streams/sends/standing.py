"""What a profile's row says for or against a planned send, and what it remembers of one made."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.definitions import FrequencyCap, StoreSettings
from schemas.outputs import Evidence
from schemas.records import Stop
from schemas.rows import FlowRun, ProfileRow, SentMemory
from schemas.values import Channel, Instant
from streams.consent.receiving import address_state, has_consented
from streams.consent.state import ADDRESS_KINDS, permits_transactional, state_of
from streams.definitions.durations import to_duration
from streams.flows.zones import Zones, zone_of, zones_of
from streams.sends.cart_texts import cart_objection, cart_of
from streams.sends.gates import (
    FREQUENCY_CAP,
    NO_CONSENT,
    QUIET_HOURS,
    SEND_WINDOW,
    SMART_SENDING,
    SMART_SENDING_ACROSS,
    STOPPED,
    SUPPRESSED,
    PlannedSend,
    Standing,
)
from streams.sends.stops import told

SENT_MAX = 100
"""Sends a row remembers, the oldest forgotten first."""


NOWHERE: Final = Zones((), "")


class Ahead(NamedTuple):
    """A send of a higher priority that another run of the profile is to make at `at`.

    name: `flow/message`.
    """

    channel: Channel
    at: Instant
    name: str


def standing_of(
    row: ProfileRow,
    run: FlowRun,
    planned: PlannedSend,
    settings: StoreSettings,
    *,
    now: Instant,
    stop: Stop | None,
    ahead: Sequence[Ahead],
    held_out: bool,
    passes_flow: bool,
    passes_send: bool,
    evidence: tuple[Evidence, ...] = (),
) -> Standing:
    """What stands for or against this send at `now`. A transactional send earlier on counts for
    no window and no cap.

    ahead: sends of a higher priority that are to be made, for which a cap keeps a place.
    """
    channel, step = planned.channel, planned.step
    state = None
    if planned.address is not None:
        state = address_state(row, channel, planned.address)
    marketing = [sent for sent in row.sent if not sent.transactional]
    smart = max(
        (sent for sent in marketing if sent.channel == channel),
        key=lambda sent: sent.quiet_until,
        default=None,
    )
    across = max(marketing, key=lambda sent: sent.across_until, default=None)
    capped = _capped(marketing, ahead, settings.frequency_cap, planned, now)
    quiet = settings.quiet_hours.get(channel)
    texted = planned.address if ADDRESS_KINDS[channel] == "phone" else None
    zones = NOWHERE if quiet is None else zones_of(row, settings.zone, texted)
    zone = zone_of(row, settings.zone)
    return Standing(
        erased=row.erased_at is not None,
        stopped=stop is not None,
        suppressed=state is not None and bool(state.suppressed),
        consented=permits_transactional(state)
        if step.transactional
        else has_consented(state, channel, settings),
        cart_text=cart_objection(row, run, planned, state, now),
        has_postal_address=bool(settings.address),
        passes_flow=passes_flow,
        passes_send=passes_send,
        held_out=held_out,
        sent_before=any(
            sent.run_id == planned.run_id and sent.message == step.message for sent in row.sent
        ),
        smart_until=0 if smart is None else smart.quiet_until,
        across_until=0 if across is None else across.across_until,
        capped=capped is not None,
        quiet=quiet,
        quiet_in=zones.zones,
        zone=zone,
        evidence=evidence,
        found={
            STOPPED: "" if stop is None else told(stop),
            SUPPRESSED: "" if state is None else ", ".join(state.suppressed),
            NO_CONSENT: state_of(state),
            SMART_SENDING: "" if smart is None else smart.send_id,
            SMART_SENDING_ACROSS: "" if across is None else across.send_id,
            FREQUENCY_CAP: capped or "",
            QUIET_HOURS: zones.text,
            SEND_WINDOW: zone.key,
        },
    )


def _capped(
    marketing: Sequence[SentMemory],
    ahead: Sequence[Ahead],
    caps: Sequence[FrequencyCap],
    planned: PlannedSend,
    now: Instant,
) -> str | None:
    """What the send has to yield to: the cap that is reached, or a send of a higher priority that
    this one would keep from being made. None: nothing.
    """
    for cap in caps:
        if planned.channel not in cap.channels:
            continue
        taken = [sent.at for sent in marketing if sent.channel in cap.channels]
        if sum(at > now - cap.in_last for at in taken) >= cap.at_most:
            return f"{cap.at_most} in {to_duration(cap.in_last)}"
        for one in sorted(ahead, key=lambda one: (one.at, one.name)):
            if one.channel in cap.channels and one.at < now + cap.in_last:
                taken.append(one.at)
                if sum(at > one.at - cap.in_last for at in taken) == cap.at_most:
                    return f"kept for {one.name}"
    return None


def remember(
    row: ProfileRow, run: FlowRun, planned: PlannedSend, settings: StoreSettings, now: Instant
) -> None:
    """Note a send as attempted, with the windows that are in force now."""
    assert planned.address is not None, "a command without an address"
    window = settings.smart_sending.get(planned.channel, 0)
    across = settings.smart_sending_across or 0
    row.sent.append(
        SentMemory(
            planned.id,
            planned.channel,
            now,
            now + window,
            planned.flow,
            planned.run_id,
            planned.step.message,
            planned.step.transactional,
            planned.address,
            now + across if across else 0,
            planned.attempt,
            cart_of(run.trigger) if planned.channel == "sms" else "",
        )
    )
    if len(row.sent) > SENT_MAX:
        del row.sent[: len(row.sent) - SENT_MAX]
        if "sent" not in row.coarsened:
            row.coarsened.append("sent")
