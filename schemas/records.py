"""What the inner topics carry. Every record is one of `Passed`, `Late`, `Clock` around a body.

identity-requests, key: identifier   <- ingest (Passed), identity (Late, lag 1), profile (lag 2)
profile-updates, key: profile id     <- identity (Passed), profile (Late, lag 1)
"""

from typing import Any, TypeAlias

import msgspec

from schemas.events import Event
from schemas.splits import EventsTold, NamesAgain, Parted, SplitAsked, SplitOff
from schemas.values import (
    Channel,
    FlowId,
    Identifier,
    Inner,
    Instant,
    Origin,
    ProfileId,
    Stage,
    StoreId,
)

INNER_SCHEMA = 4
"""The schema number of every inner record; raised when an old worker could misread a new record."""


# --- bodies for identity -------------------------------------------------------------------------


class EventArrived(Inner, frozen=True, tag="event-arrived"):
    """An event, keyed by its strongest identifier."""

    event: Event


class Linked(Inner, frozen=True, tag="linked"):
    """`announcer` (an identifier with this profile) was seen together with the key of this record.

    strong: the announcer is a strong identifier. trust of the event that said so goes with it:
    what a client says never joins strong identifiers. announcer: None where a profile says so that
    recognised the answer to one of its sends.
    """

    store: StoreId
    identifier: Identifier
    profile_id: ProfileId
    announcer: Identifier | None
    strong: bool
    by_server: bool


class Forget(Inner, frozen=True, tag="forget"):
    """The weak identifier was handed over: announce it again when it is seen again."""

    store: StoreId
    identifier: Identifier
    forgotten: Identifier


class Repoint(Inner, frozen=True, tag="repoint"):
    """Point from `old` to `new`: the profile `old` was absorbed."""

    store: StoreId
    identifier: Identifier
    old: ProfileId
    new: ProfileId


class Retire(Inner, frozen=True, tag="retire"):
    """The store says that the external id `by`, of profile `profile_id`, is in this one's place."""

    store: StoreId
    identifier: Identifier
    by: Identifier
    profile_id: ProfileId


class Erased(Inner, frozen=True, tag="erased"):
    """The profile was erased: this identifier is its no more, nor seen any more if it was.

    Profiles that a split set apart from it are told, too: none of them remembers what named it.
    """

    store: StoreId
    identifier: Identifier
    profile_id: ProfileId


class ConsentClaimed(Inner, frozen=True, tag="consent-claimed"):
    """An event keyed by another identifier says something about the consent of this address."""

    event: Event
    identifier: Identifier


# --- bodies for profile --------------------------------------------------------------------------


class EventResolved(Inner, frozen=True, tag="event-resolved"):
    """An event and the profile it belongs to.

    retired: the identifier that resolved it is an external id that names nobody any more.
    otherwise: this is the answer to a send; whose it is if this profile has not made that send.
    handed_on: at a split, by the profile that it was on its way to; empty: and back again, from
               somebody who was erased. It happens once.
    """

    event: Event
    resolved_by: Identifier
    retired: bool = False
    otherwise: ProfileId | None = None
    handed_on: ProfileId | None = None


class Word(msgspec.Struct, array_like=True, frozen=True):
    """What an event said for or against an address.

    received_at: when it was received first; a repeat of it changes nothing.
    event:    hash of the event. 0: of none, or of several told as one (`streams/consent/words.py`).
    again_at: when it was received last; 0: once.
    list:     that a confirmation names.
    asked:    of a confirmation: both times of the newest request that it was found to answer, which
              need not be kept any more.
    """

    occurred_at: Instant
    received_at: Instant
    event: int = 0
    again_at: Instant = 0
    method: str | None = None
    source: str | None = None
    list: str | None = None
    asked: tuple[Instant, Instant] = (0, 0)


class Reasoned(msgspec.Struct, array_like=True, frozen=True):
    """A suppression for a reason, or its lifting; the times as of a `Word`."""

    reason: str
    occurred_at: Instant
    received_at: Instant
    event: int = 0
    again_at: Instant = 0


