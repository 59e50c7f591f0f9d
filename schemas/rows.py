"""What the tables keep: one row a key, msgpack, with its schema number.

Only its own agent writes a table. A worker refuses a row whose schema number is newer than its own.
"""

from typing import Any, TypeAlias

import msgspec

from schemas.records import AddressState, Cut, DefinitionsPublished, ErasureAsked, SendsStopped
from schemas.values import (
    Channel,
    EventId,
    FlowId,
    FlowRunId,
    Identifier,
    Instant,
    ListId,
    Micros,
    Millis,
    Origin,
    ProfileId,
    Properties,
    Row,
    SegmentId,
    SendId,
    StoreId,
    Turn,
)

POSITION_SCHEMA = 1
IDENTITY_ROW_SCHEMA = 4
PROFILE_ROW_SCHEMA = 5
STOPS_ROW_SCHEMA = 1
DEFINITIONS_ROW_SCHEMA = 2

POSITION_KEY = b"position/%d"
"""Key of a partition's position in each station's table."""

DEFINITIONS_KEY = b"definitions/%s"
"""Key of the definitions in force for a store, in each partition of each station's table."""

STOPS_KEY = b"stops/%s"
"""Key of the stops in force for a store, likewise."""


NOTHING_SAID = msgspec.Raw(msgspec.msgpack.encode({}))
_read_properties = msgspec.msgpack.Decoder(Properties).decode


class Position(Row):
    """How far a partition of a station has come: written with every transaction.

    done:    the last three boundaries whose rounds are complete, oldest first.
    turn:    the last turn applied; what is at or below it is skipped when the log is read again.
    offset:  how far the log has been read; no round runs again before it was read that far.
    low:     the lowest offset of a record not yet applied or a boundary not yet run.
    heard:   "stage/partition" -> the last clock heard from there.
    received_at: ingest's running maximum of the broker's timestamps.
    partitions: how many partitions the station's input had; a change is a migration.
    """

    schema: int = POSITION_SCHEMA
    done: tuple[Instant, Instant, Instant] = (0, 0, 0)
    turn: Turn = (0, 0, ())
    offset: int = 0
    low: int = 0
    heard: dict[str, Instant] = {}
    received_at: Instant = 0
    partitions: int = 0


class DefinitionsRow(Row):
    """The definitions in force in this partition, and the origin of their switch.

    former: those that were in force before, under which a row may stand that nobody has looked at
            since.
    live:   while the past is filled in: the definitions by which is lived until then. They stay
            here afterwards, for what was to be filled follows from them.
    filled: the switch that was filled last: (received_at, partition, offset) of its origin.
    number: of what was published last, whether it changed anything or not; ingest alone keeps it.
    cuts:   that were measured last, whether these definitions ask for them or not.
    visits: since when, and over how long, the profiles are looked at that this concerns.
    """

    schema: int
    published: DefinitionsPublished
    origin: Origin
    former: DefinitionsPublished | None = None
    live: tuple[dict[str, Any], ...] | None = None
    filled: Origin = ()
    number: int = 0
    cuts: tuple[Cut, ...] = ()
    visits: tuple[Instant, Millis] = (0, 0)

    @property
    def switch(self) -> Origin:
        """What the records of a back-fill name."""
        return self.origin[:3]

    @property
    def filling(self) -> bool:
        """Is the past still being filled in?"""
        return self.live is not None and self.filled != self.switch


class StopsRow(Row):
    """The stops in force in this partition, and the origin of the word that made them so."""

    schema: int
    said: SendsStopped
    origin: Origin


# --- identity ------------------------------------------------------------------------------------


class IdentityRow(Row):
    """One identifier: the profile it points to, what it announced and, for an address, its consent.

    After an erasure nothing names the identifier any more: its row is kept under a keyed hash, its
    kind is marked (`~email`), and of consent only what speaks against the address is left.

    epoch:   raised by an erasure or a split, so that a new profile id is minted.
    links:   identifiers (`kind/value`) already announced, oldest first, at most 50.
    holders: profiles that hold this address, at most 10.
    announcer: who last pointed a weak identifier somewhere: told to forget when it is handed over.
    named:   named profiles a weak identifier was seen with, at most `named_per_weak_max` + 1.
    consent: channel -> what this address may receive there.
    shared_at: since when too many share this identifier: it links nobody any more; 0: it does.
    retired: an `Alias` has put another external id in the place of this one.
    apart:   profiles that this identifier was split from: it is never linked with them again.
    splits:  the ids of the last 20 splits that were asked for by this identifier.
    """

    schema: int = IDENTITY_ROW_SCHEMA
    store: StoreId = ""
    identifier: Identifier = ("", "")
    profile_id: ProfileId = ""
    epoch: int = 0
    links: list[str] = []
    holders: list[ProfileId] = []
    announcer: Identifier | None = None
    named: list[ProfileId] = []
    consent: dict[Channel, AddressState] = {}
    shared_at: Instant = 0
    retired: bool = False
    apart: list[ProfileId] = []
    splits: list[str] = []


