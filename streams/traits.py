"""Which of two words about a trait counts, and since when a value is held.

In and out: traits as rows keep them. The order in which the two came makes no difference.
"""

import msgspec

from schemas.rows import Trait
from schemas.values import Instant, Millis

BY_CLIENT: Millis = 100_000_000_000_000
"""So much earlier does a trait count that a client says: earlier than all that servers say."""


def newer(one: Trait, other: Trait) -> Trait:
    """Which of two counts: a server's word before a client's, what is set before what is only said
    once; then the newest `occurred_at`, of what is said once the earliest, of two the larger value.

    Where a trait was removed, what is said once and later stands; but a client's word not for a
    server's.
    """
    same = is_same_value(one.value, other.value)
    ranks = [(trait.occurred_at >= 0, not trait.once) for trait in (one, other)]
    if ranks[0] != ranks[1]:
        first, second = (one, other) if ranks[0] > ranks[1] else (other, one)
        if same:
            return msgspec.structs.replace(first, since=_held_since(first, second))
        later = second.once and second.occurred_at > first.occurred_at
        stands = first.value is None and later and ranks[0][0] is ranks[1][0]
        return second if stands else first
    if same:
        pick = min if one.once else max
        at = pick(one.occurred_at, other.occurred_at)
        other_at = max(one.other_at, other.other_at)
        return Trait(one.value, at, _held_since(one, other), one.once, other_at)
    if one.occurred_at == other.occurred_at:
        is_first = is_larger(one.value, other.value)
    else:
        is_first = (one.occurred_at > other.occurred_at) is not one.once
    first, second = (one, other) if is_first else (other, one)
    return first if one.once else _interrupted(first, second)


def said_at(trait: Trait) -> Instant:
    """When the trait was said, whoever said it."""
    return trait.occurred_at if trait.occurred_at >= 0 else trait.occurred_at + BY_CLIENT


def _held_since(one: Trait, other: Trait) -> Instant:
    """Since when the value that both have is held: nothing else was said after that."""
    other_at = max(one.other_at, other.other_at)
    times = (one.since, said_at(one), other.since, said_at(other))
    return min(time for time in times if time >= other_at)


def _interrupted(trait: Trait, other: Trait) -> Trait:
    """The trait, where another value was said before it, or at the same instant; if in between, it
    is held since the last time it was said. Of one instant the larger value counts.
    """
    last = said_at(trait)
    free = 0 if is_larger(trait.value, other.value) else 1
    before = [time + free for time in (other.since, said_at(other)) if time + free <= last]
    other_at = max((trait.other_at, *before))
    since = trait.since if trait.since >= other_at else last
    return msgspec.structs.replace(trait, since=since, other_at=other_at)


def is_larger(value: object, other: object) -> bool:
    """A fixed order over all values, so that both orders of arrival come to the same."""
    return msgspec.json.encode(value) > msgspec.json.encode(other)


def is_same_value(value: object, other: object) -> bool:
    return value == other and type(value) is type(other)
