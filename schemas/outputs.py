"""What the public topics carry: JSON, every record with its `type` and `schema` number.

Instants are RFC 3339 text, money is decimal text. Ids are derived from what caused the record, so
whoever reads a record twice recognises it. Golden examples: schemas/examples/<type>.<schema>.json
"""

from typing import Any, Literal

import msgspec

from schemas.values import (
    Channel,
    EventId,
    FlowId,
    FlowRunId,
    ListId,
    Money,
    ProfileId,
    Properties,
    Record,
    SegmentId,
    SendId,
    StoreId,
    Timestamp,
)


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One leaf of a condition as it was found.

    leaf:   the leaf in the language of definitions, as short text (`did Placed Order >= 2`).
    holds:  its answer; value: what it was compared with (`3`, `812.50`, `gold`).
    events: ids of the events that decided, newest first, at most 10.
    next_flip: when time alone will change the answer.
    """

    leaf: str
    holds: bool
    value: str | None = None
    events: tuple[EventId, ...] = ()
    next_flip: Timestamp | None = None
    note: str | None = None


class SegmentChanged(Record, frozen=True, kw_only=True, tag="segment-changed"):
    """A profile entered or exited a segment.

    at: the instant from which it holds (the flip), not when it was noticed (`decided_at`).
    """

    id: str
    store: StoreId
    profile_id: ProfileId
    segment: SegmentId
    change: Literal["entered", "exited"]
    at: Timestamp
    decided_at: Timestamp
    evidence: tuple[Evidence, ...] = ()


class FlowTriggered(Record, frozen=True, kw_only=True, tag="flow-triggered"):
    """A flow run started. `started_at` is the trigger's `occurred_at`. `id` is the run's id."""

    id: FlowRunId
    store: StoreId
    profile_id: ProfileId
    flow: FlowId
    version: str
    trigger: str
    trigger_event_id: EventId
    started_at: Timestamp
    decided_at: Timestamp


class SendCommand(Record, frozen=True, kw_only=True, tag="send-command"):
    """Bring this content to this address: complete, to be done once, before `valid_until`.

    valid_until: by the clock of `send-commands`, not by the sender's watch; too late: drop it and
                 report `Send Expired`.
    context:     what a template needs: `traits`, `trigger` (properties of the triggering event).
    """

    id: SendId
    store: StoreId
    profile_id: ProfileId
    channel: Channel
    address: str
    template: str
    flow: FlowId | None
    flow_run_id: FlowRunId | None
    campaign: str | None = None
    message: str
    variant: str | None
    subject: str | None = None
    attempt: int
    transactional: bool
    context: dict[str, Any]
    unsubscribe_token: str
    postal_address: str | None
    decided_at: Timestamp
    valid_until: Timestamp


class SendDecided(Record, frozen=True, kw_only=True, tag="send-decided"):
    """What became of a planned send, or why a flow entry was refused, with every reason found.

    outcome: sent (a command was written), held (until `until`), dropped, skipped (not the flow's
             any more), refused (an entry). reason: the first gate that objected; reasons: all.
    """

    id: str
    store: StoreId
    profile_id: ProfileId
    flow: FlowId | None
    flow_run_id: FlowRunId | None
    message: str | None
    channel: Channel | None
    outcome: Literal["sent", "held", "dropped", "skipped", "refused"]
    reason: str | None
    reasons: tuple[str, ...] = ()
    send_id: SendId | None = None
    until: Timestamp | None = None
    trigger_event_id: EventId | None = None
    decided_at: Timestamp
    evidence: tuple[Evidence, ...] = ()


class NotificationRequested(Record, frozen=True, kw_only=True, tag="notification-requested"):
    """A flow has something to tell the people of the store: complete, for whoever brings it there.

    to, message: as the step says. identifiers: of the profile, kind -> values, oldest first.
    context:     as of a send-command: `traits`, `trigger` (properties of the triggering event).
    """

    id: str
    store: StoreId
    profile_id: ProfileId
    to: str
    message: str
    flow: FlowId
    flow_run_id: FlowRunId
    identifiers: dict[str, tuple[str, ...]]
    context: dict[str, Any]
    decided_at: Timestamp


class TimelineEntry(Record, frozen=True, kw_only=True, tag="timeline-entry"):
    """An event as it was accepted, with the profile it was accepted for.

    origin: where it comes from in `store-events`: back-fills and audits read up to an origin.
    moved_from: after a split: the profile under which the event stood; this entry replaces that.
    """

    event_id: EventId
    store: StoreId
    profile_id: ProfileId
    metric: str
    occurred_at: Timestamp
    received_at: Timestamp
    origin: tuple[int, ...]
    trust: str
    source: str
    backfill: bool
    identifiers: tuple[tuple[str, str], ...]
    traits: Properties = {}
    traits_once: Properties = {}
    properties: Properties
    value: Money | None
    currency: str | None
    moved_from: ProfileId | None = None


class DefinitionsSwitched(Record, frozen=True, kw_only=True, tag="definitions-switched"):
    """Marks a place in each partition of `timeline`: what stands before it was counted by the
    definitions before, what stands after it by these, whose past is to be filled in.

    switch: the origin of the published definitions: (received_at, partition, offset).
    """

    store: StoreId
    version: str
    switch: tuple[int, ...]


class DefinitionsStated(Record, frozen=True, kw_only=True, tag="definitions-stated"):
    """The definitions that a store has published last (topic `definitions`, compacted).

    switch:  where they were published: (received_at, partition, offset) in `store-events`.
    filling: what they ask about the past is still being filled in.
    """

    store: StoreId
    version: str
    author: str
    published_at: Timestamp
    switch: tuple[int, ...]
    filling: bool
    live: tuple[dict[str, Any], ...] | None
    documents: tuple[dict[str, Any], ...]


class ConsentDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When an address was granted, denied or asked (double opt-in) on a channel, and how.

    granted_at, denied_at: when it happened, as the newest word of its kind says.
    transactional_denied_at: since when messages about a purchase are denied too.
    """

    granted_at: Timestamp | None = None
    denied_at: Timestamp | None = None
    pending_at: Timestamp | None = None
    method: str | None = None
    source: str | None = None
    soft_bounces: int = 0
    transactional_denied_at: Timestamp | None = None


