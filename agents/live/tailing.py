"""The records of a public topic as they come, read_committed; clocks left out unless asked for."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from agents.reader import reader_of
from agents.settings import Settings
from agents.topics import places_of
from schemas.topics import Topic
from schemas.values import Instant, Timestamp
from streams.ingest.control import HEADER, MAC_HEADER, TICK
from streams.instants import to_timestamp

FETCH_WAIT_MS_MAX = 50
CLOCK_KEY = b"clock/"
HIDDEN_HEADERS = frozenset({MAC_HEADER})
"""Headers that are nobody's business."""


class Tailed(msgspec.Struct, frozen=True, kw_only=True):
    """A record. value: what its JSON says; bytes that are no JSON, as text. at: Kafka's time."""

    topic: str
    partition: int
    offset: int
    at: Timestamp
    key: str | None
    headers: dict[str, str]
    value: Any


class Tail:
    """`async for record in Tail(...).records(stopping)`."""

    def __init__(
        self, settings: Settings, topic: Topic, *, from_beginning: bool, clocks: bool
    ) -> None:
        self._settings, self._topic = settings, topic
        self._from_beginning, self._clocks = from_beginning, clocks

    async def records(self, stopping: asyncio.Event) -> AsyncIterator[Tailed]:
        """Yield until told to stop."""
        places = places_of(self._settings, self._topic)
        quickly = {"fetch_max_wait_ms": FETCH_WAIT_MS_MAX}
        async with reader_of(self._settings, places, **quickly) as reader:
            if self._from_beginning:
                await reader.seek_to_beginning(*places)
            else:
                await reader.seek_to_end(*places)
            while not stopping.is_set():
                for record in await reader.records():
                    if self._clocks or not is_clock(record):
                        yield tailed(self._topic, record)


def is_clock(record: Any) -> bool:
    """Whether a record only says that time has passed."""
    if record.key is not None and record.key.startswith(CLOCK_KEY):
        return True
    return (HEADER, TICK) in record.headers


def tailed(topic: Topic, record: Any) -> Tailed:
    """A record as it is shown."""
    instant: Instant = record.timestamp
    return Tailed(
        topic=topic.name,
        partition=record.partition,
        offset=record.offset,
        at=to_timestamp(instant),
        key=None if record.key is None else text_of(record.key),
        headers={
            name: text_of(value) for name, value in record.headers if name not in HIDDEN_HEADERS
        },
        value=value_of(record.value),
    )


def value_of(value: bytes | None) -> Any:
    """What the JSON says, else the text of the bytes."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return text_of(value)


def text_of(value: bytes | None) -> str:
    """Bytes as text, whatever they are."""
    return (value or b"").decode(errors="backslashreplace")
