"""Dates as stores write them: `2026-11-27`, `2026-11-27T09:00`, `2026-11-27T08:00:00Z`.

A plain day begins at its midnight in the zone that is asked for, a time without a zone is that
zone's, one with a zone of its own is an instant.
"""

import re
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from schemas.values import Instant
from streams.definitions.zones import at_local, at_wall, to_local
from streams.instants import to_instant

LAST: Instant = 253_402_300_799_999
"""The last millisecond of the year 9999: what comes later never comes."""

_TEXT = re.compile(
    r"[1-9]\d{3}-\d{2}-\d{2}"
    r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?P<zone>Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)
_CACHED = 65_536


def to_date_instant(found: Any, zone: ZoneInfo) -> Instant | None:
    """The instant a date stands for; None where it is no date."""
    return _instant(found, zone) if isinstance(found, str) else None


def to_day(found: Any, zone: ZoneInfo) -> date | None:
    """The calendar day of a date: as written, for an instant that of the zone's clocks."""
    return _day(found, zone) if isinstance(found, str) else None


def day_in_year(day: date, year: int) -> date:
    """The same day of another year; 29 February is 28 February in common years."""
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


@lru_cache(maxsize=_CACHED)
def midnight(day: date, zone: ZoneInfo) -> Instant:
    """The first instant of a local day."""
    return at_local(day, 0, zone)


@lru_cache(maxsize=_CACHED)
def _instant(text: str, zone: ZoneInfo) -> Instant | None:
    form = _TEXT.fullmatch(text)
    try:
        if form is None:
            return None
        if form["zone"]:
            return to_instant(text)
        return at_wall(datetime.fromisoformat(text), zone)
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=_CACHED)
def _day(text: str, zone: ZoneInfo) -> date | None:
    instant = _instant(text, zone)
    if instant is None:
        return None
    form = _TEXT.fullmatch(text)
    try:
        if form is not None and form["zone"]:
            return to_local(instant, zone).date()
        return date.fromisoformat(text[:10])
    except OverflowError:
        return None
