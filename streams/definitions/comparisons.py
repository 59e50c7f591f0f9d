"""Comparisons (`> 500`, `2..5`) and the values they compare: exact decimals, never floats."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, get_args

from schemas.conditions import Compare, Comparison, Operator, Range, Scalar

NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,12})?", re.ASCII)
"""Text that is a number: as JSON writes one, so `007` and `1e5` are texts."""

_COMPARED = re.compile(r"(>=|<=|!=|=|>|<) ?(.+)", re.DOTALL)
_LONG_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_RANGE = re.compile(r"(-?[\d.]+?)\.\.(-?[\d.]+)")


def to_number(found: Any) -> Decimal | None:
    """A number, or text that is one; None for everything else."""
    if isinstance(found, str):
        return Decimal(found) if NUMBER.fullmatch(found) else None
    if isinstance(found, bool):
        return None
    if isinstance(found, (int, Decimal)):
        return Decimal(found)
    return Decimal(repr(found)) if isinstance(found, float) else None


def to_scalar(found: Any) -> Scalar | None:
    """What a value is compared as: a number where it is one, else the text or truth value."""
    number = to_number(found)
    if number is not None:
        return number.normalize() if number else Decimal(0)
    return found if isinstance(found, str | bool) else None


def to_comparison(found: Any) -> Comparison | None:
    """Read `> 500`, `2..5`, `3`; None where it compares with nothing that is a number."""
    number = to_number(found)
    if number is not None:
        return Compare("=", number)
    if not isinstance(found, str):
        return None
    text = found.strip()
    bounds = _RANGE.fullmatch(text)
    if bounds:
        least, most = to_number(bounds[1]), to_number(bounds[2])
        return None if least is None or most is None or least > most else Range(least, most)
    compared = _COMPARED.fullmatch(text)
    number = to_number(compared[2].strip()) if compared else None
    operator = next((o for o in get_args(Operator) if compared and o == compared[1]), None)
    return None if operator is None or number is None else Compare(operator, number)


def why_none(found: Any) -> str:
    """Why `to_comparison` finds none: the end of a sentence that begins with what was found."""
    if is_reversed(found):
        return "is an empty range: the smaller end comes first"
    compared = _COMPARED.fullmatch(found.strip()) if isinstance(found, str) else None
    if compared and _LONG_NUMBER.fullmatch(compared[2]):
        return "compares with a number of more than 18 digits, or 12 after the point"
    return 'is not a comparison such as ">= 3", 2 or 2..5'


def is_reversed(found: Any) -> bool:
    """Is this a range whose larger end comes first?"""
    bounds = _RANGE.fullmatch(found.strip()) if isinstance(found, str) else None
    least, most = (to_number(bounds[1]), to_number(bounds[2])) if bounds else (None, None)
    return least is not None and most is not None and least > most


def is_written_as_one(found: Any) -> bool:
    """Is this a text that would compare with numbers: `> 5`, `2..5`, `5..2`?"""
    if not isinstance(found, str) or to_number(found) is not None:
        return False
    return is_reversed(found) or to_comparison(found) is not None


def split_operator(text: str) -> tuple[str, str] | None:
    """(`!=`, `gold`) of `!= gold`; None where there is no operator in front."""
    compared = _COMPARED.fullmatch(text.strip())
    return (compared[1], compared[2].strip()) if compared else None


def show_comparison(comparison: Comparison) -> str:
    match comparison:
        case Range(least, most):
            return f"{show_number(least)}..{show_number(most)}"
        case Compare(operator, to):
            return f"{operator} {show_number(to)}"


def show_number(number: Decimal | int) -> str:
    return format(number, "f")


def bounds(comparison: Comparison) -> tuple[Decimal, ...]:
    """The numbers it compares with."""
    match comparison:
        case Range(least, most):
            return least, most
        case Compare(_, to):
            return (to,)


def compile_comparison(comparison: Comparison, scale: int = 1) -> Callable[[Any], bool]:
    """A test of numbers that are `scale` times as large as what the comparison means."""
    match comparison:
        case Range(least, most):
            low, high = _exact(least * scale), _exact(most * scale)
            return lambda number: low <= number <= high
        case Compare(operator, to):
            return _COMPILED[operator](_exact(to * scale))


_COMPILED: dict[Operator, Callable[[Decimal | int], Callable[[Any], bool]]] = {
    ">": lambda limit: lambda number: number > limit,
    ">=": lambda limit: lambda number: number >= limit,
    "<": lambda limit: lambda number: number < limit,
    "<=": lambda limit: lambda number: number <= limit,
    "=": lambda limit: lambda number: number == limit,
    "!=": lambda limit: lambda number: number != limit,
}


def _exact(number: Decimal) -> Decimal | int:
    """An int where it is one: comparing ints is what costs least."""
    return int(number) if number == number.to_integral_value() else number
