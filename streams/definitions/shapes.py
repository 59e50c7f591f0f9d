"""Readers of lists and maps, and of one thing out of several that look different."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from streams.definitions.problems import Path, near, show
from streams.definitions.readers import Reader, Reading

NOT_YET = "is not supported yet"


class Field(NamedTuple):
    """One key of a map. to: the name under which `make` takes it, if that is not the key."""

    reads: Reader
    to: str | None = None
    required: bool = False


class ListOf:
    """A tuple of what `of` reads. single: one value may stand for a list of one."""

    def __init__(
        self, of: Reader, *, single: bool = False, least: int = 0, most: int = 1000
    ) -> None:
        self.of, self.single, self.least, self.most = of, single, least, most

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        if self.single and not isinstance(found, list):
            value = self.of.read(found, at, reading)
            return None if value is None else (value,)
        if not isinstance(found, list):
            return reading.refuse(at, f"{show(found)} is not a list")
        if not self.least <= len(found) <= self.most:
            wanted = f"{self.least} to {self.most} were expected"
            return reading.refuse(at, f"a list of {len(found)}; {wanted}")
        before = len(reading.problems)
        read = tuple([self.of.read(item, (*at, i), reading) for i, item in enumerate(found)])
        return read if no_error_since(reading, before) else None

    def schema(self) -> dict[str, Any]:
        many = {"type": "array", "items": self.of.schema(), "minItems": self.least}
        return {"anyOf": [self.of.schema(), many]} if self.single else many


class MapOf:
    """A map with names of the store's choosing; with `nullable`, null is kept as None."""

    def __init__(self, keys: Reader, values: Reader, *, nullable: bool = False) -> None:
        self.keys, self.values, self.nullable = keys, values, nullable

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        if not isinstance(found, dict):
            return reading.refuse(at, f"{show(found)} is not a map")
        before = len(reading.problems)
        read: dict[Any, Any] = {}
        for key, value in found.items():
            name = self.keys.read(key, (*at, str(key)), reading)
            if self.nullable and value is None:
                read[name] = None
            else:
                read[name] = self.values.read(value, (*at, str(key)), reading)
        return read if no_error_since(reading, before) else None

    def schema(self) -> dict[str, Any]:
        values = self.values.schema()
        if self.nullable:
            values = {"anyOf": [values, {"type": "null"}]}
        return {
            "type": "object",
            "propertyNames": self.keys.schema(),
            "additionalProperties": values,
        }


class Shape:
    """A map with known keys. An unknown key is an error; a missing one takes the type's default.

    make: builds the value from what was read; may report problems of its own and return None.
    yet:  False for what the language has and this version does not run.
    """

    def __init__(
        self,
        what: str,
        fields: Mapping[str, Field],
        make: Callable[..., Any],
        *,
        yet: bool = True,
        checks: Callable[[dict[str, Any], Path, Reading], None] | None = None,
    ) -> None:
        self.what, self.fields, self.make, self.yet = what, fields, make, yet
        self.checks = checks

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        if not isinstance(found, dict):
            return reading.refuse(at, f"{show(found)} is not {self.what}: a map was expected")
        before = len(reading.problems)
        values: dict[str, Any] = {}
        for key, value in found.items():
            field = self.fields.get(key) if isinstance(key, str) else None
            if field is None:
                keys = ", ".join(self.fields)
                hint = near(str(key), self.fields) or f"; it has {keys}"
                reading.refuse((*at, str(key)), f"{show(key)} is no key of {self.what}{hint}")
            else:
                values[field.to or key] = field.reads.read(value, (*at, key), reading)
        for key, field in self.fields.items():
            if field.required and key not in found:
                reading.refuse(at, f"{self.what} needs the key '{key}'")
        if not self.yet:
            reading.refuse(at, f"{self.what} {NOT_YET}")
        if self.checks and no_error_since(reading, before):
            self.checks(values, at, reading)
        return self.make(**values) if no_error_since(reading, before) else None

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {
            "type": "object",
            "description": self.what if self.yet else f"{self.what} ({NOT_YET})",
            "properties": {key: field.reads.schema() for key, field in self.fields.items()},
            "additionalProperties": False,
        }
        required = [key for key, field in self.fields.items() if field.required]
        return {**schema, "required": required} if required else schema


class Keyed:
    """One of several shapes, told apart by the first key of the table that is there.

    A shape is named by the keys that tell it (`did`), more than one of them joined by `+`.
    """

    def __init__(self, what: str, shapes: Mapping[str, Reader]) -> None:
        self.what = what
        self.shapes = {tuple(keys.split("+")): shape for keys, shape in shapes.items()}
        self.words = sorted({keys[0] for keys in self.shapes})

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        if not isinstance(found, dict):
            told_by = f"a map was expected, told by {', '.join(self.words)}"
            return reading.refuse(at, f"{show(found)} is not {self.what}: {told_by}")
        for keys, shape in self.shapes.items():
            if all(key in found for key in keys):
                return shape.read(found, at, reading)
        hint = next((hint for key in found if (hint := near(str(key), self.words))), "")
        keys_found = ", ".join(f"'{key}'" for key in found) or "nothing"
        return reading.refuse(
            at,
            f"{keys_found} is not {self.what}{hint or '; one is told by ' + ', '.join(self.words)}",
        )

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [
                {**shape.schema(), "required": sorted({*shape.schema().get("required", ()), *keys})}
                for keys, shape in self.shapes.items()
            ]
        }


class ByType:
    """A text (or number), or else a map: two ways of saying a thing.

    such_as: an example of the map, for whoever has written neither.
    """

    def __init__(self, plain: Reader, mapped: Reader, such_as: str) -> None:
        self.plain, self.mapped, self.such_as = plain, mapped, such_as

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        if isinstance(found, dict):
            return self.mapped.read(found, at, reading)
        before = len(reading.problems)
        value = self.plain.read(found, at, reading)
        _add(reading, before, at, f"; {self.such_as} is possible, too")
        return value

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self.plain.schema(), self.mapped.schema()]}


class Named:
    """A reader that refers to itself (conditions in conditions); in the schema a `$ref`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reader: Reader | None = None

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        assert self.reader is not None, self.name
        if len(at) > DEPTH_MAX:
            return reading.refuse(at, f"this is nested deeper than {DEPTH_MAX} levels")
        return self.reader.read(found, at, reading)

    def schema(self) -> dict[str, Any]:
        return {"$ref": f"#/$defs/{self.name}"}


DEPTH_MAX = 100


class Nullable:
    """null switches it off: it is read as `off`."""

    def __init__(self, of: Reader, off: Any = None) -> None:
        self.of, self.off = of, off

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        if found is None:
            return self.off
        before = len(reading.problems)
        value = self.of.read(found, at, reading)
        _add(reading, before, at, "; null switches it off")
        return value

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self.of.schema(), {"type": "null"}]}


def _add(reading: Reading, before: int, at: Path, words: str) -> None:
    """Add to what was refused at this very place since then what else is possible."""
    for place, problem in enumerate(reading.problems[before:], before):
        if problem.path == at:
            reading.problems[place] = problem._replace(message=problem.message + words)


def no_error_since(reading: Reading, before: int) -> bool:
    return all(problem.severity == "warning" for problem in reading.problems[before:])
