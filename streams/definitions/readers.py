"""One reader for each kind of value: it reads what was written or reports what it expected.

A reader never raises: it adds to `reading.problems` and returns None. Its `schema` is the same
rule as JSON Schema, so that the published schema cannot differ from what is read.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

import re2

from schemas.conditions import Comparison
from schemas.definitions import WEEK
from streams.definitions import comparisons, dates, durations
from streams.definitions.problems import Path, Problem, near, show
from streams.definitions.zones import find_zone, zone_names

ID = re.compile(r"[a-z0-9][a-z0-9-]*")
TEXT_LENGTH_MAX = 2000


class Reading:
    """The problems found so far, and what reading depends on: the store's zone."""

    def __init__(self, zone: ZoneInfo, document: int = 0) -> None:
        self.zone = zone
        self.document = document
        self.problems: list[Problem] = []

    def refuse(self, at: Path, message: str) -> None:
        self.problems.append(Problem(at, message, document=self.document))


class Reader(Protocol):
    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        """The value; None where it is wrong and was reported."""

    def schema(self) -> dict[str, Any]: ...


class Text:
    """Any text that is not empty. what: as the message names it."""

    def __init__(self, what: str = "a text", pattern: str | None = None) -> None:
        self.what = what
        self.pattern = re.compile(pattern) if pattern else None

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        if (
            isinstance(found, str)
            and 0 < len(found) <= TEXT_LENGTH_MAX
            and (self.pattern is None or self.pattern.fullmatch(found))
        ):
            return found
        return reading.refuse(at, f"{show(found)} is not {self.what}")

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string", "minLength": 1, "description": self.what}
        if self.pattern:
            schema["pattern"] = f"^{self.pattern.pattern}$"
        return schema


class Id(Text):
    """An id of a definition or message."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: small letters, digits and hyphens (winback-60d)", ID.pattern)


class Flag:
    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        if isinstance(found, bool):
            return found
        return reading.refuse(at, f"{show(found)} is neither true nor false")

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Whole:
    """A whole number from `least` to `most`."""

    def __init__(self, least: int, most: int) -> None:
        self.least, self.most = least, most

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        whole = isinstance(found, int) and not isinstance(found, bool)
        if whole and self.least <= found <= self.most:
            return found
        return reading.refuse(
            at, f"{show(found)} is not a whole number from {self.least} to {self.most}"
        )

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


class Probability:
    """A number between 0 and 1."""

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        if isinstance(found, int | float) and not isinstance(found, bool) and 0 < found <= 1:
            return float(found)
        return reading.refuse(at, f"{show(found)} is not a probability such as 0.9")

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "exclusiveMinimum": 0, "maximum": 1}


class Number:
    """A number from `least` to `most`, kept exactly."""

    def __init__(self, least: int, most: int) -> None:
        self.least, self.most = least, most

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        number = comparisons.to_number(found)
        if number is None or not self.least <= number <= self.most:
            return reading.refuse(
                at, f"{show(found)} is not a number from {self.least} to {self.most}"
            )
        return number

    def schema(self) -> dict[str, Any]:
        return {"type": ["number", "string"], "minimum": self.least, "maximum": self.most}


class Choice:
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        if isinstance(found, str) and found in self.words:
            return found
        hint = near(found, self.words) if isinstance(found, str) else ""
        return reading.refuse(at, f"{show(found)} is not one of {', '.join(self.words)}{hint}")

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.words)}


class Duration:
    """least: the shortest that makes sense, in milliseconds."""

    def __init__(self, least: int = 1) -> None:
        self.least = least

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        millis = durations.to_millis(found) if isinstance(found, str) else None
        if isinstance(found, str) and durations.is_too_long(found):
            return reading.refuse(at, f"{show(found)} is longer than a hundred years")
        if millis is None:
            return reading.refuse(at, f"{show(found)} is not a duration such as 4h or 3d")
        if millis < self.least:
            return reading.refuse(at, f"{show(found)} is no time at all; say at least 1s")
        return millis

    def schema(self) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": "^[0-9]{1,9}[smhdw]$",
            "description": "a duration such as 4h or 3d",
        }


class ClockTime:
    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        minutes = durations.to_minutes(found) if isinstance(found, str) else None
        if minutes is None:
            return reading.refuse(at, f'{show(found)} is not a time of day such as "15:00"')
        return minutes

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^([01]?[0-9]|2[0-4]):[0-5][0-9]$"}


class Share:
    """A percentage, in millionths."""

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        share = durations.to_share(found) if isinstance(found, str) else None
        if share is None:
            return reading.refuse(at, f"{show(found)} is not a share such as 10%")
        return share

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,4})? ?%$"}


class When:
    """A date or an instant; without a zone it is in the store's."""

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        instant = dates.to_date_instant(found, reading.zone)
        if instant is None:
            return reading.refuse(
                at, f"{show(found)} is not a date such as 2026-11-27 or 2026-11-27T09:00"
            )
        return instant

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}"}