class AddressState(Inner, frozen=True):
    """What one address may receive on one channel: a join, so order and repeats do not matter.

    A denial always counts; a grant counts only if both its `occurred_at` and its `received_at` are
    later than every denial's. A confirmation grants where it answers a request; both must then be
    later than every denial. Zero: never. Written by `streams/consent/state.py` alone.

    grants, denials, requests, confirmations, suppressions, lifts, transactional_grants,
    transactional_denials: the newest words of each kind; all else but `delivered_at` and
    `soft_bounced` follows from them. Reason `*` lifts all.

    granted:     the newest grant that counts; one that no denial outdoes before others.
    denied:      the latest times of denials, which need not be of one of them.
    pending_at:  the newest request that counts.
    method, source, said_at: of the word that the state now is: a grant, a denial or a request.
    suppressed:  reasons in force, sorted.
    soft_bounces: soft bounces in a row; soft_bounced: the newest 8, (occurred_at, hash of event).
    delivered_at: the newest delivery; older soft bounces no longer count.
    confirmed_at: the newest confirmation that counts (double opt-in).
    transactional_denied: the latest times of denials of messages about a purchase; marketing is
                 another matter.
    """

    granted_occurred_at: Instant = 0
    granted_received_at: Instant = 0
    denied_occurred_at: Instant = 0
    denied_received_at: Instant = 0
    pending_at: Instant = 0
    method: str | None = None
    source: str | None = None
    suppressed: tuple[str, ...] = ()
    soft_bounces: int = 0
    grants: tuple[Word, ...] = ()
    suppressions: tuple[Reasoned, ...] = ()
    lifts: tuple[Reasoned, ...] = ()
    soft_bounced: tuple[tuple[Instant, int], ...] = ()
    delivered_at: Instant = 0
    said_at: Instant = 0
    confirmed_at: Instant = 0
    transactional_denied: tuple[Instant, Instant] = (0, 0)
    transactional_grants: tuple[Word, ...] = ()
    denials: tuple[Word, ...] = ()
    requests: tuple[Word, ...] = ()
    confirmations: tuple[Word, ...] = ()
    transactional_denials: tuple[Word, ...] = ()


class ConsentChanged(Inner, frozen=True, tag="consent-changed"):
    """What an address of this profile may receive has changed."""

    store: StoreId
    identifier: Identifier
    channel: Channel
    state: AddressState
    cause: str


class Shared(Inner, frozen=True, tag="shared"):
    """Too many profiles share this identifier; it links nobody any more. To one of them."""

    store: StoreId
    identifier: Identifier
    profiles: tuple[ProfileId, ...]


class Retired(Inner, frozen=True, tag="retired"):
    """The store says: this external id of yours is retired, `by` of `into` is in its place."""

    store: StoreId
    external_id: str
    by: str
    into: ProfileId


class Merge(Inner, frozen=True, tag="merge"):
    """This profile and `into` are one person: agree on it, then join the smaller id.

    strong: a strong identifier says so; else only a device or cart that both were seen with, and
    two named profiles do not join for that.
    """

    store: StoreId
    into: ProfileId
    strong: bool
    because: Identifier | None


class Propose(Inner, frozen=True, tag="propose"):
    """May `loser` join you with these names?

    attempt: counts the loser's proposals. names: its external ids and its sides of splits. retired:
    external ids that it knows to be retired.
    """

    store: StoreId
    loser: ProfileId
    attempt: int
    names: tuple[str, ...]
    retired: tuple[str, ...]
    because: Identifier | None


class Refuse(Inner, frozen=True, tag="refuse"):
    """The two hold names that no profile may have together."""

    winner: ProfileId
    attempt: int


class Accept(Inner, frozen=True, tag="accept"):
    """The place is reserved; the proposal is echoed, for it may be out of date."""

    winner: ProfileId
    attempt: int
    names: tuple[str, ...]


class Moved(Inner, frozen=True, tag="moved"):
    """Ask `to` instead: `winner` was merged into it."""

    winner: ProfileId
    attempt: int
    to: ProfileId


class Withdraw(Inner, frozen=True, tag="withdraw"):
    """The place that was reserved for this attempt of `loser` is not needed."""

    loser: ProfileId
    attempt: int


class Absorb(Inner, frozen=True, tag="absorb"):
    """The whole state of `loser`, as an encoded profile row."""

    loser: ProfileId
    row: bytes


# --- bodies for both -----------------------------------------------------------------------------


