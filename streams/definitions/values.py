"""The table of tests of values, and property filters: what may follow `where` and `trait`."""

from typing import Any

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
from streams.definitions import comparisons
from streams.definitions.problems import Path, show
from streams.definitions.readers import Compares, Flag, Pattern, Reader, Reading, Text, Value
from streams.definitions.shapes import ListOf, no_error_since

PATH = r"[^\[\]]+(\[\])?(\.[^\[\]]+(\[\])?)*"


class Being:
    """What `is` takes: a value, a list of values (any of them), or a comparison."""

    def read(self, found: Any, at: Path, reading: Reading) -> ValueTest | None:
        if isinstance(found, str):
            if comparisons.is_reversed(found):
                reading.refuse(at, f"{show(found)} {comparisons.why_none(found)}")
                return None
            comparison = comparisons.to_comparison(found)
            operator = comparisons.split_operator(found)
            if operator and operator[0] in ("=", "!="):
                values = (_scalar(operator[1]),)
                return IsOneOf(values) if operator[0] == "=" else IsNoneOf(values)
            if operator and comparison is None:
                reading.refuse(at, f"{show(found)} compares with '{operator[1]}': no number")
                return None
            if comparison is not None and comparisons.to_number(found) is None:
                return IsCompared(comparison)
        values = ListOf(Value(), single=True, least=1).read(found, at, reading)
        return None if values is None else IsOneOf(values)

    def schema(self) -> dict[str, Any]:
        return ListOf(Value(), single=True, least=1).schema()


def _scalar(text: str) -> Any:
    return comparisons.to_scalar(text)


class Containing:
    """The text as written, and the value that an element of a list would equal."""

    def read(self, found: Any, at: Path, reading: Reading) -> Contains | None:
        value = Value().read(found, at, reading)
        if value is None:
            return None
        return Contains(value, found if isinstance(found, str) else str(found))

    def schema(self) -> dict[str, Any]:
        return Value().schema()


class Test:
    """An operator: what it takes, and the test it makes of it."""

    def __init__(self, reads: Reader, make: Any = None) -> None:
        self.reads, self.make = reads, make

    def read(self, found: Any, at: Path, reading: Reading) -> ValueTest | None:
        before = len(reading.problems)
        value = self.reads.read(found, at, reading)
        if not no_error_since(reading, before) or value is None:
            return None
        made: ValueTest = self.make(value) if self.make else value
        return made

    def schema(self) -> dict[str, Any]:
        return self.reads.schema()


TESTS: dict[str, Test] = {
    "is": Test(Being()),
    "is_not": Test(ListOf(Value(), single=True, least=1), IsNoneOf),
    "contains": Test(Containing()),
    "starts_with": Test(Text(), StartsWith),
    "ends_with": Test(Text(), EndsWith),
    "matches": Test(Pattern(), Matches),
    "is_set": Test(Flag(), IsSet),
    "length": Test(Compares(whole=True), HasLength),
}
TRIGGER = Test(Text("the name of a property"), SameAsTrigger)


class Where:
    """Property filters: path -> a value, a list of values, a comparison, or a map of operators."""

    def read(self, found: Any, at: Path, reading: Reading) -> tuple[Filter, ...] | None:
        if not isinstance(found, dict) or not found:
            reading.refuse(
                at, f"{show(found)} is not a map of properties such as {{category: shoes}}"
            )
            return None
        before = len(reading.problems)
        filters = []
        for path, wanted in found.items():
            here = (*at, str(path))
            name = Text("the name of a property such as category or items[].category", PATH)
            name.read(path, here, reading)
            filters.append(Filter(str(path), read_tests(wanted, here, reading)))
        return tuple(filters) if no_error_since(reading, before) else None

    def schema(self) -> dict[str, Any]:
        return {"$ref": "#/$defs/where"}

    def full_schema(self) -> dict[str, Any]:
        operators = {
            "type": "object",
            "properties": {
                **{k: t.schema() for k, t in TESTS.items()},
                "trigger": TRIGGER.schema(),
            },
            "additionalProperties": False,
            "minProperties": 1,
        }
        return {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"anyOf": [Being().schema(), operators]},
        }


def read_tests(wanted: Any, at: Path, reading: Reading) -> tuple[ValueTest, ...]:
    """The tests of one property: `shoes`, `[S, M]`, `"> 5"`, `{starts_with: A, length: "> 3"}`."""
    if not isinstance(wanted, dict):
        test = TESTS["is"].read(wanted, at, reading)
        return () if test is None else (test,)
    if not wanted:
        reading.refuse(at, "an empty map tests nothing; say a value or operators such as is_set")
    tests = []
    for key, value in wanted.items():
        operator = TRIGGER if key == "trigger" else TESTS.get(key)
        if operator is None:
            reading.refuse(
                (*at, str(key)), f"{show(key)} is not one of {', '.join(TESTS)}, trigger"
            )
            continue
        test = operator.read(value, (*at, str(key)), reading)
        if test is not None:
            tests.append(test)
    return tuple(tests)
