"""Small texts of the language: durations (`4h`), times of day (`15:00`), shares (`10%`)."""

import re
from decimal import Decimal

from schemas.values import Millis

UNITS: dict[str, Millis] = {
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
LONGEST: Millis = 100 * 366 * UNITS["d"]
MILLIONTHS = 1_000_000

_DURATION = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)", re.ASCII)
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,4})?) ?%", re.ASCII)


def to_millis(text: str) -> Millis | None:
    """`90m` -> 5,400,000; None where it is no duration of at most a hundred years."""
    found = _DURATION.fullmatch(text)
    if not found:
        return None
    millis = int(found[1]) * UNITS[found[2]]
    return millis if millis <= LONGEST else None


def is_too_long(text: str) -> bool:
    """Is this a duration, but one of more than a hundred years?"""
    return to_millis(text) is None and _DURATION.fullmatch(text) is not None


def to_duration(millis: Millis) -> str:
    """The shortest text of a duration: `3d`, `90m`; milliseconds where nothing else fits."""
    for unit in ("w", "d", "h", "m", "s"):
        if millis and millis % UNITS[unit] == 0 and (unit != "w" or millis % (4 * UNITS["w"]) == 0):
            return f"{millis // UNITS[unit]}{unit}"
    return f"{millis}ms"


def to_minutes(text: str) -> int | None:
    """`15:00` -> 900; `24:00` is the end of the day."""
    found = _CLOCK.fullmatch(text)
    if not found:
        return None
    minutes = int(found[1]) * 60 + int(found[2])
    return minutes if minutes <= 24 * 60 else None


def to_share(text: str) -> int | None:
    """`10%` -> 100,000 millionths; None where it is none, or not between 0 % and 100 %."""
    found = _SHARE.fullmatch(text)
    if not found:
        return None
    share = int(Decimal(found[1]) * MILLIONTHS / 100)
    return share if share <= MILLIONTHS else None
