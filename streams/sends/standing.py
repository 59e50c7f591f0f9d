"""What a profile's row says for or against a planned send, and what it remembers of one made."""

from collections.abc import Sequence

from schemas.definitions import FrequencyCap, StoreSettings
from schemas.outputs import Evidence
from schemas.rows import ProfileRow, SentMemory
from schemas.values import Instant
from streams.consent.receiving import address_state, has_consented
from streams.consent.state import state_of
from streams.flows.zones import zone_named, zone_of
from streams.sends.gates import (
    NO_CONSENT,
    QUIET_HOURS,
    SEND_WINDOW,
    SMART_SENDING,
    SMART_SENDING_ACROSS,
    SUPPRESSED,
    PlannedSend,
    Standing,
)

SENT_MAX = 100
"""Sends a row remembers, the oldest forgotten first."""


def standing_of(
    row: ProfileRow,
    planned: PlannedSend,
    settings: StoreSettings,
    *,
    now: Instant,
    held_out: bool,
    passes_flow: bool,
    passes_send: bool,
    evidence: tuple[Evidence, ...] = (),
) -> Standing:
    """What stands for or against this send at `now`. A transactional send earlier on counts for
    no window and no cap.
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
    quiet = settings.quiet_hours.get(channel)
    timed = quiet is not None or step.window is not None
    zone = zone_of(row, settings.zone) if timed else zone_named("UTC")
    assert zone is not None
    return Standing(
        erased=row.erased_at is not None,
        suppressed=state is not None and bool(state.suppressed),
        consented=has_consented(state, channel, settings),
        has_postal_address=bool(settings.address),
        passes_flow=passes_flow,
        passes_send=passes_send,
        held_out=held_out,
        sent_before=any(
            sent.run_id == planned.run_id and sent.message == step.message for sent in row.sent
        ),
        smart_until=0 if smart is None else smart.quiet_until,
        across_until=0 if across is None else across.across_until,
        capped=_capped(marketing, settings.frequency_cap, planned, now),
        quiet=quiet,
        zone=zone,
        evidence=evidence,
        found={
            SUPPRESSED: "" if state is None else ", ".join(state.suppressed),
            NO_CONSENT: state_of(state),
            SMART_SENDING: "" if smart is None else smart.send_id,
            SMART_SENDING_ACROSS: "" if across is None else across.send_id,
            QUIET_HOURS: zone.key,
            SEND_WINDOW: zone.key,
        },
    )


def _capped(
    marketing: Sequence[SentMemory],
    caps: Sequence[FrequencyCap],
    planned: PlannedSend,
    now: Instant,
) -> bool:
    return any(
        sum(sent.channel in cap.channels and sent.at > now - cap.in_last for sent in marketing)
        >= cap.at_most
        for cap in caps
        if planned.channel in cap.channels
    )


def remember(row: ProfileRow, planned: PlannedSend, settings: StoreSettings, now: Instant) -> None:
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
        )
    )
    if len(row.sent) > SENT_MAX:
        del row.sent[: len(row.sent) - SENT_MAX]
        if "sent" not in row.coarsened:
            row.coarsened.append("sent")
