"""Local time: which zone a profile lives in.

Zones come from the pinned `tzdata` alone, so a decision is the same on every machine.
"""

from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple
from zoneinfo import ZoneInfo

import phonenumbers
import phonenumbers.timezone

from schemas.rows import ProfileRow
from streams.definitions.zones import find_zone, zone_names
from streams.identity.held import newest
from streams.places.countries import country_codes


def zone_named(name: object) -> ZoneInfo | None:
    """The zone of an IANA name, case aside; None where there is none of this name."""
    exact = _names_by_case().get(name.casefold()) if isinstance(name, str) else None
    return None if exact is None else find_zone(exact)


@cache
def _names_by_case() -> dict[str, str]:
    return {name.casefold(): name for name in zone_names()}


class Zones(NamedTuple):
    """Zones in which a profile may live, no two of which keep the same time.

    by: what says so: `timezone`, `country`, `phone`; `store` where nothing does.
    """

    zones: tuple[ZoneInfo, ...]
    by: str

    @property
    def text(self) -> str:
        """`Australia/Perth, Australia/Sydney (phone)`."""
        return f"{', '.join(zone.key for zone in self.zones)} ({self.by})"


def zone_of(row: ProfileRow, store_zone: str) -> ZoneInfo:
    """Where the profile lives: its trait `timezone`, else what country or phone prefix leaves no
    doubt about, else the store's zone.
    """
    zones = zones_of(row, store_zone).zones
    return zones[0] if len(zones) == 1 else _stores(store_zone)


def zones_of(row: ProfileRow, store_zone: str, phone: str | None = None) -> Zones:
    """All zones in which the profile may live.

    phone: the number that is written to, else the newest one counts.
    """
    zone = zone_named(_trait(row, "timezone"))
    if zone is not None:
        return Zones((zone,), "timezone")
    country = _trait(row, "country")
    of_country = zones_of_country(country) if isinstance(country, str) else ()
    if len(of_country) == 1:
        return Zones(of_country, "country")
    phone = phone or newest(row, "phone")
    of_phone = () if phone is None else zones_of_phone(phone)
    if of_phone:
        return Zones(of_phone, "phone")
    return Zones(of_country, "country") if of_country else Zones((_stores(store_zone),), "store")


def _trait(row: ProfileRow, name: str) -> object:
    trait = row.traits.get(name)
    return None if trait is None else trait.value


def _stores(name: str) -> ZoneInfo:
    zone = zone_named(name)
    assert zone is not None, "the store's zone was checked when its settings were read"
    return zone


def zones_of_country(country: str) -> tuple[ZoneInfo, ...]:
    """The zones of a country (ISO 3166 code or English name)."""
    named = country.strip().casefold()
    return _apart(_names_by_country().get(country_codes().get(named, named), ()))


@lru_cache(maxsize=65_536)
def zones_of_phone(phone: str) -> tuple[ZoneInfo, ...]:
    """The zones of the places that have a phone number's prefix, within its country; where the
    prefix names no place, all of the country.
    """
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return ()
    region = phonenumbers.region_code_for_number(number)
    region = region or phonenumbers.region_code_for_country_code(number.country_code or 0)
    of_country = _names_by_country().get(region.casefold(), ())
    of_prefix = phonenumbers.timezone.time_zones_for_number(number)
    if len(of_prefix) > 1:
        within = tuple(name for name in of_prefix if name in of_country)
        of_prefix = within or of_prefix
    return _apart(of_prefix) or _apart(of_country)


@cache
def _apart(names: tuple[str, ...]) -> tuple[ZoneInfo, ...]:
    """Of zones that keep the same time nowadays the first."""
    by_rule: dict[str | None, str] = {}
    for name in names:
        by_rule.setdefault(_rule(name), name)
    zones = (zone_named(name) for rule, name in by_rule.items() if rule is not None)
    return tuple(zone for zone in zones if zone is not None)


@cache
def _rule(name: str) -> str | None:
    """What a zone's clocks do from now on, as POSIX text (`CET-1CEST,M3.5.0,M10.5.0/3`)."""
    if name not in zone_names():
        return None
    data = files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    return data.rsplit(b"\n", 2)[1].decode("ascii")


@cache
def _names_by_country() -> dict[str, tuple[str, ...]]:
    """Country code, lower case -> the names of its zones."""
    names: dict[str, tuple[str, ...]] = {}
    table = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8")
    for line in table.splitlines():
        if not line.startswith("#"):
            code, _, name = line.split("\t")[:3]
            names[code.casefold()] = (*names.get(code.casefold(), ()), name)
    return names
