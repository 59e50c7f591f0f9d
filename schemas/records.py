"""What the inner topics carry. Every record is one of `Passed`, `Late`, `Clock` around a body.

identity-requests, key: identifier   <- ingest (Passed), identity (Late, lag 1), profile (lag 2)
profile-updates, key: profile id     <- identity (Passed), profile (Late, lag 1)
"""

from typing import Any, TypeAlias

from schemas.events import Event
from schemas.values import (
    Channel,
    Identifier,
    Inner,
    Instant,
    Origin,
    ProfileId,
    Stage,
    StoreId,
)

INNER_SCHEMA = 1
"""The schema number of every inner record; raised when an old worker could misread a new record."""


# --- bodies for identity -------------------------------------------------------------------------


class EventArrived(Inner, frozen=True, tag="event-arrived"):
    """An event, keyed by its strongest identifier."""

    event: Event


class Linked(Inner, frozen=True, tag="linked"):
    """`announcer` (an identifier with this profile) was seen together with the key of this record.

    strong: the announcer is a strong identifier. trust of the event that said so goes with it:
    what a client says never joins strong identifiers.
    """

    store: StoreId
    identifier: Identifier
    profile_id: ProfileId
    announcer: Identifier
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


class ConsentClaimed(Inner, frozen=True, tag="consent-claimed"):
    """An event keyed by another identifier says something about the consent of this address."""

    event: Event
    identifier: Identifier


# --- bodies for profile --------------------------------------------------------------------------


class EventResolved(Inner, frozen=True, tag="event-resolved"):
    """An event and the profile it belongs to."""

    event: Event
    resolved_by: Identifier


class AddressState(Inner, frozen=True):
    """What one address may receive on one channel: a join, so order and repeats do not matter.

    A denial always counts; a grant counts only if both its `occurred_at` and its `received_at` are
    later than every denial's. Zero: never. Written by `streams/consent/state.py` alone.

    granted:     the newest grant that counts; more_grants: others that neither is later than.
    method, source: of the newest word (grant, denial or request) about this address.
    suppressed:  reasons in force, sorted; what follows from `suppressions`, `lifts` and bounces.
    suppressions, lifts: (reason, occurred_at, received_at); reason `*` lifts all.
    soft_bounces: soft bounces in a row; soft_bounced: the newest 8, (occurred_at, hash of event).
    delivered_at: the newest delivery; older soft bounces no longer count.
    said_at:     when the word was said that `method` and `source` belong to.
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
    more_grants: tuple[tuple[Instant, Instant], ...] = ()
    suppressions: tuple[tuple[str, Instant, Instant], ...] = ()
    lifts: tuple[tuple[str, Instant, Instant], ...] = ()
    soft_bounced: tuple[tuple[Instant, int], ...] = ()
    delivered_at: Instant = 0
    said_at: Instant = 0


class ConsentChanged(Inner, frozen=True, tag="consent-changed"):
    """What an address of this profile may receive has changed."""

    store: StoreId
    identifier: Identifier
    channel: Channel
    state: AddressState
    cause: str


class Merge(Inner, frozen=True, tag="merge"):
    """This profile and `into` are one person: agree on it, then join the smaller id."""

    into: ProfileId
    because: Identifier | None


class Propose(Inner, frozen=True, tag="propose"):
    loser: ProfileId
    external_ids: tuple[str, ...]


class Refuse(Inner, frozen=True, tag="refuse"):
    winner: ProfileId
    external_ids: tuple[str, ...]


class Accept(Inner, frozen=True, tag="accept"):
    winner: ProfileId
    external_ids: tuple[str, ...]


class Moved(Inner, frozen=True, tag="moved"):
    winner: ProfileId
    to: ProfileId


class Withdraw(Inner, frozen=True, tag="withdraw"):
    loser: ProfileId
    external_ids: tuple[str, ...]


class Absorb(Inner, frozen=True, tag="absorb"):
    """The whole state of `loser`, as an encoded profile row."""

    loser: ProfileId
    row: bytes


# --- bodies for both -----------------------------------------------------------------------------


class DefinitionsPublished(Inner, frozen=True, tag="definitions-published"):
    """From this place in the order of origin on, these definitions are in force for `store`.

    documents: the definitions as plain data, checked before they were published.
    """

    store: StoreId
    version: str
    author: str
    documents: tuple[dict[str, Any], ...]


IdentityBody: TypeAlias = (
    EventArrived | Linked | Forget | Repoint | ConsentClaimed | DefinitionsPublished
)
ProfileBody: TypeAlias = (
    EventResolved
    | ConsentChanged
    | Merge
    | Propose
    | Refuse
    | Accept
    | Moved
    | Withdraw
    | Absorb
    | DefinitionsPublished
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
