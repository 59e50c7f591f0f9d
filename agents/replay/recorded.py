"""A recorded `store-events` -> what the path says now, compared with what it said then.

In: the topics of a namespace, read with read_committed. Both sides go side by side in pieces, so
memory holds the rows and what is under way, not the log.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import msgspec
from aiokafka import TopicPartition

from agents.admin import admin_of
from agents.reader import Reader, reader_of
from agents.replay.comparison import PUBLIC, Compared, Comparison
from agents.settings import Settings
from agents.topics import partition_counts, timestamp_types, topic_name
from schemas.records import Clock
from schemas.topics import IDENTITY_REQUESTS, STORE_EVENTS
from schemas.values import Instant
from streams.identity.step import IdentityCore
from streams.ids import Ids
from streams.ingest.read import EventReader
from streams.ingest.settings import IngestSettings
from streams.intake import LogRecord
from streams.profile.step import ProfileCore
from streams.replay import Replay
from streams.rounds import RawLate, RawPassed

PIECE = 4_000
"""Records of `store-events` between two runs."""

POLL_MS = 100
SILENT_POLLS_MAX = 300
LARGE_PIECES: dict[str, Any] = {
    "fetch_max_wait_ms": 20,
    "fetch_max_bytes": 16 << 20,
    "max_partition_fetch_bytes": 8 << 20,
}
"""How a recorded log is read."""


_read_envelope = msgspec.msgpack.Decoder(RawPassed | RawLate | Clock).decode


class NothingRecorded(Exception):
    """There is no such log, or not all of it any more; the message says which."""


class Compare(NamedTuple):
    """The outcome. records: of `store-events`, ticks and definitions among them."""

    compared: list[Compared]
    records: int
    partitions: int
    seconds: float

    @property
    def equal(self) -> bool:
        return all(one.difference is None for one in self.compared)


async def compare(settings: Settings, *, progress: Callable[[int, int], None]) -> Compare:
    """Replay the log of `settings.namespace` and compare every public topic.

    progress: told how many records of how many are done.

    Raises: NothingRecorded.
    """
    started = time.monotonic()
    kind = await _kind(settings)
    partitions, replay = kind.partitions, await _replay(settings, kind)
    reading = reader_of(settings, **LARGE_PIECES)
    async with reading as source, reader_of(settings, **LARGE_PIECES) as public:
        log = Places(source, [(topic_name(settings, STORE_EVENTS.name), partitions)])
        await log.start(whole=True)
        said = Places(public, [(topic_name(settings, topic.name), partitions) for topic in PUBLIC])
        await said.start()
        comparison = Comparison(partitions)
        declared = {topic_name(settings, topic.name): topic.name for topic in PUBLIC}
        records, ends = 0, dict[int, Instant]()
        async for number, record in _by_time(log):
            replay.append(
                number,
                record.value,
                record.timestamp,
                offset=record.offset,
                key=record.key,
                headers=tuple(record.headers),
            )
            records += 1
            ends[number] = record.timestamp
            if records % PIECE == 0:
                await _piece(replay, comparison, said, declared)
                progress(records, log.total)
        await _piece(replay, comparison, said, declared)
        await _rest(comparison, said, declared)
        progress(records, log.total)
    goes_on_from = None if kind.simulated else min(ends.values(), default=0)
    compared = comparison.end(goes_on_from=goes_on_from)
    return Compare(compared, records, partitions, time.monotonic() - started)


class Places:
    """Partitions of topics, read from their beginning to where they end now."""

    def __init__(self, consumer: Reader, topics: list[tuple[str, int]]) -> None:
        self.consumer = consumer
        self.all = [TopicPartition(name, p) for name, count in topics for p in range(count)]
        self.total = 0
        self._ends: dict[TopicPartition, int] = {}

    async def start(self, *, whole: bool = False) -> None:
        """Go to the beginning.

        whole: the first record must still be there.
        """
        self.consumer.assign(self.all)
        begins = await self.consumer.beginning_offsets(self.all)
        self._ends = await self.consumer.end_offsets(self.all)
        for place in self.all:
            if whole and begins[place] > 0:
                raise NothingRecorded(
                    f"{place.topic}, partition {place.partition} begins at {begins[place]:,}: "
                    "what was before has been deleted, so it cannot be replayed from the start"
                )
            self.consumer.seek(place, begins[place])
        self.total = sum(self._ends[place] - begins[place] for place in self.all)

    async def is_over(self, place: TopicPartition) -> bool:
        """Whether a partition has been read to its end."""
        position: int = await self.consumer.position(place)
        return self._ends[place] <= position

    async def read(self, places: list[TopicPartition]) -> dict[TopicPartition, list[Any]]:
        """Read more of these partitions; of those that are over nothing comes."""
        open_ones = [place for place in places if not await self.is_over(place)]
        for _ in range(SILENT_POLLS_MAX):
            if not open_ones:
                return {}
            found = await self.consumer.getmany(*open_ones, timeout_ms=POLL_MS)
            if found:
                return dict(found)
            open_ones = [place for place in open_ones if not await self.is_over(place)]
        raise NothingRecorded(f"the broker gives no more of {open_ones[0].topic}")


async def _by_time(log: Places) -> AsyncIterator[tuple[int, LogRecord]]:
    """(partition, record), the least timestamp first: so no partition runs ahead of the others."""
    waiting: dict[TopicPartition, deque[Any]] = {place: deque() for place in log.all}
    while waiting:
        empty = [place for place, records in waiting.items() if not records]
        if empty:
            for place, records in (await log.read(empty)).items():
                waiting[place].extend(records)
            for place in empty:
                if not waiting[place] and await log.is_over(place):
                    del waiting[place]
            continue
        place = min(waiting, key=lambda place: (waiting[place][0].timestamp, place.partition))
        yield place.partition, waiting[place].popleft()


async def _piece(
    replay: Replay, comparison: Comparison, said: Places, declared: dict[str, str]
) -> None:
    """Run what may run, and read what was said then until nothing new waits for it.

    Beside it, in a thread, so that the broker's next records come in meanwhile.
    """
    comparison.hear(await asyncio.to_thread(replay.run))
    while True:
        behind = [p for p in said.all if comparison.waits_for(declared[p.topic], p.partition)]
        found = await said.read(behind)
        if not found:
            return
        for place, records in found.items():
            comparison.read(declared[place.topic], place.partition, records)


async def _rest(comparison: Comparison, said: Places, declared: dict[str, str]) -> None:
    """Read all that was said then and is not said now."""
    while found := await said.read(said.all):
        for place, records in found.items():
            comparison.read(declared[place.topic], place.partition, records)


class _Kind(NamedTuple):
    """simulated: a feeder gave the log its time; then ingest believed every tick."""

    partitions: int
    simulated: bool


async def _kind(settings: Settings) -> _Kind:
    """What kind of log it is.

    Raises: NothingRecorded.
    """
    name = topic_name(settings, STORE_EVENTS.name)
    async with admin_of(settings) as admin:
        if name not in await admin.list_topics():
            raise NothingRecorded(f"there is no topic {name} on {', '.join(settings.kafka or ())}")
        counts = await partition_counts(admin, [name])
        stamps = await timestamp_types(admin, [name])
    return _Kind(counts[name], stamps[name] == "CreateTime")


async def _replay(settings: Settings, kind: _Kind) -> Replay:
    """The path in memory as that deployment runs it."""
    ids = Ids(settings.secret_bytes)
    region = IngestSettings(default_region=settings.default_region or None)
    made = None if kind.simulated else await _boundaries(settings)
    return Replay(
        kind.partitions,
        reader=lambda: EventReader(ids, region),
        identity=IdentityCore(ids),
        profile=ProfileCore(ids),
        is_boundary=lambda tick_at: made is None or tick_at - 1 in made,
    )


async def _boundaries(settings: Settings) -> set[Instant]:
    """The boundaries that ingest of partition 0 made of ticks: its clocks.

    Raises: NothingRecorded.
    """
    name = topic_name(settings, IDENTITY_REQUESTS.name)
    async with reader_of(settings, **LARGE_PIECES) as consumer:
        requests = Places(consumer, [(name, 1)])
        await requests.start(whole=True)
        found: set[Instant] = set()
        while batch := await requests.read(requests.all):
            for record in (one for records in batch.values() for one in records):
                said = _read_envelope(record.value)
                if isinstance(said, Clock) and (said.stage, said.partition) == ("ingest", 0):
                    found.add(said.at)
        return found
