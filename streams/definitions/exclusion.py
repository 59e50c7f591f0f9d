"""Which leaves exclude each other: at no instant do all of them hold (or fail) as they say.

What is known of counts: an event that passes more filters, in a window within the other, is counted
by the other too. What is known of values: one trait has one value.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import product
from typing import NamedTuple, TypeAlias, assert_never

import msgspec

from schemas import conditions as c
from streams.definitions.comparisons import to_number
from streams.definitions.ranges import (
    ALL,
    COUNTS,
    INFINITE,
    Numbers,
    Stretch,
    allowed,
    both,
    whole,
    without,
)
from streams.segments.places import REGIONS
from streams.segments.values import canonical, compile_tests


class Assumed(NamedTuple):
    """That a leaf holds, or fails."""

    leaf: c.Condition
    holds: bool


Way: TypeAlias = frozenset[Assumed]
NOTHING: Numbers = allowed(c.Compare("=", Decimal(0)))

Dated: TypeAlias = c.Window | c.InNext | c.InMonth


def is_impossible(way: Way) -> bool:
    """Do some of these exclude each other?"""
    return (
        any(Assumed(leaf, not holds) in way for leaf, holds in way)
        or any(why_never(leaf) for leaf, holds in way if holds)
        or any(
            _covers(other.leaf, one.leaf)
            for one, other in product(way, way)
            if one.holds and not other.holds
        )
        or _counts_exclude(way)
        or _values_exclude(way)
        or _states_exclude(way)
    )


def why_never(part: c.Condition | c.EventFilter) -> str | None:
    """Why the leaf holds for nobody, or no event passes the filter; None: that is not known."""
    match part:
        case c.Sampled(share=0) | c.Ranked(share=0):
            return "it is a share of nobody"
        case c.Did(times=times) if not _is_count(times):
            return "no count is like that"
        case c.OfNewest(count, times=times) if not _is_count(times, Decimal(count)):
            return f"of the newest {count} it is {count} at most"
        case c.ConsentIs(state="never", method=method, in_last=span) if method or span is not None:
            return "`never` was said at no time and by no method"
        case c.TraitIs(_, tests) if _tests_exclude([(test, True) for test in tests]):
            return "its tests exclude each other"
        case c.EventFilter(_, where) if any(_excludes_all(one) for one in where):
            return "its tests exclude each other"
    return None


def _is_count(times: c.Comparison, most: Decimal = INFINITE) -> bool:
    """Does any count up to `most` pass?"""
    possible = both(COUNTS, (Stretch(Decimal(0), True, most, True),))
    return bool(list(whole(both(possible, allowed(times)))))


def _excludes_all(where: c.Filter) -> bool:
    """Of a path with one value; what the trigger's is nobody knows."""
    known = [(test, True) for test in where.tests if not isinstance(test, c.SameAsTrigger)]
    return "[]" not in where.path and _tests_exclude(known)


# --- one leaf holds wherever another does --------------------------------------------------------


def _covers(wide: c.Condition, narrow: c.Condition) -> bool:
    """Does `wide` hold wherever `narrow` does? Of leaves that differ in one number only."""
    match wide, narrow:
        case c.Sampled(most, seed), c.Sampled(least, other):
            return seed == other and least <= most
        case c.InSegment(name, span), c.InSegment(other, longer):
            return name == other and (longer or 0) >= (span or 0)
        case c.InList(name, span), c.InList(other, shorter):
            return name == other and _is_within(shorter, span)
        case c.ConsentIs(), c.ConsentIs():
            return (
                (wide.channel, wide.state) == (narrow.channel, narrow.state)
                and wide.method in (None, narrow.method)
                and _is_within(narrow.in_last, wide.in_last)
            )
        case c.TraitHeld(trait, value, span), c.TraitHeld(other, same, longer):
            return (trait, canonical(value)) == (other, canonical(same)) and longer >= span
        case c.Ranked(most, bottom), c.Ranked(least, other):
            same = msgspec.structs.replace(wide, share=least) == narrow
            return bottom is other and same and least <= most
        case c.TraitDate(trait, window), c.TraitDate(other, shorter):
            return trait == other and is_within(shorter, window)
        case c.Anniversary(trait, window), c.Anniversary(other, shorter):
            return trait == other and is_within(shorter, window)
        case c.Near(), c.Near():
            place = (wide.latitude, wide.longitude)
            same = place == (narrow.latitude, narrow.longitude)
            return same and narrow.within_meters <= wide.within_meters
        case c.InCountry() | c.InRegion(), c.InCountry() | c.InRegion():
            return countries_of(narrow) <= countries_of(wide)
    return False


