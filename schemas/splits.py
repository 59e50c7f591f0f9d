"""What inner topics carry about a split: an identifier is taken out of a profile, with its past."""

from schemas.events import Event
from schemas.values import Identifier, Inner, Instant, Origin, ProfileId, StoreId


class SplitAsked(Inner, frozen=True, tag="split-asked"):
    """These identifiers are not of the person whose profile the first of them points to.

    identifiers: the one that is meant, and those that came only with it. split: the id of what was
    asked. into: the profile that becomes theirs; empty until identity has said it.
    """

    store: StoreId
    identifiers: tuple[Identifier, ...]
    split: str
    author: str
    reason: str
    into: ProfileId = ""


class SplitOff(Inner, frozen=True, tag="split-off"):
    """This identifier was split from a profile: where it points there, it points to `new` now.

    known_as: the profile and those it absorbed. asked_for: the split names this identifier; others
    came only with it.
    """

    store: StoreId
    identifier: Identifier
    known_as: tuple[ProfileId, ...]
    new: ProfileId
    asked_for: bool


class Parted(Inner, frozen=True, tag="parted"):
    """A profile that begins where identifiers were split from another.

    split:     the id of what was asked. asked_for: the identifier that was meant.
    known_as:  the profile that it was split from, and those that one absorbed.
    identifiers: and when each was first named. claimed: devices that only a client has named.
    strangers: what names the other profile from here on.
    before:    splits by which that one began itself: (split, from whom, what names that one).
    again:     the external id that was split off; empty: none was.
    """

    store: StoreId
    split: str
    asked_for: Identifier
    known_as: tuple[ProfileId, ...]
    identifiers: tuple[tuple[Identifier, Instant], ...]
    claimed: tuple[Identifier, ...]
    strangers: tuple[Identifier, ...]
    before: tuple[tuple[str, ProfileId, tuple[Identifier, ...]], ...]
    again: str = ""


class NamesAgain(Inner, frozen=True, tag="names-again"):
    """This external id is not retired any more: what took its place was split off, or may not."""

    store: StoreId
    identifier: Identifier


class EventTold(Inner, frozen=True):
    """An event as it stood in the timeline, under which profile, and where it came from."""

    profile_id: ProfileId
    origin: Origin
    event: Event


class EventsTold(Inner, frozen=True, tag="events-told"):
    """A part of the history of one side of a split. It starts no flow.

    profile_id: as it was at the split. number: of the part, from 0.
    events: `EventTold`s, msgpack, zlib: even in base64 the largest event is hardly larger than it
            was in `store-events`.
    """

    store: StoreId
    profile_id: ProfileId
    split: str
    number: int
    is_last: bool
    events: bytes
