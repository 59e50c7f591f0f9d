"""Countries as ISO 3166 has them, from the pinned `tzdata`."""

from functools import cache
from importlib.resources import files


@cache
def country_codes() -> dict[str, str]:
    """English name, lower case -> country code, lower case."""
    table = files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    codes = {row[1].casefold(): row[0].casefold() for row in rows}
    return codes | {"united kingdom": "gb", "great britain": "gb", "usa": "us"}
