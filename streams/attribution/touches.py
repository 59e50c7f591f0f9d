"""The timeline -> touches and conversions: whose they are now, and each of them once."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from schemas.outputs import IdentityMerged, SendCommand, TimelineEntry
from schemas.values import (
    Channel,
    EventId,
    FlowId,
    Instant,
    Micros,
    ProfileId,
    SendId,
)
from streams.attribution.rules import TOUCHES, CreditRules, Kind
from streams.instants import to_instant
from streams.money import to_micros


class Touch(NamedTuple):
    """A contact that may count.

    at:         when it was opened, clicked, delivered (`occurred_at` of the outcome).
    receipt_at: when its send was first said to be delivered; where nobody said, when it was sent.
    """

    profile_id: ProfileId
    event_id: EventId
    kind: Kind
    at: Instant
    send_id: SendId
    receipt_at: Instant
    flow: FlowId | None
    campaign: str | None
    message: str
    channel: Channel


class Conversion(NamedTuple):
    """What touches may count for."""

    profile_id: ProfileId
    event_id: EventId
    at: Instant
    micros: Micros
    currency: str


def united(merges: Iterable[IdentityMerged]) -> Mapping[ProfileId, ProfileId]:
    """Say for every profile that was merged away which one it is part of now."""
    into = {merge.loser: merge.winner for merge in merges}
    ends: dict[ProfileId, ProfileId] = {}
    for loser in into:
        chain = [loser]
        while (after := into.get(chain[-1])) is not None:
            assert after not in chain, "redirects never form a cycle"
            chain.append(after)
        ends[loser] = chain[-1]
    return ends


def observed(
    entries: Iterable[TimelineEntry],
    commands: Iterable[SendCommand],
    merges: Iterable[IdentityMerged],
    rules: CreditRules,
) -> tuple[list[Touch], list[Conversion]]:
    """Find what may count, and what for, in the timeline of one store.

    Profiles are corrected through the merges first; only then an event that two of them had is
    taken once, as it was first received. An outcome counts for nothing where its send is not known
    or was of another channel.
    """
    now = united(merge for merge in merges if merge.store == rules.store)
    sends = {command.id: command for command in commands if command.store == rules.store}
    first = _first_received(entries, now, rules)
    receipts = _receipts(first.values())
    touches, conversions = [], []
    for (profile, metric, event_id), entry in first.items():
        at = to_instant(entry.occurred_at)
        if metric == rules.conversion:
            micros = 0 if entry.value is None else to_micros(Decimal(entry.value))
            currency = entry.currency or rules.currency
            conversions.append(Conversion(profile, event_id, at, micros, currency))
        send = sends.get(str(entry.properties.get("send_id", "")))
        channel, kind = TOUCHES.get(metric, (None, None))
        if send is None or kind is None or channel != send.channel:
            continue
        touches.append(
            Touch(
                profile_id=profile,
                event_id=event_id,
                kind=kind,
                at=at,
                send_id=send.id,
                receipt_at=receipts.get(send.id, to_instant(send.decided_at)),
                flow=send.flow,
                campaign=send.campaign,
                message=send.message,
                channel=send.channel,
            )
        )
    return touches, conversions


def _first_received(
    entries: Iterable[TimelineEntry], now: Mapping[ProfileId, ProfileId], rules: CreditRules
) -> dict[tuple[ProfileId, str, EventId], TimelineEntry]:
    """Each event that can be a touch or a conversion, once, by (profile now, metric, event id)."""
    first: dict[tuple[ProfileId, str, EventId], TimelineEntry] = {}
    for entry in entries:
        if entry.store != rules.store:
            continue
        if entry.metric not in TOUCHES and entry.metric != rules.conversion:
            continue
        profile = now.get(entry.profile_id, entry.profile_id)
        known = first.setdefault((profile, entry.metric, entry.event_id), entry)
        if entry.origin < known.origin:
            first[profile, entry.metric, entry.event_id] = entry
    return first


def _receipts(entries: Iterable[TimelineEntry]) -> dict[SendId, Instant]:
    """When each send was first delivered."""
    found: dict[SendId, Instant] = {}
    for entry in entries:
        if entry.metric in TOUCHES and TOUCHES[entry.metric][1] == "delivered":
            send_id, at = str(entry.properties.get("send_id", "")), to_instant(entry.occurred_at)
            found[send_id] = min(at, found.get(send_id, at))
    return found