class ErasureAsked(Inner, frozen=True, tag="erasure-asked"):
    """Whoever this identifier points to is to be erased, with all that came up to `asked_at`.

    request: the id of what was asked; the answer in `identity-erasures` has it.
    """

    store: StoreId
    identifier: Identifier
    request: str
    asked_at: Instant


class DefinitionsPublished(Inner, frozen=True, tag="definitions-published"):
    """From this place in the order of origin on, these definitions are in force for `store`.

    documents: the definitions as plain data, checked before they were published.
    fill: what they newly ask about the past is filled in from the timeline; until that is done
          (`DefinitionsFilled`), segments that ask it stay as they were.
    number: of all that was published for the store, each has the next one; 0: before there were
          numbers.
    """

    store: StoreId
    version: str
    author: str
    documents: tuple[dict[str, Any], ...]
    fill: bool = False
    number: int = 0


class Stop(msgspec.Struct, array_like=True, frozen=True):
    """Sends that are stopped: of this flow (None: of all), on this channel (None: on all).

    author: who said so. at: from when on, as it was received.
    """

    flow: FlowId | None
    channel: Channel | None
    author: str
    at: Instant


class SendsStopped(Inner, frozen=True, tag="sends-stopped"):
    """From this place in the order of origin on, these stops are in force for `store`, no others.

    number: as in `DefinitionsPublished`.
    """

    store: StoreId
    number: int
    stops: tuple[Stop, ...]


class Cut(msgspec.Struct, array_like=True, frozen=True):
    """Where the first (or last) of the store's profiles end: `total / count` of the last one that
    is among them; `count` is 1 but for averages.

    ranking: key of what they are ranked by. profiles: how many were. at: the instant for which.
    """

    ranking: str
    total: int
    count: int
    profiles: int
    at: Instant


class PopulationMeasured(Inner, frozen=True, tag="population-measured"):
    """From this place in the order of origin on, these cuts are in force for `store`, no others.

    number: as in `DefinitionsPublished`.
    """

    store: StoreId
    number: int
    cuts: tuple[Cut, ...]


class Backfilled(Inner, frozen=True, tag="backfilled"):
    """What new features would have kept of a profile's events before the switch.

    profile_id: as it was in the timeline then; whoever has absorbed it takes it over.
    switch:   the origin of the published definitions: (received_at, partition, offset).
    features: feature -> its state (`FeatureState`), as msgpack.
    """

    store: StoreId
    profile_id: ProfileId
    switch: Origin
    features: bytes


class DefinitionsFilled(Inner, frozen=True, tag="definitions-filled"):
    """All that the definitions published at `switch` ask about the past has been sent: from here
    on they are in force wholly.
    """

    store: StoreId
    switch: Origin


Switching: TypeAlias = DefinitionsPublished | DefinitionsFilled | SendsStopped | PopulationMeasured
"""What takes effect for every row of a store at one place in the order of origin."""


IdentityBody: TypeAlias = (
    EventArrived
    | Linked
    | Forget
    | Repoint
    | Retire
    | ConsentClaimed
    | Erased
    | ErasureAsked
    | SplitOff
    | SplitAsked
    | NamesAgain
    | EventsTold
    | Switching
    | Backfilled
)
ProfileBody: TypeAlias = (
    EventResolved
    | Erased
    | ConsentChanged
    | Shared
    | Retired
    | Merge
    | Propose
    | Refuse
    | Accept
    | Moved
    | Withdraw
    | Absorb
    | ErasureAsked
    | Parted
    | SplitAsked
    | EventsTold
    | Switching
    | Backfilled
)
Body: TypeAlias = IdentityBody | ProfileBody


# --- envelopes -----------------------------------------------------------------------------------


class Passed(Inner, frozen=True, tag="passed"):
    """From the stage before: applied at its turn (instant, kind, origin)."""

    schema: int
    instant: Instant
    kind: int
    origin: Origin
    body: Body


class Late(Inner, frozen=True, tag="late"):
    """To the same stage (lag 1) or the stage before (lag 2), from the round that ended at `after`.

    Applied first in the round `lag` boundaries later, whenever it arrives.
    """

    schema: int
    after: Instant
    lag: int
    origin: Origin
    body: Body


class Clock(Inner, frozen=True, tag="clock"):
    """All that partition `partition` of `stage` had to say up to `at` has been said."""

    schema: int
    stage: Stage
    partition: int
    at: Instant


Envelope: TypeAlias = Passed | Late | Clock
