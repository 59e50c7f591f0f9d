"""The history of both sides of a split, told again: what the timeline has, as records for the log.

In:  the events that stood in the timeline under a profile when an identifier was split from it.
Out: which identifiers came only with that one, and `EventsTold` for both sides, in parts. The same
     events in the same order give the same parts: whatever was told before is recognised.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from schemas.outputs import ProfileSplit
from schemas.splits import EventsTold, EventTold
from schemas.values import Identifier, ProfileId
from streams.profile.sides import belongs

COMPANIONS_MAX = 300
PART_EVENTS_MAX = 200
PART_BYTES_MAX = 512_000
"""Of one record, before it is compressed; an event larger than that is one of its own."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[EventTold, ...]).decode


def companions(
    named: Identifier, history: Iterable[EventTold], kinds: Sequence[str]
) -> tuple[Identifier, ...]:
    """The identifiers that came only with this one: weaker than it, and never in an event that
    names anybody else. At most 300, those seen last.

    kinds: of identifiers, strongest first.
    """
    rank = {kind: number for number, kind in enumerate(kinds)}
    named_rank = rank[named[0]]
    together: dict[Identifier, set[Identifier]] = defaultdict(set)
    for one in history:
        identifiers = one.event.identifiers
        for identifier in identifiers:
            if rank.get(identifier[0], -1) > named_rank:
                seen = together.pop(identifier, set())
                together[identifier] = seen.union(identifiers)
    found = {one for one, others in together.items() if named in others}
    while strays := {one for one in found if not together[one] <= {named, *found}}:
        found -= strays
    return tuple(one for one in together if one in found)[-COMPANIONS_MAX:]


def counted_once(history: Iterable[EventTold]) -> list[EventTold]:
    """In the order in which they were received, and of an event that was pushed twice the first."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for one in sorted(history, key=lambda one: one.origin):
        key = one.event.metric, one.event.id
        if key not in seen:
            seen.add(key)
            kept.append(one)
    return kept


def parts(done: ProfileSplit, told: Iterable[EventTold]) -> Iterator[EventsTold]:
    """What is to be told to both sides: first to the new one, so that the old one can be split
    again only when the timeline knows what went.

    told: all that stood under the profile, by any of its ids, when it was split.
    """
    history, going = counted_once(told), frozenset(done.identifiers)
    yield from _to(done, done.new, [one for one in history if belongs(one.event, going)])
    yield from _to(done, done.old, [one for one in history if not belongs(one.event, going)])


def _to(
    done: ProfileSplit, profile_id: ProfileId, events: Sequence[EventTold]
) -> Iterator[EventsTold]:
    packed = [list(part) for part in _cut(events)] or [[]]
    for number, part in enumerate(packed):
        is_last = number == len(packed) - 1
        content = zlib.compress(_pack(part))
        yield EventsTold(done.store, profile_id, done.split, number, is_last, content)


def events_in(part: EventsTold) -> tuple[EventTold, ...]:
    return _unpack(zlib.decompress(part.events))


def _cut(events: Sequence[EventTold]) -> Iterator[list[EventTold]]:
    part: list[EventTold] = []
    size = 0
    for one in events:
        length = len(_pack(one))
        if part and (len(part) == PART_EVENTS_MAX or size + length > PART_BYTES_MAX):
            yield part
            part, size = [], 0
        part.append(one)
        size += length
    if part:
        yield part
