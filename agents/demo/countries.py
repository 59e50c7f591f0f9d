"""The countries of the data: their ISO 3166 code and their time zone.

Where a country has several zones, the one with most of its people stands for it: a choice, written
out here, that the data cannot confirm. What names no country has the store's zone and no code.
"""

from typing import NamedTuple

STORE_ZONE = "Europe/London"


class Country(NamedTuple):
    """code: ISO 3166-1 alpha-2; None where the data's word is no country."""

    code: str | None
    zone: str


COUNTRIES = {
    "Australia": Country("AU", "Australia/Sydney"),  # several
    "Austria": Country("AT", "Europe/Vienna"),
    "Bahrain": Country("BH", "Asia/Bahrain"),
    "Belgium": Country("BE", "Europe/Brussels"),
    "Brazil": Country("BR", "America/Sao_Paulo"),  # several
    "Canada": Country("CA", "America/Toronto"),  # several
    "Channel Islands": Country("JE", "Europe/Jersey"),  # Jersey for Guernsey too: the same clock
    "Cyprus": Country("CY", "Asia/Nicosia"),  # several
    "Czech Republic": Country("CZ", "Europe/Prague"),
    "Denmark": Country("DK", "Europe/Copenhagen"),
    "EIRE": Country("IE", "Europe/Dublin"),
    "European Community": Country(None, STORE_ZONE),
    "Finland": Country("FI", "Europe/Helsinki"),
    "France": Country("FR", "Europe/Paris"),
    "Germany": Country("DE", "Europe/Berlin"),
    "Greece": Country("GR", "Europe/Athens"),
    "Hong Kong": Country("HK", "Asia/Hong_Kong"),
    "Iceland": Country("IS", "Atlantic/Reykjavik"),
    "Israel": Country("IL", "Asia/Jerusalem"),
    "Italy": Country("IT", "Europe/Rome"),
    "Japan": Country("JP", "Asia/Tokyo"),
    "Lebanon": Country("LB", "Asia/Beirut"),
    "Lithuania": Country("LT", "Europe/Vilnius"),
    "Malta": Country("MT", "Europe/Malta"),
    "Netherlands": Country("NL", "Europe/Amsterdam"),
    "Norway": Country("NO", "Europe/Oslo"),
    "Poland": Country("PL", "Europe/Warsaw"),
    "Portugal": Country("PT", "Europe/Lisbon"),  # several
    "RSA": Country("ZA", "Africa/Johannesburg"),
    "Saudi Arabia": Country("SA", "Asia/Riyadh"),
    "Singapore": Country("SG", "Asia/Singapore"),
    "Spain": Country("ES", "Europe/Madrid"),  # several
    "Sweden": Country("SE", "Europe/Stockholm"),
    "Switzerland": Country("CH", "Europe/Zurich"),
    "USA": Country("US", "America/New_York"),  # several
    "United Arab Emirates": Country("AE", "Asia/Dubai"),
    "United Kingdom": Country("GB", STORE_ZONE),
    "Unspecified": Country(None, STORE_ZONE),
}
"""Every country the data name; a test compares."""
