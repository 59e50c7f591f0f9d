"""The table of places: what `near` takes. Where a postal code is belongs to what is read."""

from decimal import Decimal
from typing import Any

from schemas import conditions as c
from streams.definitions.problems import Path, show
from streams.definitions.readers import Number, Reading, Text
from streams.definitions.shapes import Field, Keyed, Shape
from streams.places import postal

COUNTRY = Text("a country such as DE, as the trait `country` has it")


class PostalCode:
    """`10001`, "SW1A 1AA"; a number as it was written, so zeros in front need quotes."""

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        text = str(found) if isinstance(found, int) and not isinstance(found, bool) else found
        if isinstance(text, str) and postal.plain(text):
            return text
        return reading.refuse(at, f"{show(found)} is not a postal code")

    def schema(self) -> dict[str, Any]:
        return {"type": ["string", "integer"], "description": "a postal code such as 10001"}


def check_place(values: dict[str, Any], at: Path, reading: Reading) -> None:
    country, code = values["country"], values["postal_code"]
    if postal.find_place(country, code) is not None:
        return
    if country.upper() in postal.countries():
        quoted = postal.find_place(country, f"0{code}") is not None
        hint = f'; a zero in front needs quotes: "0{code}"' if quoted else ""
        message = f"no postal code {show(code)} is known in {country}{hint}"
        reading.refuse((*at, "postal_code"), message)
    else:
        message = f"the postal codes of {show(country)} are not known; say `lat` and `lon`"
        reading.refuse((*at, "country"), message)


def make_place(postal_code: str, country: str) -> dict[str, Any]:
    place = postal.find_place(country, postal_code)
    assert place is not None, "it was checked"
    latitude, longitude = (Decimal(str(degrees)) for degrees in place)
    said = f"{country.upper()} {postal_code}"
    return {"latitude": latitude, "longitude": longitude, "postal_code": said}


class Distance:
    """`50km`, `800m` or `30mi`, in metres."""

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        text = found if isinstance(found, str) else ""
        for unit, millimeters in (("km", 1_000_000), ("mi", 1_609_344), ("m", 1000)):
            if text.removesuffix(unit).isdecimal() and text.endswith(unit):
                return round(int(text.removesuffix(unit)) * millimeters / 1000)
        return reading.refuse(at, f"{show(found)} is not a distance such as 50km or 30mi")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[0-9]+(km|mi|m)$"}


_PLACES = Keyed(
    "a place such as {lat: 52.5, lon: 13.4}",
    {
        "lat": Shape(
            "a place",
            {
                "lat": Field(Number(-90, 90), "latitude"),
                "lon": Field(Number(-180, 180), "longitude", required=True),
            },
            dict,
        ),
        "postal_code": Shape(
            "a place by postal code",
            {
                "postal_code": Field(PostalCode(), required=True),
                "country": Field(COUNTRY, required=True),
            },
            make_place,
            checks=check_place,
        ),
    },
)
NEAR = Shape(
    "a `near` condition",
    {
        "near": Field(_PLACES),
        "within": Field(Distance(), "within_meters", required=True),
    },
    lambda near, within_meters: c.Near(**near, within_meters=within_meters),
)
