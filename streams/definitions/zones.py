"""Time zones from the pinned `tzdata`, never from the machine."""

from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo


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