def _is_within(shorter: int | None, longer: int | None) -> bool:
    """Of spans that look back from now; None: ever."""
    return longer is None or (shorter is not None and shorter <= longer)


def countries_of(leaf: c.InCountry | c.InRegion) -> frozenset[str]:
    names = leaf.countries if isinstance(leaf, c.InCountry) else REGIONS[leaf.region]
    return frozenset(name.casefold() for name in names)


def is_within(shorter: Dated | None, longer: Dated | None) -> bool:
    """Is what lies in the one window always in the other? None: ever."""
    if longer is None or shorter == longer:
        return True
    match shorter, longer:
        case ((c.InLast(span) | c.Ago(far=span)), c.InLast(most)):
            return span <= most
        case c.AtLeastAgo(span), c.AtLeastAgo(least):
            return span >= least
        case c.Ago(near, _), c.AtLeastAgo(least):
            return near >= least
        case c.Ago(near, far), c.Ago(least, most):
            return near >= least and far <= most
        case ((c.Before(end) | c.Between(end=end)), c.Before(latest)):
            return end <= latest
        case ((c.After(start) | c.Between(start=start)), c.After(earliest)):
            return start >= earliest
        case c.Between(start, end), c.Between(earliest, latest):
            return start >= earliest and end <= latest
        case c.InNext(span), c.InNext(most):
            return span <= most
    return False


# --- counts and amounts --------------------------------------------------------------------------


class _Counted(NamedTuple):
    event: c.EventFilter
    window: c.Window | None


def _counts_exclude(way: Way) -> bool:
    """Bounds of how often each thing was done, and of what it amounts to."""
    counts: dict[_Counted, Numbers] = {}
    amounts: dict[tuple[_Counted, c.Measure, str], Numbers] = {}
    for leaf, holds in sorted(way, key=lambda one: not one.holds):
        match leaf:
            case c.Did(event, times, window):
                found = _Counted(event, window)
                most = NOTHING if why_never(event) else COUNTS
                counts[found] = _narrowed(counts.get(found, most), times, holds)
            case c.Measured(event, measure, of, comparison, window):
                key = (_Counted(event, window), measure, of)
                if holds or measure == "total" or key in amounts:  # else there may be none
                    amounts[key] = _narrowed(amounts.get(key, ALL), comparison, holds)
    if not all(amounts.values()):
        return True
    for (counted, measure, _), numbers in amounts.items():
        if measure == "total" and not both(numbers, NOTHING):
            once = c.Compare(">=", Decimal(1))
            counts[counted] = _narrowed(counts.get(counted, COUNTS), once, holds=True)
    ends = {counted: list(whole(numbers)) for counted, numbers in counts.items()}
    if not all(ends.values()):
        return True
    return any(
        ends[few][0][0] > ends[many][-1][1]
        for few, many in product(ends, ends)
        if _is_part(few, many)
    )


def _narrowed(numbers: Numbers, comparison: c.Comparison, holds: bool) -> Numbers:
    passing = allowed(comparison)
    return both(numbers, passing) if holds else without(numbers, passing)


def _is_part(few: _Counted, many: _Counted) -> bool:
    """Is every event that counts for the one counted for the other too?"""
    return (
        few.event.metric == many.event.metric
        and is_within(few.window, many.window)
        and all(
            any(_filters_more(narrow, wide) for narrow in few.event.where)
            for wide in many.event.where
        )
    )


def _filters_more(narrow: c.Filter, wide: c.Filter) -> bool:
    if narrow.path != wide.path:
        return False
    return all(
        any(test == other or _picks_more(test, other) for test in narrow.tests)
        for other in wide.tests
    )


