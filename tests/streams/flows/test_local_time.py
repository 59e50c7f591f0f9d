"""Local time over the tables of real zones, compared with a clock that is read minute by minute."""

import random
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pytest

from schemas.definitions import WEEK, Hours, OnDate, WaitUntil
from schemas.values import Instant
from streams.definitions.zones import at_local, find_zone
from streams.flows.dates import next_start
from streams.flows.waits import end_of, is_within, until_time_of_day
from streams.flows.waits import next_start as next_opening
from streams.flows.zones import zone_names
from streams.instants import HOUR, MINUTE

NAMES = (
    "Africa/Casablanca",
    "America/New_York",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Chatham",
)
"""Half hours, two hours, a negative summer time, Ramadan, a day that was left out (Apia 2011)."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def zone_of(name: str) -> ZoneInfo:
    zone = find_zone(name)
    assert zone is not None
    return zone


def wall(at: Instant, zone: ZoneInfo) -> datetime:
    """What the clocks show, without their zone."""
    local = (EPOCH + timedelta(milliseconds=at)).astimezone(zone)
    return local.replace(tzinfo=None)


@lru_cache(maxsize=4096)
def changes(zone: ZoneInfo, year: int) -> list[Instant]:
    """The instants of the year at which the clocks change, to the minute."""
    start = (datetime(year, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)

    def offset(at: Instant) -> object:
        return (EPOCH + timedelta(milliseconds=at)).astimezone(zone).utcoffset()

    found = []
    for hour in range(366 * 24):
        at = start + hour * HOUR
        if offset(at) != offset(at + HOUR):
            found.append(
                next(m for m in range(at, at + HOUR + 1, MINUTE) if offset(m) != offset(at))
            )
    return found


@lru_cache(maxsize=4096)
def read_until(day: date, minutes: int, zone: ZoneInfo) -> Instant:
    """The first minute at which the clocks show this time of this day, or the first after a gap."""
    target = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001
    at = (target.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1) - 15 * HOUR
    while wall(at, zone) != target:
        if wall(at, zone) < target < wall(at + MINUTE, zone):
            return at + MINUTE
        at += MINUTE
    return at


def around(zone: ZoneInfo, rng: random.Random) -> Instant:
    """An instant within two days of a change of clocks, or any where they never change."""
    found = changes(zone, rng.choice((2011, 2024, 2026)))
    near = rng.choice(found) if found else 1_774_000_000_000
    return near + rng.randint(-2 * 24 * 60, 2 * 24 * 60) * MINUTE


@pytest.mark.parametrize("name", NAMES)
def test_a_time_of_day_is_what_the_clocks_show_first(name: str) -> None:
    zone, rng = zone_of(name), random.Random(name)
    for _ in range(6):
        day = wall(around(zone, rng), zone).date()
        minutes = rng.choice((0, 30, 119, 120, 150, 180, 1439))
        assert at_local(day, minutes, zone) == read_until(day, minutes, zone), (day, minutes)


@pytest.mark.parametrize("name", NAMES)
def test_a_wait_until_a_time_of_day_ends_at_the_first_such_minute(name: str) -> None:
    zone, rng = zone_of(name), random.Random(name)
    for _ in range(4):
        reached = around(zone, rng)
        days = rng.choice((0, 0, 1, 3))
        weekdays = tuple(rng.sample(WEEK, rng.randint(1, 7)))
        wait = WaitUntil(rng.choice((0, 150, 900, 1439)), days, weekdays)
        day = wall(reached, zone).date() + timedelta(days=days)
        while True:
            end = read_until(day, wait.until, zone)
            if WEEK[day.weekday()] in weekdays and end >= reached:
                break
            day += timedelta(days=1)
        assert until_time_of_day(wait, reached, zone) == end


@pytest.mark.parametrize("name", NAMES)
def test_hours_are_what_the_clocks_show_minute_by_minute(name: str) -> None:
    """Quiet hours, and windows: inside, their end, their next start."""
    zone, rng = zone_of(name), random.Random(name)
    for _ in range(2):
        start, end = rng.choice(((21 * 60, 8 * 60), (60, 180), (9 * 60, 18 * 60), (1430, 10)))
        hours = Hours(start, end)
        at = around(zone, rng)
        inside = is_within(hours, at, zone)
        assert inside is within_by_reading(hours, at, zone)
        turn = end_of(hours, at, zone) if inside else next_opening(hours, at, zone)
        assert turn is not None
        assert turn > at
        for minute in range(at, turn, 7 * MINUTE):
            assert within_by_reading(hours, minute, zone) is inside, wall(minute, zone)
        assert within_by_reading(hours, turn, zone) is not inside


def within_by_reading(hours: Hours, at: Instant, zone: ZoneInfo) -> bool:
    """Has the last start of these hours no end yet? Both as the clocks are read."""
    today = wall(at, zone).date()
    for back in (0, 1, 2):
        day = today - timedelta(days=back)
        start = read_until(day, hours.start, zone)
        if start <= at:
            last = day + timedelta(days=hours.end <= hours.start)
            return at < read_until(last, hours.end, zone)
    raise AssertionError("hours begin every day")


def test_the_29th_of_february_is_the_28th_in_common_years_in_every_zone() -> None:
    for name in NAMES:
        zone = zone_of(name)
        trigger = OnDate("born", at=600, every_year=True)
        at = at_local(date(2023, 6, 1), 0, zone)
        days = []
        for _ in range(6):
            start = next_start(trigger, "1992-02-29", zone, at)
            assert start is not None
            assert wall(start.at, zone).time().isoformat() == "10:00:00"
            days.append(start.day.isoformat())
            at = start.at
        assert days == [
            "2024-02-29",
            "2025-02-28",
            "2026-02-28",
            "2027-02-28",
            "2028-02-29",
            "2029-02-28",
        ]


@pytest.mark.prove
def test_every_zone_there_is_shows_what_its_clocks_show() -> None:
    for name in sorted(zone_names()):
        zone, rng = zone_of(name), random.Random(name)
        for _ in range(6):
            day = wall(around(zone, rng), zone).date()
            minutes = rng.randrange(24 * 60)
            if name == "Pacific/Apia" and day == date(2011, 12, 30):
                continue
            assert at_local(day, minutes, zone) == read_until(day, minutes, zone), (name, day)
