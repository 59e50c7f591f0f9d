"""Records that are no events, by the reason for which each must be rejected.

Every strategy is bad by how it is made, not by what the reader says of it.
"""

import json
import random
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from streams.ingest.control import DEFINITIONS, HEADER, KINDS, MAC_HEADER, TICK

GOOD = {"metric": "Placed Order", "profile": {"email": "ann@example.com"}}
GOOD_BYTES = json.dumps(GOOD).encode()
DEPTH_MAX = 64
JUNK = ["null", "undefined", "N/A", "guest", "0000", "-1", " ", "\u200b", "[object Object]"]


class Bad(NamedTuple):
    """Bytes that are no event, and why."""

    reason: str
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


Bads = st.SearchStrategy[Bad]


def in_json(value: object) -> bytes:
    return json.dumps(value).encode()


def event(**changed: object) -> bytes:
    return in_json(GOOD | changed)


def bad(reason: str, values: st.SearchStrategy[bytes]) -> Bads:
    return values.map(lambda value: Bad(reason, value))


def with_field(reason: str, field: str, values: st.SearchStrategy[object]) -> Bads:
    """A good event but for one field."""
    return bad(reason, values.map(lambda value: event(**{field: value})))


letters = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=30)
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
lists = st.lists(scalars, max_size=5)


hidden = st.builds("".join, st.tuples(letters, st.sampled_from("\u200b\u0007\u2028\x00"), letters))
no_currency = st.from_regex(r"[A-Z]{1,2}|[A-Z]{4,9}|[0-9]{3}", fullmatch=True)


def june(year: int) -> str:
    return f"{year}-06-01T00:00:00Z"


def forged(value: bytes, mac: bytes) -> Bad:
    return Bad("not-authentic", value, ((HEADER, DEFINITIONS), (MAC_HEADER, mac)))


def without_utf8(text: str, byte: int, place: int) -> bytes:
    """An event whose text holds a byte that no UTF-8 has, or not alone."""
    whole = event(source=text, note="x" * 20)
    start = whole.index(b"x" * 20)
    place = start + place % 20
    return whole[:place] + bytes([byte]) + whole[place + 1 :]


def too_deep(levels: int, *, closed: bool) -> bytes:
    inner = b"[" * levels + (b"]" * levels if closed else b"")
    return GOOD_BYTES[:-1] + b',"properties":{"a":' + inner + (b"}}" if closed else b"")


def beyond(digits: int, *, negative: bool) -> bytes:
    number = b"-" * negative + b"9" * digits
    return GOOD_BYTES[:-1] + b',"properties":{"a":{"b":[%s]}}}' % number


REASONS: tuple[Bads, ...] = (
    bad("empty", st.text(" \t\r\n", max_size=40).map(str.encode)),
    st.just(Bad("empty", None)),
    bad("not-utf-8", st.builds(without_utf8, letters, st.integers(128, 255), st.integers(0, 19))),
    bad("not-json", st.integers(1, len(GOOD_BYTES) - 1).map(lambda cut: GOOD_BYTES[:cut])),
    bad("not-json", letters.map(lambda text: GOOD_BYTES + text.encode())),
    bad(
        "not-json",
        st.sampled_from([b"NaN", b"Infinity", b"-Infinity", b"01", b"'x'"]).map(
            lambda value: GOOD_BYTES[:-1] + b',"value":' + value + b"}"
        ),
    ),
    bad("not-an-object", (scalars | lists | st.none()).map(in_json)),
    bad("too-deep", st.builds(too_deep, st.integers(DEPTH_MAX, 2_000), closed=st.booleans())),
    with_field("wrong-type", "properties", scalars | lists),
    with_field("wrong-type", "metric", st.integers() | lists | st.booleans()),
    with_field("wrong-type", "trust", letters.map(str.upper)),
    with_field("wrong-type", "profile", scalars | lists),
    with_field("wrong-type", "backfill", st.integers() | st.text()),
    bad("missing", st.builds(dict, metric=letters).map(in_json)),
    bad("missing", st.builds(dict, profile=st.just(GOOD["profile"])).map(in_json)),
    with_field("missing", "metric", st.text(" \t", max_size=5)),
    with_field("bad-metric", "metric", hidden),
    with_field("too-long", "metric", st.integers(129, 2_000).map(lambda size: "m" * size)),
    with_field("too-long", "id", st.integers(513, 2_000).map(lambda size: "i" * size)),
    with_field("too-long", "source", st.integers(129, 2_000).map(lambda size: "s" * size)),
    with_field(
        "bad-store", "store", letters.map(str.upper) | st.sampled_from(["position", "clock"])
    ),
    with_field(
        "bad-time", "time", letters | st.sampled_from(["2011-02-29T00:00:00Z", "2011-01-01"])
    ),
    with_field("time-too-early", "time", st.integers(1000, 1989).map(june)),
    with_field("time-too-late", "time", st.integers(2013, 9999).map(june)),
    with_field("bad-value", "value", letters | st.integers(9_223_372_036_855, 2**80)),
    with_field("bad-currency", "currency", no_currency),
    bad("number-out-of-range", st.builds(beyond, st.integers(21, 400), negative=st.booleans())),
    with_field("no-identifier", "profile", st.builds(dict, external_id=st.sampled_from(JUNK))),
    with_field("no-identifier", "profile", st.builds(dict, email=letters)),
    with_field("no-identifier", "profile", st.just({})),
    bad(
        "unknown-key",
        st.sampled_from(["propertys", "properties_", "propertes"]).map(
            lambda key: event(**{key: {}})
        ),
    ),
    st.binary(max_size=20)
    .filter(lambda kind: kind not in {TICK, *KINDS})
    .map(lambda kind: Bad("unknown-control", GOOD_BYTES, ((HEADER, kind),))),
    st.builds(forged, st.binary(max_size=200), st.binary(max_size=64)),
)


def bad_inputs(count: int, seeded: int) -> list[Bad]:
    """So many of them, of all kinds, in an order that the seed decides."""
    each = -(-count // len(REASONS))
    found = [one for number, of in enumerate(REASONS) for one in drawn(of, each, seeded + number)]
    random.Random(seeded).shuffle(found)
    return found[:count]


def drawn(of: Bads, count: int, seeded: int) -> list[Bad]:
    """`count` of one kind; a kind of which there are fewer is repeated."""
    found: list[Bad] = []

    @seed(seeded)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(of)
    def draw(one: Bad) -> None:
        found.append(one)

    draw()
    return (found * count)[:count]
