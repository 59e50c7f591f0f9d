"""Sets of numbers, as the ranges they are made of: what a comparison allows, or does not."""

from collections.abc import Iterator
from decimal import Decimal
from math import ceil, floor
from typing import NamedTuple, TypeAlias

from schemas.conditions import Compare, Comparison, Range

INFINITE = Decimal("Infinity")


class Stretch(NamedTuple):
    """From `low` to `high`; an end belongs where its flag says so."""

    low: Decimal
    low_in: bool
    high: Decimal
    high_in: bool


Numbers: TypeAlias = tuple[Stretch, ...]
"""Ranges in ascending order that do not touch."""

ALL: Numbers = (Stretch(-INFINITE, False, INFINITE, False),)
COUNTS: Numbers = (Stretch(Decimal(0), True, INFINITE, False),)


def allowed(comparison: Comparison) -> Numbers:
    """The numbers that pass."""
    match comparison:
        case Range(least, most):
            return (Stretch(least, True, most, True),)
        case Compare("=", to):
            return (Stretch(to, True, to, True),)
        case Compare("!=", to):
            return without(ALL, (Stretch(to, True, to, True),))
        case Compare(">" | ">=" as operator, to):
            return (Stretch(to, operator == ">=", INFINITE, False),)
        case Compare(operator, to):
            return (Stretch(-INFINITE, False, to, operator == "<="),)


def both(one: Numbers, other: Numbers) -> Numbers:
    """What is in both."""
    shared = (
        Stretch(*max((a.low, a.low_in), (b.low, b.low_in), key=_low_end), *_least_high(a, b))
        for a in one
        for b in other
    )
    return tuple(stretch for stretch in shared if _is_some(stretch))


def without(one: Numbers, other: Numbers) -> Numbers:
    """What is in the first, and not in the second."""
    rest = one
    for stretch in other:
        outside = (
            Stretch(-INFINITE, False, stretch.low, not stretch.low_in),
            Stretch(stretch.high, not stretch.high_in, INFINITE, False),
        )
        rest = both(rest, tuple(part for part in outside if _is_some(part)))
    return rest


def whole(numbers: Numbers) -> Iterator[tuple[Decimal, Decimal]]:
    """(least, most) of the whole numbers in each range that has some."""
    for low, low_in, high, high_in in numbers:
        least = low if low.is_infinite() else Decimal(ceil(low) if low_in else floor(low) + 1)
        most = high if high.is_infinite() else Decimal(floor(high) if high_in else ceil(high) - 1)
        if least <= most:
            yield least, most


def _low_end(end: tuple[Decimal, bool]) -> tuple[Decimal, bool]:
    number, belongs = end
    return number, not belongs


def _least_high(one: Stretch, other: Stretch) -> tuple[Decimal, bool]:
    return min((one.high, one.high_in), (other.high, other.high_in))


def _is_some(stretch: Stretch) -> bool:
    low, low_in, high, high_in = stretch
    return low < high or (low == high and low_in and high_in)
