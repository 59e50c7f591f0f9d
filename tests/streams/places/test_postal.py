"""Where postal codes are, as people write them."""

import pytest

from agents.places import Line, tables_of
from streams.places.postal import Degrees, Table, countries, find_place


@pytest.mark.parametrize(
    ("country", "written", "place"),
    [
        ("US", "10001", Degrees(40.75, -74.0)),
        ("us", "10001-1234", Degrees(40.75, -74.0)),
        ("US", "00901", Degrees(18.47, -66.11)),  # San Juan: served by the post of the US
        ("GB", "SW1A 1AA", Degrees(51.5, -0.13)),
        ("GB", "m1 1ae", Degrees(53.48, -2.24)),
        ("GB", "M11", Degrees(53.48, -2.18)),  # an outward half alone
        ("CA", "K1A 0B1", Degrees(45.42, -75.7)),
        ("NL", "1012 AB", Degrees(52.37, 4.9)),
        ("PT", "1000-001", Degrees(38.72, -9.13)),
        ("SE", "111 22", Degrees(59.33, 18.06)),
        ("DE", "10115", Degrees(52.53, 13.38)),
        ("DE", "99999", None),
        ("DE", "1011", None),
        ("DE", "-", None),
        ("ZZ", "10115", None),
    ],
)
def test_a_code_is_found_as_it_is_written(
    country: str, written: str, place: Degrees | None
) -> None:
    assert find_place(country, written) == place


def test_the_countries_that_shops_ask_for_are_there() -> None:
    assert len(countries()) == 120
    europe = (
        "AT BE BG CH CY CZ DE DK EE ES FI FR GB HR HU IE IT LT LU LV MT NL NO PL PT RO SE SI SK"
    )
    assert countries() >= {*europe.split(), "US", "CA", "AU", "NZ", "JP"}


def test_the_table_keeps_the_middle_of_a_code_and_its_usual_length() -> None:
    spread = [("10115", 52.0, 13.0), ("10115", 52.5, 13.2), ("10115", 48.0, 9.0)]
    other = [("20095", 53.551, 9.994), ("1", 0.0, 0.0), ("20095CEDEX", 1.0, 1.0)]
    lines = [Line("DE", *said) for said in (*spread, *other)]
    tables = tables_of([*lines, Line("PR", "00901", 18.47, -66.11), Line("AE", "1", 0, 0)])
    assert list(tables) == ["DE", "PR", "US"]
    assert tables["PR"] == tables["US"]
    german: Table = tables["DE"]
    assert (german.width, german.codes) == (5, b"1    1011520095")
    assert [int.from_bytes(german.latitudes[i : i + 2], "little") for i in (2, 4)] == [5200, 5355]