class ConsentStated(Record, frozen=True, kw_only=True, tag="consent-stated"):
    """What an address may receive on each channel: the newest word (topic `consent`, compacted).

    Senders look here last. `suppressed` channels get nothing, whatever was granted.
    """

    store: StoreId
    kind: str
    address: str
    channels: dict[str, Literal["granted", "denied", "pending", "never"]]
    suppressed: dict[str, tuple[str, ...]]
    details: dict[str, ConsentDetail]
    decided_at: Timestamp
    cause: str


class DefinitionsAnnounced(Record, frozen=True, kw_only=True, tag="definitions-announced"):
    """These definitions were published for the store; in `store-events` stands what they say.

    number: of all that was published for the store, each has the next one.
    at:     by the watch of whoever published; they hold from their place in `store-events` on.
    """

    store: StoreId
    number: int
    version: str
    author: str
    at: Timestamp


class SendsSwitched(Record, frozen=True, kw_only=True, tag="sends-switched"):
    """Sends were stopped, or resumed: those of `flow` (null: of all), on `channel` (null: on all).

    The newest word of its key; senders deliver nothing that falls under a stop. number, at: as in
    `definitions-announced`.
    """

    store: StoreId
    number: int
    flow: FlowId | None
    channel: Channel | None
    stopped: bool
    author: str
    at: Timestamp


class CutStated(msgspec.Struct, frozen=True, kw_only=True):
    """Where a ranking is cut. cut: decimal text; what is inside is at or beyond it.

    profiles: how many were ranked.
    """

    ranking: str
    cut: str
    profiles: int


class PopulationStated(Record, frozen=True, kw_only=True, tag="population-stated"):
    """The store's profiles were ranked for `top` and `bottom`, as they were at `at`.

    number: as in `definitions-announced`.
    """

    store: StoreId
    number: int
    at: Timestamp
    cuts: tuple[CutStated, ...]


class IdentityMerged(Record, frozen=True, kw_only=True, tag="identity-merged"):
    """`loser` became part of `winner`."""

    id: str
    store: StoreId
    winner: ProfileId
    loser: ProfileId
    decided_at: Timestamp


class IdentityConflict(Record, frozen=True, kw_only=True, tag="identity-conflict"):
    """Profiles were connected but must not be joined.

    reason: `two-external-ids`, `split` where support has split them, or `shared-by-too-many` where
            the identifier stopped linking.
    because: the identifier that connects them, where one alone does.
    """

    id: str
    store: StoreId
    profiles: tuple[ProfileId, ...]
    external_ids: tuple[str, ...]
    reason: str
    decided_at: Timestamp
    because: tuple[str, str] | None = None


class ProfileErased(Record, frozen=True, kw_only=True, tag="profile-erased"):
    """What became of an erasure that was asked for. Holds no identifier, only keyed hashes.

    request: of whoever asked. outcome: `unknown` where the identifier points to nobody.
    profile_ids: all ids that the person had, at most 501: whoever keeps anything under one of them
                 erases it too.
    """

    id: str
    store: StoreId
    request: str
    outcome: Literal["erased", "unknown"]
    profile_ids: tuple[ProfileId, ...]
    decided_at: Timestamp


class ProfileSplit(Record, frozen=True, kw_only=True, tag="profile-split"):
    """What became of a split that was asked for. Where it was made, it also stands in `timeline`:
    what stands before it there was counted by the profile as it was.

    split:    the id of what was asked; author, reason: who asked for it, and why.
    outcome:  `split`; else nothing was changed: `unknown` where the identifier points to nobody,
              `already-split`, `only-identifier` where nothing else names the profile, `busy` while
              history is filled in or told again.
    identifiers: that were split off: the one that was named, and those that came only with it.
    old, new: the profiles. known_as: all ids of `old`, at most 501.
    """

    id: str
    store: StoreId
    split: str
    outcome: Literal["split", "unknown", "already-split", "only-identifier", "busy"]
    identifiers: tuple[tuple[str, str], ...]
    old: ProfileId
    new: ProfileId
    known_as: tuple[ProfileId, ...]
    author: str
    reason: str
    decided_at: Timestamp


class ClockStruck(Record, frozen=True, kw_only=True, tag="clock"):
    """All that the pipeline had to say here up to `at` has been said: a reader's `now`."""

    partition: int
    at: Timestamp


class ProfileState(msgspec.Struct, frozen=True, kw_only=True):
    """A profile as `replay` and `profile show` print it."""

    profile_id: ProfileId
    store: StoreId
    identifiers: dict[str, tuple[str, ...]]
    traits: Properties
    consent: dict[str, dict[str, Any]]
    lists: tuple[ListId, ...]
    segments: tuple[SegmentId, ...]
    events: tuple[EventId, ...]
    figures: dict[str, Any]


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    """The share of a conversion that attribution gives to one send."""

    store: StoreId
    profile_id: ProfileId
    conversion: EventId
    converted_at: Timestamp
    send_id: SendId
    flow: FlowId | None
    campaign: str | None
    message: str
    channel: Channel
    touch: str
    touched_at: Timestamp
    model: str
    share: Money
    amount: Money
    currency: str
