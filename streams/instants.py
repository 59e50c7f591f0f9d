"""Instants as RFC 3339 text and back. No clock: what is now comes in from the log."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from schemas.values import Instant, Millis, Timestamp

SECOND: Millis = 1000
MINUTE: Millis = 60 * SECOND
HOUR: Millis = 60 * MINUTE
DAY: Millis = 24 * HOUR
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@lru_cache(maxsize=4096)
def to_timestamp(instant: Instant) -> Timestamp:
    """`2026-11-22T10:00:00.000Z`: UTC, fixed width, so text sorts as time does.

    What follows from one event names the same few instants again and again.
    """
    minute, millis = divmod(instant, MINUTE)
    return f"{_minute(minute)}:{millis // 1000:02}.{millis % 1000:03}Z"


@lru_cache(maxsize=4096)
def _minute(minute: int) -> str:
    """`2026-11-22T10:00`. Most of what a worker writes is of few minutes."""
    return (_EPOCH + timedelta(minutes=minute)).isoformat(timespec="minutes")[:16]


def to_instant(text: Timestamp) -> Instant:
    """Read RFC 3339 text; finer than a millisecond is cut off.

    Raises: ValueError where it is no such text or names no zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("has no zone (Z or +01:00)")
    return (moment - _EPOCH) // _MILLISECOND
