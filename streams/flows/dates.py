"""When a date starts a flow: `before` whole days ahead of a day, at a time of day of the profile.

The day is the one written in the trait, of an instant that of the profile's clocks; with
`every: year` it is the same day of every year, 29 February being 28 February in common years.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from schemas.definitions import Minutes, OnDate
from schemas.values import Instant
from streams.definitions.dates import day_in_year, midnight, to_day
from streams.definitions.zones import at_local, to_local
from streams.instants import DAY


class Start(NamedTuple):
    """day: the one that is meant. at: when its flow starts. over_at: when the day is over."""

    day: date
    at: Instant
    over_at: Instant


def next_start(trigger: OnDate, found: object, zone: ZoneInfo, now: Instant) -> Start | None:
    """The first after `now`; found: what the trait holds."""
    return next((one for one in _starts(trigger, found, zone, now) if one.at > now), None)


def last_start(trigger: OnDate, found: object, zone: ZoneInfo, now: Instant) -> Start | None:
    """The last until `now`, now included."""
    past = [one for one in _starts(trigger, found, zone, now) if one.at <= now]
    return past[-1] if past else None


def _starts(trigger: OnDate, found: object, zone: ZoneInfo, now: Instant) -> Iterator[Start]:
    """In their order: all there are, with `every: year` those around `now`."""
    day = to_day(found, zone)
    if day is None:
        return
    days = trigger.before // DAY
    if not trigger.every_year:
        yield _start(day, days, trigger.at, zone)
        return
    year = to_local(now + trigger.before, zone).year
    for one in (year - 1, year, year + 1):
        yield _start(day_in_year(day, one), days, trigger.at, zone)


@lru_cache(maxsize=65_536)
def _start(day: date, days: int, minutes: Minutes, zone: ZoneInfo) -> Start:
    at = at_local(day - timedelta(days=days), minutes, zone)
    return Start(day, at, midnight(day, zone) + DAY)
