"""Tests of values: property filters of events and of triggers, tests of traits.

Numbers are compared as exact decimals; text that is a number equals that number. Where a path
leads into a list (`items[].category`) one value that passes is enough; a negation asks that none is
equal. A negation also holds where there is no value.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, TypeAlias

import re2

from schemas.conditions import (
    Contains,
    EndsWith,
    Filter,
    HasLength,
    IsCompared,
    IsNoneOf,
    IsOneOf,
    IsSet,
    Matches,
    SameAsTrigger,
    StartsWith,
    ValueTest,
)
from schemas.rows import Trigger
from streams.definitions.comparisons import compile_comparison, to_number
from streams.definitions.readers import quiet_options

Get: TypeAlias = Callable[[Any], Any]
Passes: TypeAlias = Callable[[Any], bool]
EventTest: TypeAlias = Callable[[Any, Trigger | None], bool]


def canonical(value: Any) -> Any:
    """What equal values have in common: a hashable that tells `true` from 1 and `a` from `A`."""
    if isinstance(value, str):
        number = to_number(value) if value[-1:].isdigit() else None
        return value if number is None else number
    if isinstance(value, bool):
        return "\x00true" if value else "\x00false"
    if isinstance(value, int | Decimal):
        return value
    return Decimal(repr(value)) if isinstance(value, float) else None


# --- paths ---------------------------------------------------------------------------------------


def compile_path(path: str) -> Get:
    """What stands at the path, None where nothing does; a list of values where it has `[]`."""
    if path == "value":
        return lambda bearer: None if bearer.value is None else Decimal(bearer.value).scaleb(-6)
    if "." not in path and "[]" not in path:
        return lambda bearer: bearer.properties.get(path)
    parts = path.split(".")

    def get(bearer: Any) -> Any:
        properties = bearer.properties
        return properties[path] if path in properties else _descend([properties], parts)

    return get


def is_many(path: str) -> bool:
    return "[]" in path


def _descend(places: list[Any], parts: list[str]) -> Any:
    many = False
    for part in parts:
        name = part.removesuffix("[]")
        places = [place[name] for place in places if isinstance(place, dict) and name in place]
        if name != part:
            many = True
            places = [item for place in places if isinstance(place, list) for item in place]
    if many:
        return places
    return places[0] if places else None


# --- tests ---------------------------------------------------------------------------------------


def compile_test(test: ValueTest) -> tuple[Passes, bool]:
    """(test of one value, is it a negation): a negation says what must not be."""
    match test:
        case IsOneOf(values):
            return _is_one_of(values), False
        case IsNoneOf(values):
            return _is_one_of(values), True
        case IsCompared(comparison):
            compare = compile_comparison(comparison)
            return lambda value: (number := to_number(value)) is not None and compare(number), False
        case Contains(value, text):
            return _contains(canonical(value), text), False
        case StartsWith(text):
            return lambda value: text_of(value).startswith(text), False
        case EndsWith(text):
            return lambda value: text_of(value).endswith(text), False
        case Matches(pattern):
            search = re2.compile(pattern, quiet_options()).search
            return lambda value: value is not None and search(text_of(value)) is not None, False
        case IsSet(wanted):
            return lambda value: value is not None, not wanted
        case HasLength(comparison):
            fits = compile_comparison(comparison)
            return lambda value: isinstance(value, str | list) and fits(len(value)), False
        case SameAsTrigger():
            raise AssertionError("a comparison with the trigger is compiled where the trigger is")


def _is_one_of(values: Iterable[Any]) -> Passes:
    wanted = frozenset(map(canonical, values))
    if all(isinstance(value, str) for value in wanted):
        texts = frozenset(value for value in wanted if not value.startswith("\x00"))
        if texts == wanted:
            return lambda value: isinstance(value, str) and value in texts
    return lambda value: canonical(value) in wanted


def _contains(wanted: Any, text: str) -> Passes:
    def contains(value: Any) -> bool:
        if isinstance(value, list):
            return any(canonical(item) == wanted for item in value)
        return value is not None and text in text_of(value)

    return contains


def text_of(value: Any) -> str:
    """A value as text: numbers as they are written, nothing for what is neither."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return ""
    return str(value)


def compile_tests(tests: Iterable[ValueTest], *, many: bool = False) -> Passes:
    """All tests of one value, or of the values that a path with `[]` leads to."""
    compiled = [_one_test(*compile_test(test), many) for test in tests]
    if len(compiled) == 1:
        return compiled[0]
    return lambda value: all(test(value) for test in compiled)


def _one_test(passes: Passes, negation: bool, many: bool) -> Passes:
    if many:
        if negation:
            return lambda values: not any(passes(value) for value in values or ())
        return lambda values: any(passes(value) for value in values or ())
    return (lambda value: not passes(value)) if negation else passes


# --- filters -------------------------------------------------------------------------------------


def compile_filters(filters: Iterable[Filter]) -> Passes | None:
    """A test of events (or triggers) without comparisons with a trigger; None: all pass."""
    pairs = [
        (compile_path(one.path), compile_tests(one.tests, many=is_many(one.path)))
        for one in filters
    ]
    if not pairs:
        return None
    if len(pairs) == 1:
        get, test = pairs[0]
        return lambda bearer: test(get(bearer))
    return lambda bearer: all(test(get(bearer)) for get, test in pairs)


def compile_event_test(filters: tuple[Filter, ...]) -> EventTest:
    """A test of an event that may be compared with the trigger of a run."""
    own, compared = split_filters(filters)
    passes = compile_filters(own)
    same = [(compile_path(path), compile_path(other)) for path, other in compared]

    def test(event: Any, trigger: Trigger | None) -> bool:
        if passes is not None and not passes(event):
            return False
        return all(
            trigger is not None and is_same(get(event), get_other(trigger))
            for get, get_other in same
        )

    return test


def split_filters(
    filters: tuple[Filter, ...],
) -> tuple[tuple[Filter, ...], tuple[tuple[str, str], ...]]:
    """(filters of the event alone, (path, path in the trigger) of the comparisons)."""
    own, compared = [], []
    for one in filters:
        tests = tuple(test for test in one.tests if not isinstance(test, SameAsTrigger))
        if tests:
            own.append(Filter(one.path, tests))
        compared += [(one.path, t.path) for t in one.tests if isinstance(t, SameAsTrigger)]
    return tuple(own), tuple(compared)


def is_same(value: Any, other: Any) -> bool:
    """Are they equal, or do two lists share a value? Nothing equals nothing."""
    values = {canonical(item) for item in (value if isinstance(value, list | tuple) else (value,))}
    others = {canonical(item) for item in (other if isinstance(other, list | tuple) else (other,))}
    return bool((values & others) - {None})
