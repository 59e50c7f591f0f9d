"""The answers of leaves that ask where a profile is: country, region, distance.

A profile is where its traits `lat` and `lon` (or `latitude` and `longitude`) say, else at its
`postal_code` in its `country`.
"""

import re
from math import asin, cos, radians, sin, sqrt
from typing import Any

from schemas import conditions as c
from schemas.rows import ProfileRow
from schemas.values import Instant
from streams.definitions.comparisons import to_number
from streams.places.postal import find_place
from streams.segments.leaves import Leaf, shown, trait_value
from streams.segments.person import FAILS, HOLDS, Answer, Person
from streams.segments.values import text_of

EU_CODES = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
REGIONS: dict[str, tuple[str, ...]] = {"eu": tuple(re.split(" ", EU_CODES)), "us": ("US",)}

DEGREES = (("lat", "lon"), ("latitude", "longitude"))
"""The traits that may say where a profile is."""

PLACE_TRAITS = frozenset({*DEGREES[0], *DEGREES[1], "postal_code", "country"})

EARTH_METERS = 6_371_008.8
"""The mean radius of the earth (IUGG)."""


def in_country(countries: tuple[str, ...]) -> Leaf:
    wanted = frozenset(country.casefold() for country in countries)

    def ask(person: Person, _now: Instant) -> Answer:
        trait = person.row.traits.get("country")
        return HOLDS if trait and text_of(trait.value).casefold() in wanted else FAILS

    return ask, lambda person: shown(trait_value(person.row, "country"))


def near(condition: c.Near) -> Leaf:
    """The distance on a sphere between the place and the profile's."""
    here = (radians(condition.latitude), radians(condition.longitude))

    def meters(person: Person) -> float | None:
        there = place_of(person.row)
        return None if there is None else haversine(here, there)

    def ask(person: Person, _now: Instant) -> Answer:
        found = meters(person)
        return HOLDS if found is not None and found <= condition.within_meters else FAILS

    def find(person: Person) -> str | None:
        found = meters(person)
        return "no known place" if found is None else f"{found:.0f} m"

    return ask, find


def place_of(row: ProfileRow) -> tuple[float, float] | None:
    """Latitude and longitude in radians; None where neither traits nor postal code tell."""
    for to_equator, to_greenwich in DEGREES:
        latitude = _degrees(trait_value(row, to_equator), 90)
        longitude = _degrees(trait_value(row, to_greenwich), 180)
        if latitude is not None and longitude is not None:
            return latitude, longitude
    code, country = (text_of(trait_value(row, name)) for name in ("postal_code", "country"))
    place = find_place(country, code) if code and country else None
    return None if place is None else (radians(place.latitude), radians(place.longitude))


def _degrees(value: Any, most: int) -> float | None:
    number = to_number(value)
    return radians(number) if number is not None and abs(number) <= most else None


def haversine(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Metres between two places (latitude, longitude) in radians."""
    (latitude, longitude), (latitude2, longitude2) = one, other
    square = (
        sin((latitude2 - latitude) / 2) ** 2
        + cos(latitude) * cos(latitude2) * sin((longitude2 - longitude) / 2) ** 2
    )
    return 2 * EARTH_METERS * asin(min(1.0, sqrt(square)))
