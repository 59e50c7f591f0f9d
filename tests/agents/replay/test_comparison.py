"""Then beside now: any byte that is not the same is found, and told with its place."""

from typing import NamedTuple

import pytest
from msgspec.structs import replace

from agents.replay.comparison import Compared, Comparison, shortened
from schemas.topics import CONSENT, DEAD_LETTERS, SEGMENT_CHANGES
from streams.intake import Write

SAID = [
    Write(SEGMENT_CHANGES.name, 0, b"i1", b'{"change":"entered"}', 1_000),
    Write(SEGMENT_CHANGES.name, 0, b"i2", b'{"change":"exited"}', 2_000, (("a", b"b"),)),
]


class Recorded(NamedTuple):
    offset: int
    key: bytes
    value: bytes
    timestamp: int
    headers: tuple[tuple[str, bytes], ...]


def recorded(writes: list[Write]) -> list[Recorded]:
    """As Kafka has them: with holes where transactions ended."""
    return [
        Recorded(3 * i + 1, w.key, w.value, w.timestamp, w.headers) for i, w in enumerate(writes)
    ]


def compared(then: list[Write], now: list[Write], topic: str = SEGMENT_CHANGES.name) -> Compared:
    comparison = Comparison(1)
    comparison.hear(now)
    comparison.read(topic, 0, recorded(then))
    found = [one for one in comparison.end() if one.topic == topic]
    return next((one for one in found if one.difference is not None), found[0])


def test_the_same_is_equal() -> None:
    assert compared(SAID, SAID) == Compared(SEGMENT_CHANGES.name, 0, "", 2, None)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (replace(SAID[1], value=b'{"change":"exitedX"}'), "value, byte 17"),
        (replace(SAID[1], key=b"i3"), "key, byte 1"),
        (replace(SAID[1], timestamp=2_001), "timestamp, byte 3"),
        (replace(SAID[1], headers=()), "headers, byte 1"),
    ],
)
def test_a_difference_is_told_with_its_offset_and_place(changed: Write, what: str) -> None:
    difference = compared([SAID[0], changed], SAID).difference
    assert difference is not None
    assert (difference.offset, difference.what) == (4, what)
    assert difference.then != difference.now


def test_what_is_missing_on_either_side_is_told() -> None:
    missing = compared(SAID[:1], SAID).difference
    assert missing is not None
    assert (missing.what, missing.now) == ("was not said then", '{"change":"exited"}')
    missing = compared(SAID, SAID[:1]).difference
    assert missing is not None
    assert (missing.offset, missing.what) == (4, "is not said now")


def live(then: list[Write], now: list[Write], *, until: int) -> Compared:
    """As `compared`, of a log that goes on after `until`."""
    comparison = Comparison(1)
    comparison.hear(now)
    comparison.read(SEGMENT_CHANGES.name, 0, recorded(then))
    return next(
        one for one in comparison.end(goes_on_from=until) if one.topic == SEGMENT_CHANGES.name
    )


def test_of_a_log_that_goes_on_what_is_not_said_yet_is_no_difference() -> None:
    found = live(SAID[:1], SAID, until=3_000)
    assert (found.difference, found.records, found.not_yet) == (None, 1, 1)
    found = live(SAID, SAID[:1], until=2_000)
    assert (found.difference, found.not_yet) == (None, 0), "said after what was replayed"
    missing = live(SAID, SAID[:1], until=2_001).difference
    assert missing is not None
    assert missing.what == "is not said now"
    assert live(SAID[::-1], SAID, until=0).difference is not None


def test_the_order_counts() -> None:
    assert compared(SAID[::-1], SAID).difference is not None


CLOCKS = [Write(CONSENT.name, 0, b"clock/0", b"%d" % at, at) for at in range(4)]
WORD = Write(CONSENT.name, 0, b"main/email/ann@example.com", b"granted", 2)


def test_compaction_may_have_taken_what_a_later_record_replaced() -> None:
    said = [*CLOCKS[:2], WORD, *CLOCKS[2:]]
    assert compared([WORD, CLOCKS[3]], said, CONSENT.name).difference is None
    assert compared([CLOCKS[1], WORD, CLOCKS[3]], said, CONSENT.name).difference is None


def test_compaction_takes_no_newest_record() -> None:
    said = [*CLOCKS[:2], WORD, *CLOCKS[2:]]
    missing = compared([CLOCKS[3]], said, CONSENT.name).difference
    assert missing is not None
    assert missing.what == "was not said then"


def letter(station: str, offset: int, reason: str = "KeyError") -> Write:
    headers = (
        ("station", station.encode()),
        ("reason", reason.encode()),
        ("offset", b"%d" % offset),
    )
    return Write(DEAD_LETTERS.name, 0, b"i1", b"body", 1_000, headers)


def test_of_dead_letters_each_stations_order_counts_and_no_offset_of_an_inner_topic() -> None:
    then = [letter("identity", 70), letter("profile", 10), letter("identity", 75)]
    now = [letter("profile", 5), letter("identity", 30), letter("identity", 31)]
    assert compared(then, now, DEAD_LETTERS.name).difference is None
    now[0] = letter("profile", 5, "ValueError")
    assert compared(then, now, DEAD_LETTERS.name).difference is not None


def test_values_are_shortened_around_the_place() -> None:
    assert (
        shortened(b"x" * 30 + b"here" + b"y" * 100, 30) == "…" + "x" * 24 + "here" + "y" * 52 + "…"
    )
    assert shortened(b"\xff", 0) == "\\xff"
