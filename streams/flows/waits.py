"""When a wait ends, and when the clock allows a send: all from instants, rules and a zone.

Half-open throughout: the start of quiet or allowed hours belongs to them, the end does not.
"""

from datetime import timedelta
from zoneinfo import ZoneInfo

from schemas.definitions import WEEK, Hours, WaitForDate, WaitUntil
from schemas.rows import Trigger
from schemas.values import Instant
from streams.definitions.dates import to_date_instant
from streams.definitions.zones import at_local, to_local
from streams.segments.values import compile_path

WEEK_DAYS = 7


def until_time_of_day(wait: WaitUntil, reached_at: Instant, zone: ZoneInfo) -> Instant:
    """`days` calendar days on, then the next `until` on one of the weekdays, now included."""
    day = to_local(reached_at, zone).date() + timedelta(days=wait.days)
    for _ in range(2 * WEEK_DAYS + 1):
        if WEEK[day.weekday()] in wait.weekdays:
            end = at_local(day, wait.until, zone)
            if end >= reached_at:
                return end
        day += timedelta(days=1)
    raise AssertionError("a wait names at least one weekday")


def until_date(wait: WaitForDate, trigger: Trigger, zone: ZoneInfo) -> Instant | None:
    """So long before (or after) the instant in a property of the trigger; None: it holds none."""
    date = to_date_instant(compile_path(wait.path)(trigger), zone)
    return None if date is None else date - wait.before + wait.after


def is_within(hours: Hours, instant: Instant, zone: ZoneInfo) -> bool:
    """Does the instant lie in these hours? Those over midnight belong to the day they start on."""
    start = _latest_start(hours, instant, zone)
    return start is not None and instant < _end(hours, start, zone)


def end_of(hours: Hours, instant: Instant, zone: ZoneInfo) -> Instant:
    """When the hours in which the instant lies are over (back to back ones taken together)."""
    end = instant
    for _ in range(WEEK_DAYS + 1):
        start = _latest_start(hours, end, zone)
        if start is None or not end < (over := _end(hours, start, zone)):
            return end
        end = over
    return end


def next_start(hours: Hours, instant: Instant, zone: ZoneInfo) -> Instant | None:
    """When the hours begin next, after the instant; None where they never do."""
    day = to_local(instant, zone).date()
    for _ in range(WEEK_DAYS + 2):
        if WEEK[day.weekday()] in hours.weekdays:
            start = at_local(day, hours.start, zone)
            if start > instant and _end(hours, start, zone) > start:
                return start
        day += timedelta(days=1)
    return None


def _latest_start(hours: Hours, instant: Instant, zone: ZoneInfo) -> Instant | None:
    today = to_local(instant, zone).date()
    for day in (today, today - timedelta(days=1)):
        if WEEK[day.weekday()] in hours.weekdays:
            start = at_local(day, hours.start, zone)
            if start <= instant:
                return start
    return None


def _end(hours: Hours, start: Instant, zone: ZoneInfo) -> Instant:
    """The end of the hours that began at `start`: that day, or the next where end <= start."""
    day = to_local(start, zone).date()
    if hours.end <= hours.start:
        day += timedelta(days=1)
    return at_local(day, hours.end, zone)
