"""Time zones and local time, from the pinned `tzdata`, never from the machine.

Local times that do not exist (spring) move forward to the first that does; of those that exist
twice (autumn) the first counts.
"""

from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from schemas.values import Instant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@cache
def zone_names() -> frozenset[str]:
    """All IANA names that the pinned `tzdata` knows."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


@cache
def find_zone(name: str) -> ZoneInfo | None:
    """The zone of this IANA name; None where there is none."""
    parts = name.split("/")
    if not all(
        part and part.replace("_", "").replace("-", "").replace("+", "").isalnum() for part in parts
    ):
        return None
    place = files("tzdata").joinpath("zoneinfo", *parts)
    if not place.is_file() or "." in name:
        return None
    with place.open("rb") as source:
        try:
            return ZoneInfo.from_file(source, key=name)
        except ValueError:
            return None


def to_local(instant: Instant, zone: ZoneInfo) -> datetime:
    """The local time at an instant, with its zone."""
    return (_EPOCH + timedelta(milliseconds=instant)).astimezone(zone)


@lru_cache(maxsize=65_536)
def at_local(day: date, minutes: int, zone: ZoneInfo) -> Instant:
    """The instant of a time of day (minutes since midnight) on a local day."""
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001
    return at_wall(wall, zone)


def at_wall(wall: datetime, zone: ZoneInfo) -> Instant:
    """The instant at which the clocks of the zone show this time."""
    first = wall.replace(tzinfo=zone, fold=0)
    instant = (first - _EPOCH) // _MILLISECOND
    if first.utcoffset() == wall.replace(tzinfo=zone, fold=1).utcoffset():
        return instant
    if to_local(instant, zone).replace(tzinfo=None) == wall:
        return instant
    return _end_of_gap(instant, zone)


def _end_of_gap(after: Instant, zone: ZoneInfo) -> Instant:
    """The instant of the jump: the clock shows another offset from here to `after`."""
    offset = to_local(after, zone).utcoffset()
    low, high = after - 86_400_000, after
    while high - low > 1:
        middle = (low + high) // 2
        if to_local(middle, zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high
