"""Bad input on the real path: rejected with a word, the good between it goes through."""

import base64
import random
from typing import Any, NamedTuple

import pytest

from agents.demo.log import SINCE, LogRecord
from schemas.outputs import TimelineEntry
from schemas.topics import STORE_EVENTS_REJECTED, TIMELINE
from streams.ingest.read import EVENT_BYTES_MAX
from streams.instants import SECOND
from tests.integration.path.reading import records_of, said_in, values_of
from tests.integration.path.running import Deployment
from tests.integration.path.shop import PARTITIONS, a_tick, core_in_memory, play, said_by

pytestmark = pytest.mark.integration


class Bad(NamedTuple):
    """Bytes that are no event, and what is said about them."""

    value: bytes
    reason: str
    field: str = ""
    position: int | None = None


def order(number: int) -> bytes:
    return b'{"id":"order-%d","metric":"Placed Order","profile":{"email":"p%d@example.com"}}' % (
        number,
        number % 5,
    )


def event_with(more: bytes, profile: bytes = b'{"email":"ann@example.com"}') -> bytes:
    return b'{"id":"odd","metric":"Placed Order","profile":%s,%s}' % (profile, more)


def event_of(size: int) -> bytes:
    """An event of so many bytes that compression does not make small."""
    head = b'{"id":"large","metric":"Placed Order","profile":{"email":"l@example.com"},'
    head, tail = head + b'"properties":{"noise":"', b'"}}'
    noise = base64.b85encode(random.Random(7).randbytes(size))
    return head + noise[: size - len(head) - len(tail)] + tail


NOT_UTF8 = event_with(b'"properties":{"name":"\xff"}')
NAN = event_with(b'"properties":{"width":NaN}')
TWICE = (
    b'{"id":"twice","metric":"Viewed","metric":"Placed Order","value":1,"value":"2.5",'
    b'"currency":"EUR","profile":{"email":"x@example.com","email":"ann@example.com"}}'
)
INVISIBLE = '"\u200b\u200b"'.encode()

BAD = (
    Bad(NOT_UTF8, "not-utf-8", position=NOT_UTF8.index(b"\xff")),
    Bad(event_of(EVENT_BYTES_MAX + 1), "too-large", position=EVENT_BYTES_MAX),
    Bad(event_with(b'"properties":{"deep":%s%s}' % (b"[" * 1000, b"]" * 1000)), "too-deep"),
    Bad(NAN, "not-json", position=NAN.index(b"NaN")),
    Bad(event_with(b'"value":1' + b"0" * 400), "bad-value", "$.value"),
    Bad(event_with(b'"properties":{"big":1e400}'), "number-out-of-range", "$.properties.big"),
    Bad(event_with(b'"properties":[]'), "wrong-type", "$.properties"),
    Bad(event_with(b'"trust":"admin"'), "wrong-type", "$.trust"),
    Bad(event_with(b'"time":"9999-12-31T23:59:59Z"'), "time-too-late", "$.time"),
    Bad(event_with(b'"value":1', b"{}"), "no-identifier", "$.profile"),
    Bad(event_with(b'"value":1', b'{"external_id":%s}' % INVISIBLE), "no-identifier", "$.profile"),
)
ODD = (
    event_of(EVENT_BYTES_MAX),
    TWICE,
    event_with(b'"value":3', b'{"email":"ann@example.com","external_id":%s}' % INVISIBLE),
)


def log_of(values: list[bytes]) -> list[list[LogRecord]]:
    """Every other record in the same partition, one a second, a tick at the end of each."""
    pieces: list[list[LogRecord]] = [[] for _ in range(PARTITIONS)]
    for number, value in enumerate(values):
        record = LogRecord(SINCE + number * SECOND, b"key-%d" % number, value)
        pieces[number // 2 % PARTITIONS].append(record)
    for piece in pieces:
        piece.append(a_tick(SINCE + len(values) * SECOND))
    return pieces


async def test_bad_input_is_rejected_with_a_word_and_stops_nothing(path: Deployment) -> None:
    values: list[bytes] = []
    for number, value in enumerate([bad.value for bad in BAD] + list(ODD)):
        values += [order(number), value]
    pieces = log_of(values)
    worker = path.start_worker()
    for partition, piece in enumerate(pieces):
        await path.feed_records(partition, piece)
    await path.comes_to(SINCE + len(values) * SECOND)
    await expect_rejected(path, pieces)
    said = await said_in(path.settings)
    await expect_accepted(values_of(said, TIMELINE, TimelineEntry))
    replay = core_in_memory(path.settings.secret_bytes)
    play(replay, pieces)
    assert said == said_by(replay)
    assert worker.stop() == 0


async def expect_rejected(path: Deployment, pieces: list[list[LogRecord]]) -> None:
    """The original bytes, where they were, and a reason that names field or position."""
    bad = {one.value: one for one in BAD}
    found = 0
    async for (_, partition), record in records_of(path.settings, [STORE_EVENTS_REJECTED]):
        headers: dict[str, bytes] = dict(record.headers)
        one = bad[record.value]
        assert headers["reason"].decode() == one.reason
        assert headers["field"].decode() == one.field
        if one.position is not None:
            assert int(headers["position"]) == one.position
        assert one.field or headers["position"], one.reason
        assert headers["topic"] == b"store-events"
        assert int(headers["partition"]) == partition
        original = pieces[partition][int(headers["offset"])]
        assert (original.key, original.value) == (record.key, record.value)
        found += 1
    assert found == len(BAD)


async def expect_accepted(entries: list[TimelineEntry]) -> None:
    by_id: dict[str, Any] = {entry.event_id: entry for entry in entries}
    orders = {f"order-{number}" for number in range(len(BAD) + len(ODD))}
    assert by_id.keys() == orders | {"large", "twice", "odd"}
    assert len(entries) == len(by_id)
    assert len(by_id["large"].properties["noise"]) > EVENT_BYTES_MAX - 200
    assert by_id["twice"].metric == "Placed Order"
    assert (by_id["twice"].value, by_id["twice"].currency) == ("2.50", "EUR")
    assert by_id["twice"].identifiers == (("email", "ann@example.com"),)
    assert by_id["odd"].identifiers == (("email", "ann@example.com"),)