# --- profile -------------------------------------------------------------------------------------


class Trait(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A trait's value, when it was said, and since when it has had this value.

    once:     said by `traits_once`: the earliest counts, and only until the trait is set.
    other_at: from when on no other value was said before that, as far as the row knows; 0: ever.
    """

    value: object
    occurred_at: Instant
    since: Instant
    once: bool = False
    other_at: Instant = 0


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One event as a feature remembers it: when, which, how much (None: no amount), what a later
    comparison with a trigger needs of its properties, and how many amounts it had.
    """

    occurred_at: Instant
    event_id: EventId
    amount: Micros | None = None
    kept: tuple[object, ...] = ()
    times: int = 1


class FeatureState(Row):
    """What a feature keeps of a profile: the newest entries (newest first) and what was let go.

    count, total: of all events (of all amounts, where it has some) ever; in whole, in millionths.
    coarse: hour -> (count, total) of entries beyond the cap; None while everything is exact.
    """

    count: int = 0
    total: Micros = 0
    entries: list[Entry] = []
    coarse: dict[int, tuple[int, Micros]] | None = None
    version: str = ""


class Membership(Row, gc=False):
    """One segment: since when the profile is in it (None: is not), how often it changed so far."""

    since: Instant | None = None
    changes: int = 0


class ListMembership(Row):
    """When a profile last said that it is on a list, that it is not, and that it asks to be.

    pending_at, pending_received_at: of the newest request that has to be confirmed.
    since: the first joining after the last leaving, as far as the row knows.
    asked_at, answered_at: of the newest request that was confirmed, and of the joining by it. Who
           leaves in between takes the request back.
    told_at: of the newest joining that needed no confirmation.
    """

    joined_at: Instant = 0
    left_at: Instant = 0
    pending_at: Instant = 0
    pending_received_at: Instant = 0
    since: Instant = 0
    asked_at: Instant = 0
    answered_at: Instant = 0
    told_at: Instant = 0


class Trigger(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What started a flow run: an event (id, metric, properties ...), a segment or list entry.

    said:     its properties as they are kept; a row is read often, and they are looked at rarely.
    begun_by: where no event is the trigger (but a segment that was entered, a step of a flow), the
              event that led to it at once; "" if none did.
    """

    kind: str
    event_id: EventId
    metric: str | None = None
    occurred_at: Instant = 0
    value: Micros | None = None
    currency: str | None = None
    said: msgspec.Raw = NOTHING_SAID
    identifiers: tuple[Identifier, ...] = ()
    begun_by: EventId = ""

    @property
    def properties(self) -> Properties:
        """What was said, read anew each time."""
        return _read_properties(self.said)


class FlowRun(Row):
    """One profile's way through a flow.

    version:  of the definitions under which it started.
    step:     path of the step it is in (`(2, "then", 0)`), in the version that the row is under.
    wake_at:  when to go on; None where it stopped because its flow is paused.
    reached_at: when the present step was reached (`wait_for` counts events from then).
    attempt:  of the present send: 0 first, then one more for each `Send Expired`.
    held_since: when the present send was first held, else None.
    listening: the present step is a `wait_for` that has been reached.
    anew:     this is no run of its own, but one of its sends planned anew after `Send Expired`.
    ended_at: when it ended; it is kept for a day, its sends may expire yet.
    passed:   the present step is a wait that was begun: what follows it is taken next.
    """

    id: FlowRunId
    flow: FlowId
    version: str
    trigger: Trigger
    started_at: Instant
    entered_at: Instant
    step: tuple[int | str, ...] = ()
    wake_at: Instant | None = None
    reached_at: Instant = 0
    attempt: int = 0
    held_since: Instant | None = None
    variants: dict[str, str] = {}
    listening: bool = False
    anew: bool = False
    ended_at: Instant | None = None
    passed: bool = False


class FlowMemory(Row):
    """What re-entry needs: the newest entry of each flow (and key), and when its run ended.

    spare: earlier versions counted entries here, which nobody asked for.
    """

    entered_at: Instant = 0
    spare: int = 0
    ended_at: Instant | None = None


class SentMemory(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A send that was attempted: for smart sending, caps, outcomes and attribution.

    quiet_until: the end of the smart sending window that was in force at this send; across_until:
                 that of the window over all channels. cart: of a text, the cart it was about.
    reported: a provider told what became of it, so it cannot expire any more.
    """

    send_id: SendId
    channel: Channel
    at: Instant
    quiet_until: Instant
    flow: FlowId | None = None
    run_id: FlowRunId | None = None
    message: str | None = None
    transactional: bool = False
    address: str = ""
    across_until: Instant = 0
    attempt: int = 0
    cart: str = ""
    reported: bool = False


class Figures(Row):
    """Plain sums of a profile's orders; refunds are not taken off.

    recent: 8-byte hash of an order -> its share of the revenue; of the newest that `recent` of the
            row knows, so that an order which reached two profiles is counted once when they join.
    """

    orders: int = 0
    revenue: Micros = 0
    first_order_at: Instant | None = None
    last_order_at: Instant | None = None
    recent: dict[int, Micros] = {}


# --- profile: merging ----------------------------------------------------------------------------


class Wish(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Another profile that is the same person. strong: a strong identifier says so."""

    into: ProfileId
    strong: bool
    because: Identifier | None


class Proposal(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What the loser has asked the winner: may I join you with these names?"""

    into: ProfileId
    attempt: int
    names: tuple[str, ...]


class Reservation(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Names that a winner has promised a place to, and for which attempt of the loser."""

    attempt: int
    names: tuple[str, ...]


class Side(msgspec.Struct, array_like=True):
    """One side of a split. The two are never merged, nor is anybody who has merged with them.

    stays: this is whom identifiers were split from. identifiers: what names the other side: here
           nobody claims it.
    next:  which part of this side's history is awaited; None: all of it is in.
    is_told: it was reported that an event names both.
    again: the external id that names this side again, whoever still knows it as retired.
    is_alone: nobody who was there before has become one with who was split off.
    """

    split: str
    stays: bool
    other: ProfileId
    identifiers: list[Identifier]
    next: int | None = 0
    is_told: bool = False
    again: str = ""
    is_alone: bool = True


Seen: TypeAlias = bytes | dict[int, Instant]
"""Events that were seen (streams/profile/recent.py), or their numbers: hash -> received."""


class ProfileRow(Row):
    """All that is known of one person, changed in one place, one row at a time.

    to:       the profile this one was merged into; then nothing else in the row counts.
    identifiers: kind -> value -> when it was first named (the least `occurred_at` of its events).
    ordered_with: kind of address -> (occurred_at, address) of the newest order that names one.
    claimed:  devices that only a client has named: they point here, nothing is sent to them.
    retired:  external ids in whose place an `Alias` has put another one, the newest 50.
    consent:  channel -> address -> what it may receive (a copy; the address's row decides).
    runs:     flow runs that go on; settled: those that ended within a day and have sent.
    flows:    `flow` or `flow/key` -> what re-entry needs.
    sent:     oldest first, at most 100.
    events:   how many there were (the timeline has them); recent: those that a repeat is told by,
              at most 512 (streams/profile/recent.py).
    absorbed: the profiles that were merged into this one, at most 500, the newest.
    reserved: loser -> the names it was promised that it may bring.
    proposal: what this profile has asked a smaller one and has no answer to; attempts: how many
              times it has asked. to_join: whom it is to ask, the present one first, at most 200.
    united:   loser -> its memberships, until the segments have been looked at after the merge.
    wake_at:  the next instant at which time alone changes something: the least of all below.
    coarsened: names of the caps this row has run into.
    flips:    segment -> when time alone may next change whether the profile is in it.
    population: of the cuts under which the segments that rank were asked last.
    filled:   hashes of the back-fills that were taken over since the definitions last changed.
    disabled: part of the definitions (`segment/vip`) that raised here -> under which version.
    erasing:  an erasure that waits until the profile has become one with whom it is to join.
    variants: `flow/message` -> the variant that was assigned, and when; at most 100, the newest.
    gone_at:  when the person was erased (asked for); then nothing else is left in the row, but
              the request that it was erased by.
    sides:    of the splits that this profile, or one that it absorbed, was part of.
    retold:   while the history of a side that stays is told again: what is known of those events
              and of all that have come since. Of a row, only the facts.
    """

    schema: int = PROFILE_ROW_SCHEMA
    store: StoreId = ""
    id: ProfileId = ""
    to: ProfileId | None = None
    definitions: str = ""
    first_seen_at: Instant = 0
    last_seen_at: Instant = 0
    identifiers: dict[str, dict[str, Instant]] = {}
    traits: dict[str, Trait] = {}
    consent: dict[Channel, dict[str, AddressState]] = {}
    lists: dict[ListId, ListMembership] = {}
    features: dict[str, FeatureState] = {}
    segments: dict[SegmentId, Membership] = {}
    runs: list[FlowRun] = []
    flows: dict[str, FlowMemory] = {}
    sent: list[SentMemory] = []
    recent: Seen = b""
    figures: Figures = msgspec.field(default_factory=Figures)
    events: int = 0
    absorbed: list[ProfileId] = []
    reserved: dict[ProfileId, Reservation] = {}
    proposal: Proposal | None = None
    to_join: list[Wish] = []
    wake_at: Instant | None = None
    coarsened: list[str] = []
    settled: list[FlowRun] = []
    erased_at: Instant | None = None
    flips: dict[SegmentId, Instant] = {}
    attempts: int = 0
    united: dict[ProfileId, dict[SegmentId, Membership]] = {}
    ordered_with: dict[str, tuple[Instant, str]] = {}
    retired: list[str] = []
    claimed: list[Identifier] = []
    filled: list[int] = []
    population: str = ""
    disabled: dict[str, str] = {}
    erasing: ErasureAsked | None = None
    gone_at: Instant = 0
    gone_by: str = ""
    variants: dict[str, tuple[str, Instant]] = {}
    sides: list[Side] = []
    retold: "ProfileRow | None" = None
