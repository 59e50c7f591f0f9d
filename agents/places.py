"""Makes the table of postal codes (streams/places/SOURCES.md says from what).

In: GeoNames' postal codes, gzipped, one JSON object a line. Out: `streams/places/postal-codes.xz`.
"""

import gzip
import lzma
import sys
from array import array
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import msgspec

from streams.places.postal import HUNDREDTHS, OUTWARD_AND_INWARD, Table, plain

LEFT_OUT = frozenset({"AE"})
"""What GeoNames has there names buildings, not places where mail is delivered."""

WIDTHS = {"CA": 3, "IE": 3, "JP": 3, "PT": 4, "SG": 2}
"""Characters that are kept of codes which would be too many, or which the source has in part."""

PART_OF = {
    **dict.fromkeys(("AS", "GU", "MP", "PR", "VI"), "US"),
    **dict.fromkeys(("GF", "GP", "MQ", "NC", "PF", "PM", "RE", "WF", "YT"), "FR"),
}
"""Territories: their codes are also known under the country whose post serves them."""


class Line(msgspec.Struct):
    country_code: str
    postal_code: str
    latitude: float
    longitude: float


def tables_of(lines: Iterable[Line]) -> dict[str, Table]:
    """One place a code: the median of all places that have it."""
    found: dict[str, dict[str, set[tuple[float, float]]]] = {}
    for line in lines:
        country = line.country_code
        if country in LEFT_OUT:
            continue
        code = plain(line.postal_code)[: WIDTHS.get(country)]
        for name in {country, PART_OF.get(country, country)}:
            places = found.setdefault(name, {}).setdefault(code, set())
            places.add((line.latitude, line.longitude))
    return {name: _table(name, places) for name, places in sorted(found.items())}


def _table(name: str, places: dict[str, set[tuple[float, float]]]) -> Table:
    """Codes of the usual length; others are those of large receivers."""
    lengths = [len(code) for code in places]
    width = max(lengths) if name in OUTWARD_AND_INWARD else max(lengths, key=lengths.count)
    codes = sorted(code for code in places if 0 < len(code) <= width)
    middles = [[median(axis) for axis in zip(*places[code], strict=True)] for code in codes]
    latitudes, longitudes = (
        array("h", [round(middle[axis] * HUNDREDTHS) for middle in middles]) for axis in (0, 1)
    )
    packed = b"".join(code.encode().ljust(width) for code in codes)
    return Table(width, packed, latitudes.tobytes(), longitudes.tobytes())


def main(source: Path) -> bytes:
    with gzip.open(source) as lines:
        decode = msgspec.json.Decoder(Line).decode
        tables = tables_of(decode(line) for line in lines)
    packed = msgspec.msgpack.encode(tables)
    return lzma.compress(packed, preset=9 | lzma.PRESET_EXTREME)


if __name__ == "__main__":
    sys.stdout.buffer.write(main(Path(sys.argv[1])))
