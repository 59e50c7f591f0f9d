"""Postal codes -> places, from the table that comes along: 120 countries, to about a kilometre.

A code is looked up as far as the table has it: of the United Kingdom the outward half (`SW1A`), of
Canada and Ireland the first three characters, of Portugal four digits, of Japan three, of Singapore
two, of all others as many as a code has there. Spaces, hyphens and case do not matter.
"""

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from lzma import decompress
from typing import NamedTuple

import msgspec

HUNDREDTHS = 100
"""Places are kept in hundredths of a degree."""

OUTWARD_AND_INWARD = frozenset({"GB", "GG", "IM", "JE"})
"""A code ends with three characters that the table leaves out, and has two to four before them."""

INWARD = 3


class Degrees(NamedTuple):
    latitude: float
    longitude: float


class Table(msgspec.Struct, array_like=True, frozen=True):
    """The codes of a country.

    codes: sorted, each filled up with spaces to `width` characters, one after the other.
    latitudes, longitudes: 16-bit integers, in hundredths of a degree, in the order of the codes.
    """

    width: int
    codes: bytes
    latitudes: bytes
    longitudes: bytes


class _Country:
    """A table that can be looked into."""

    def __init__(self, table: Table) -> None:
        self._width = table.width
        self._codes = table.codes
        self._latitudes = array("h", table.latitudes)
        self._longitudes = array("h", table.longitudes)

    def find(self, code: str, *, outward: bool) -> Degrees | None:
        if outward:
            wanted = code[:-INWARD] if len(code) > self._width else code
        else:
            wanted = code[: self._width]
        key = wanted.encode().ljust(self._width)
        many = len(self._latitudes)
        at = bisect_left(range(many), key, key=self._code)
        if at == many or self._code(at) != key:
            return None
        return Degrees(self._latitudes[at] / HUNDREDTHS, self._longitudes[at] / HUNDREDTHS)

    def _code(self, at: int) -> bytes:
        return self._codes[at * self._width : (at + 1) * self._width]


def find_place(country: str, code: str) -> Degrees | None:
    """Where a postal code is; None where the table does not know the country or the code.

    country: ISO 3166 (`DE`), case aside.
    """
    name = country.upper()
    table = _tables().get(name)
    return None if table is None else table.find(plain(code), outward=name in OUTWARD_AND_INWARD)


def countries() -> frozenset[str]:
    """The countries whose codes are known."""
    return frozenset(_tables())


def plain(code: str) -> str:
    """`sw1a 1aa` -> `SW1A1AA`."""
    return "".join(one for one in code.upper() if one.isascii() and one.isalnum())


@cache
def _tables() -> Mapping[str, _Country]:
    packed = files("streams.places").joinpath("postal-codes.xz").read_bytes()
    tables = msgspec.msgpack.decode(decompress(packed), type=dict[str, Table])
    return {name: _Country(table) for name, table in tables.items()}
