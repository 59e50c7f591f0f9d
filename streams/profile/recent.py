"""The memory of events that were seen: of each a hash and when it was received, oldest first.

Kept as bytes, 16 an event: most of a row's numbers are here, and a step looks at one of them.
"""

from typing import Final

from schemas.rows import Seen
from schemas.values import Instant, Millis
from streams.ids import key_number

RECENT_MAX: Final = 512
"""Events kept to recognise repeats."""

_HALF, _WHOLE = 8, 16


def remembered(seen: Seen, name: str, now: Instant, within: Millis) -> bytes | None:
    """The memory with `name` in it, and without what is older than `within`; None: `name` is in it
    already, so this is a repeat.
    """
    recent = _packed(seen)
    mark = key_number(name).to_bytes(_HALF, "big")
    place = _place(recent, mark)
    if place is not None:
        if now - _received_at(recent, place) < within:
            return None
        recent = recent[:place] + recent[place + _WHOLE :]
    recent += mark + now.to_bytes(_HALF, "big")
    begin = max(0, len(recent) - RECENT_MAX * _WHOLE)
    while begin < len(recent) and now - _received_at(recent, begin) >= within:
        begin += _WHOLE
    return recent[begin:]


def unite(one: Seen, other: Seen) -> tuple[bytes, int]:
    """What either remembers, the newest of it, and how many events both do."""
    seen, others = _entries(_packed(one)), _entries(_packed(other))
    shared = seen.keys() & others.keys()
    for mark, at in others.items():
        seen[mark] = max(at, seen.get(mark, at))
    newest = sorted(seen, key=lambda mark: (seen[mark], mark))[-RECENT_MAX:]
    return b"".join(mark + seen[mark] for mark in newest), len(shared)


def _packed(seen: Seen) -> bytes:
    """Rows of schema 4 and before had numbers."""
    if isinstance(seen, bytes):
        return seen
    return b"".join(
        mark.to_bytes(_HALF, "big") + at.to_bytes(_HALF, "big") for mark, at in seen.items()
    )


def _entries(recent: bytes) -> dict[bytes, bytes]:
    """mark -> when it was received."""
    places = range(0, len(recent), _WHOLE)
    return {recent[at : at + _HALF]: recent[at + _HALF : at + _WHOLE] for at in places}


def _place(recent: bytes, mark: bytes) -> int | None:
    """Where the entry of `mark` begins; what is found across two entries is none."""
    place = recent.find(mark)
    while place >= 0:
        if place % _WHOLE == 0:
            return place
        place = recent.find(mark, place + 1)
    return None


def _received_at(recent: bytes, place: int) -> Instant:
    return int.from_bytes(recent[place + _HALF : place + _WHOLE], "big")
