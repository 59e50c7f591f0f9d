"""What follows from conditions alone: that nobody can be in, that all of one are in the other.

Sound, not complete: what is said here is true of every profile at every instant; much that is true
is not said. A condition is taken apart into ways to hold, each a set of leaves that hold or fail; a
way is impossible where some of its leaves exclude each other. One condition is contained in another
if the one without the other is impossible.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from schemas import conditions as c
from schemas.values import SegmentId
from streams.definitions.exclusion import Assumed, Way, is_impossible
from streams.segments.rfm import GROUPS
from streams.segments.values import canonical

WAYS_MAX = 400
"""Of a condition with more ways to hold nothing is said."""

AT_LEAST_ONCE = c.Compare(">=", Decimal(1))


def told_apart(part: Any) -> Any:
    """A condition with the same meaning in which `true` and 1, which Python calls equal, differ."""
    match part:
        case c.IsOneOf(values) | c.IsNoneOf(values):
            return type(part)(tuple(map(canonical, values)))
        case c.TraitHeld(value=value) | c.Contains(value=value):
            return msgspec.structs.replace(part, value=canonical(value))
        case msgspec.Struct():
            inner = {name: told_apart(getattr(part, name)) for name in part.__struct_fields__}
            return msgspec.structs.replace(part, **inner)
        case tuple():
            return tuple(map(told_apart, part))
    return part


class TooMany(Exception):
    """There are too many ways for the condition to hold."""


class Logic:
    """segments: the conditions of those that others may name, without circles."""

    def __init__(self, segments: Mapping[SegmentId, c.Condition]) -> None:
        self._segments = segments

    def is_empty(self, condition: c.Condition) -> bool:
        """Can nobody ever pass? False also where that is not known."""
        return self._is_none(Assumed(condition, holds=True))

    def is_contained(self, one: c.Condition, other: c.Condition) -> bool:
        """Does everybody who passes the one pass the other? False also where it is not known."""
        return self._is_none(Assumed(one, holds=True), Assumed(other, holds=False))

    def _is_none(self, *assumed: Assumed) -> bool:
        try:
            ways = _joined([self._ways(*one) for one in assumed])
        except TooMany:
            return False
        return all(is_impossible(way) for way in ways)

    def _ways(self, condition: c.Condition, holds: bool) -> list[Way]:
        """The ways in which it holds, or fails."""
        match condition:
            case c.AllOf(parts) | c.AnyOf(parts):
                each = [self._ways(part, holds) for part in parts]
                all_of_them = isinstance(condition, c.AllOf) is holds
                return _joined(each) if all_of_them else _either(each)
            case c.NoneOf(parts):
                return self._ways(c.AnyOf(parts), not holds)
        same = self._same(condition)
        if same is not None:
            return self._ways(same, holds)
        itself: list[Way] = [frozenset([Assumed(condition, holds)])]
        if not holds:
            return itself
        return _joined([itself, *(self._ways(other, True) for other in _also(condition))])

    def _same(self, leaf: c.Condition) -> c.Condition | None:
        """Another way of saying the leaf, in simpler ones."""
        match leaf:
            case c.InSegment(segment=name, span=None):
                return self._segments.get(name)
            case c.RfmIs(groups):
                return c.AnyOf(tuple(GROUPS[group] for group in groups))
            case c.CanReceive(channel, on) if on is not None:
                return c.AllOf((c.CanReceive(channel), c.InList(on)))
            case c.TraitIs(trait, tests) if len(tests) > 1:
                return c.AllOf(tuple(c.TraitIs(trait, (test,)) for test in tests))
        return None


def _also(leaf: c.Condition) -> Iterator[c.Condition]:
    """What holds as well wherever the leaf holds."""
    match leaf:
        case c.InSegment(segment=name, span=span) if span is not None:
            yield c.InSegment(name)
        case c.InList(name, span) if span is not None:
            yield c.InList(name)
        case c.ConsentIs(channel, state, method, span) if method or span is not None:
            yield c.ConsentIs(channel, state)
        case c.TraitHeld(trait, value):
            yield c.TraitIs(trait, (c.IsOneOf((value,)),))
        case c.TraitDate(trait) | c.Anniversary(trait):
            yield c.TraitIs(trait, (c.IsSet(True),))
        case c.Sequence(steps, window):
            happened = dict.fromkeys(step.event for step in steps if step.happened)
            yield from (c.Did(event, AT_LEAST_ONCE, window) for event in happened)
        case c.Measured(event, measure, window=window) if measure != "total":
            yield c.Did(event, AT_LEAST_ONCE, window)


def _joined(each: Sequence[Sequence[Way]]) -> list[Way]:
    """One way of each."""
    ways: list[Way] = [frozenset()]
    for choices in each:
        ways = list(dict.fromkeys(way | choice for way in ways for choice in choices))
        if len(ways) > WAYS_MAX:
            raise TooMany
    return ways


def _either(each: Sequence[Sequence[Way]]) -> list[Way]:
    """One way of any."""
    ways = list(dict.fromkeys(way for choices in each for way in choices))
    if len(ways) > WAYS_MAX:
        raise TooMany
    return ways