class Zone:
    """others: words that are allowed instead of an IANA name."""

    def __init__(self, *others: str) -> None:
        self.others = others

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        if isinstance(found, str) and (found in self.others or find_zone(found) is not None):
            return found
        expected = "".join(f"{word}, " for word in self.others)
        return reading.refuse(
            at,
            f"{show(found)} is not {expected and f'one of {expected}'}"
            f"{'or ' if expected else ''}a time zone such as Europe/Berlin"
            f"{near(str(found), zone_names())}",
        )

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "description": "an IANA time zone such as Europe/Berlin"}


class Pattern:
    """A regular expression that runs in linear time."""

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        if not isinstance(found, str) or not found:
            return reading.refuse(at, f"{show(found)} is not a regular expression")
        try:
            re2.compile(found, quiet_options())
        except re2.error as error:
            reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
            return reading.refuse(at, f"{show(found)} is not a regular expression: {reason}")
        return found

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "description": "an RE2 regular expression"}


def quiet_options() -> Any:
    """RE2 prints nothing of its own, and one expression takes at most 1 MB."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return options


class Compares:
    """whole: counts, which are whole and not negative."""

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole

    def read(self, found: Any, at: Path, reading: Reading) -> Comparison | None:
        comparison = comparisons.to_comparison(found)
        if comparison is None:
            reading.refuse(at, f"{show(found)} {comparisons.why_none(found)}")
            return None
        if self.whole and not all(_is_count(bound) for bound in comparisons.bounds(comparison)):
            reading.refuse(at, f"{show(found)} compares with what is no count: 0, 1, 2, ...")
            return None
        return comparison

    def schema(self) -> dict[str, Any]:
        return {
            "type": ["string", "number"],
            "description": 'a comparison such as ">= 3", 2 or 2..5',
        }


def _is_count(number: Decimal) -> bool:
    return 0 <= number <= 1_000_000 and number == number.to_integral_value()


class Value:
    """A text, a number or a truth value to compare with."""

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        value = comparisons.to_scalar(found)
        if value is None:
            return reading.refuse(at, f"{show(found)} is not a text, a number, true or false")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": ["string", "number", "boolean"]}


class Raw:
    """Anything, as it was written."""

    def read(self, found: Any, at: Path, reading: Reading) -> Any:  # noqa: ARG002
        return found

    def schema(self) -> dict[str, Any]:
        return {}


class Weekdays:
    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        wrong = [day for day in found if day not in WEEK] if isinstance(found, list) else []
        if wrong:
            return reading.refuse(at, f"{show(wrong[0])} is not one of {', '.join(WEEK)}")
        if not isinstance(found, list) or not found:
            what = "an empty list" if found == [] else show(found)
            return reading.refuse(at, f"{what} is not a list of weekdays: {', '.join(WEEK)}")
        return tuple(day for day in WEEK if day in found)

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "minItems": 1, "items": {"enum": list(WEEK)}}


CHANNELS: Sequence[Literal["email", "sms", "push", "whatsapp", "in_app"]] = (
    "email",
    "sms",
    "push",
    "whatsapp",
    "in_app",
)
