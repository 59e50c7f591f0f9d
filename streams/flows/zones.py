"""Local time: which zone a profile lives in.

Zones come from the pinned `tzdata` alone, so a decision is the same on every machine.
"""

from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import phonenumbers
import phonenumbers.timezone

from schemas.rows import ProfileRow
from streams.definitions.zones import find_zone
from streams.identity.held import newest
from streams.places.countries import country_codes


@cache
def zone_names() -> frozenset[str]:
    """All IANA names that the pinned `tzdata` knows."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


def zone_named(name: object) -> ZoneInfo | None:
    """The zone of an IANA name; None where there is none of this name."""
    return find_zone(name) if isinstance(name, str) and name in zone_names() else None


def zone_of(row: ProfileRow, store_zone: str) -> ZoneInfo:
    """Where the profile lives: its trait `timezone`, else what country or phone prefix leaves no
    doubt about, else the store's zone.
    """
    trait = row.traits.get("timezone")
    zone = zone_named(trait.value) if trait is not None else None
    if zone is None and (trait := row.traits.get("country")) is not None:
        zone = zone_of_country(trait.value) if isinstance(trait.value, str) else None
    if zone is None and (phone := newest(row, "phone")) is not None:
        zone = zone_of_phone(phone)
    if zone is None:
        zone = zone_named(store_zone)
        assert zone is not None, "the store's zone was checked when its settings were read"
    return zone


def zone_of_country(country: str) -> ZoneInfo | None:
    """The zone of a country (ISO 3166 code or English name) all of which keeps the same time."""
    named = country.strip().casefold()
    return _zones_by_country().get(country_codes().get(named, named))


@lru_cache(maxsize=65_536)
def zone_of_phone(phone: str) -> ZoneInfo | None:
    """The zone of a phone number whose prefix belongs to places that keep the same time."""
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return None
    names = phonenumbers.timezone.time_zones_for_number(number)
    zone = _one_of(tuple(names))
    if zone is None and "Etc/Unknown" in names:
        region = phonenumbers.region_code_for_country_code(number.country_code or 0)
        zone = zone_of_country(region)
    return zone


def _one_of(names: tuple[str, ...]) -> ZoneInfo | None:
    """The first of these zones if all keep the same time nowadays, else None."""
    rules = {_rule(name) for name in names}
    return zone_named(names[0]) if len(rules) == 1 and None not in rules else None


@cache
def _rule(name: str) -> str | None:
    """What a zone's clocks do from now on, as POSIX text (`CET-1CEST,M3.5.0,M10.5.0/3`)."""
    if name not in zone_names():
        return None
    data = files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    return data.rsplit(b"\n", 2)[1].decode("ascii")


@cache
def _zones_by_country() -> dict[str, ZoneInfo]:
    """Country code, lower case -> its zone, where it has one clock."""
    names: dict[str, list[str]] = {}
    table = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8")
    for line in table.splitlines():
        if not line.startswith("#"):
            code, _, name = line.split("\t")[:3]
            names.setdefault(code.casefold(), []).append(name)
    zones = ((code, _one_of(tuple(places))) for code, places in names.items())
    return {code: zone for code, zone in zones if zone is not None}