def _picks_more(narrow: c.ValueTest, wide: c.ValueTest) -> bool:
    match narrow, wide:
        case c.IsOneOf(few), c.IsOneOf(many):
            return set(map(canonical, few)) <= set(map(canonical, many))
        case c.IsNoneOf(many), c.IsNoneOf(few):
            return set(map(canonical, few)) <= set(map(canonical, many))
        case c.IsCompared(one), c.IsCompared(other):
            return not without(allowed(one), allowed(other))
    return False


# --- values --------------------------------------------------------------------------------------


def _values_exclude(way: Way) -> bool:
    """One trait has one value; a profile is in one country."""
    traits: defaultdict[str, list[tuple[c.ValueTest, bool]]] = defaultdict(list)
    places: list[tuple[frozenset[str], bool]] = []
    for leaf, holds in way:
        match leaf:
            case c.TraitIs(trait, (test,)):
                traits[trait].append((test, holds))
            case c.InCountry() | c.InRegion():
                places.append((countries_of(leaf), holds))
    return any(_tests_exclude(tests) for tests in traits.values()) or _countries_exclude(places)


def _countries_exclude(places: Iterable[tuple[frozenset[str], bool]]) -> bool:
    wanted = [countries for countries, holds in places if holds]
    refused: frozenset[str] = frozenset().union(*(found for found, holds in places if not holds))
    return bool(wanted) and not frozenset.intersection(*wanted) - refused


def _tests_exclude(tests: Sequence[tuple[c.ValueTest, bool]]) -> bool:
    is_there = [test for test, holds in tests if _needs_value(test, holds=holds)]
    if is_there and any(_is_nothing(test, holds=holds) for test, holds in tests):
        return True
    numbers = ALL
    for test, holds in tests:
        if isinstance(test, c.IsCompared) and holds:
            numbers = both(numbers, allowed(test.comparison))
    lengths = COUNTS
    for test, holds in tests:
        if isinstance(test, c.HasLength) and holds:
            lengths = both(lengths, allowed(test.comparison))
    if not list(whole(lengths)):
        return True
    if numbers != ALL:
        for test, holds in tests:
            if isinstance(test, c.IsCompared) and not holds:
                numbers = without(numbers, allowed(test.comparison))
    return not numbers or _choices_exclude(tests)


def _needs_value(test: c.ValueTest, *, holds: bool) -> bool:
    """Does this say that there is a value?"""
    match test:
        case c.IsSet(wanted):
            return wanted is holds
        case c.IsNoneOf():
            return not holds
        case c.SameAsTrigger():
            return False
        case (
            c.IsOneOf()
            | c.IsCompared()
            | c.Contains()
            | c.Matches()
            | c.HasLength()
            | c.StartsWith()
            | c.EndsWith()
        ):
            return holds
        case _:
            assert_never(test)


def _is_nothing(test: c.ValueTest, *, holds: bool) -> bool:
    return isinstance(test, c.IsSet) and test.wanted is not holds


def _choices_exclude(tests: Sequence[tuple[c.ValueTest, bool]]) -> bool:
    """Where the value is one of a few, is none of them left by what else is said?

    A text is known to the letter; of a number only its size is.
    """
    chosen = [test.values for test, holds in tests if isinstance(test, c.IsOneOf) and holds]
    chosen += [test.values for test, holds in tests if isinstance(test, c.IsNoneOf) and not holds]
    if not chosen:
        return False
    others = [(compile_tests((test,)), test, holds) for test, holds in tests]
    return not any(
        all(
            passes(value) is holds
            for passes, test, holds in others
            if to_number(value) is None
            or isinstance(test, c.IsOneOf | c.IsNoneOf | c.IsCompared | c.IsSet)
        )
        for value in chosen[0]
    )


# --- consent -------------------------------------------------------------------------------------


def _states_exclude(way: Way) -> bool:
    """An address is in one state of consent."""
    states: defaultdict[str, set[str]] = defaultdict(set)
    for leaf, holds in way:
        if isinstance(leaf, c.ConsentIs) and holds:
            states[leaf.channel].add(leaf.state)
    return any(len(found) > 1 for found in states.values())
