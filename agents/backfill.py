"""The back-fill: what new definitions ask about the past, out of ClickHouse, into the log.

In: the topic `definitions`, the marks of a switch in `timeline`, the events that stand before them.
Out: `Backfilled` and `DefinitionsFilled` in `store-events`. State: how far it is in each partition
of the timeline, in the metadata of the offsets of its group, committed with the records: so each
record is written once, whoever ends it and however often it starts again.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from clickhouse_connect.driver.client import Client

from agents.admin import admin_of, committed_offsets
from agents.arrival import rounds_done, stored
from agents.changelog import read_rows
from agents.reader import reader_of
from agents.reports.events import COLUMNS, event_in
from agents.settings import Settings
from agents.ticker import expect_live
from agents.topics import topic_name
from agents.transactions import sole_producer
from schemas.events import Event
from schemas.outputs import DefinitionsStated, DefinitionsSwitched
from schemas.records import Backfilled, DefinitionsFilled
from schemas.topics import DEFINITIONS, STORE_EVENTS, TIMELINE, Topic
from schemas.values import Instant, Origin, ProfileId, StoreId
from streams.ids import Ids
from streams.ingest.control import backfill
from streams.instants import to_instant
from streams.memory_backfill import ROUNDS_MAX_ON_THE_WAY
from streams.segments.backfill import Backfill, state_in

GROUP: Final = "backfill"
PARTITION: Final = 0
"""Of `definitions`: ingest of this one, which makes all others switch, tells them all."""
PROFILES_PER_TRANSACTION: Final = 500
TRANSACTION_TIMEOUT_MS: Final = 30_000

PROFILES = """
SELECT DISTINCT profile_id FROM events
WHERE store = {store:String} AND kafka_partition = {partition:UInt16}
    AND kafka_offset < {mark:UInt64} AND metric IN {metrics:Array(String)}
    AND profile_id > {after:String}
ORDER BY profile_id LIMIT {limit:UInt32}
"""

# A row that the sink has inserted twice counts once: its place says so.
EVENTS = """
SELECT profile_id, <columns> FROM events
WHERE store = {store:String} AND kafka_partition = {partition:UInt16}
    AND kafka_offset < {mark:UInt64} AND metric IN {metrics:Array(String)}
    AND profile_id BETWEEN {first:String} AND {last:String}
ORDER BY profile_id, kafka_offset LIMIT 1 BY kafka_offset
""".replace("<columns>", COLUMNS)


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a back-fill is in one partition of the timeline.

    switch: which back-fill it is. done: up to this profile id. profiles: how many were filled.
    """

    switch: Origin
    done: ProfileId = ""
    profiles: int = 0
    over: bool = False


class BackfillStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A back-fill under way. partitions: those of the timeline that are done, of how many."""

    store: StoreId
    version: str
    profiles: int
    partitions: tuple[int, int]


_stated = msgspec.json.Decoder(DefinitionsStated).decode
_mark = msgspec.json.Decoder(DefinitionsSwitched).decode
_progress = msgspec.json.Decoder(Progress).decode


async def published(settings: Settings) -> dict[StoreId, DefinitionsStated]:
    """The definitions that each store has published last."""
    found: dict[StoreId, DefinitionsStated] = {}
    if not await _is_there(settings, DEFINITIONS):  # a namespace of an older version
        return found
    rows = await read_rows(settings, DEFINITIONS, PARTITION)
    found |= {key.decode(): _stated(value) for key, value in sorted(rows.items())}
    return found


async def standing_of_backfills(settings: Settings) -> list[BackfillStanding]:
    """The back-fills under way."""
    due = [stated for stated in (await published(settings)).values() if stated.filling]
    if not due:
        return []
    known = (await committed_offsets(settings, topic_name(settings, GROUP))).values()
    found = []
    for stated in due:
        parts = [one for one in map(_read_progress, known) if one and one.switch == stated.switch]
        found.append(
            BackfillStanding(
                store=stated.store,
                version=stated.version,
                profiles=sum(part.profiles for part in parts),
                partitions=(sum(part.over for part in parts), settings.partitions),
            )
        )
    return found


async def fill_in(
    settings: Settings, client: Client, stated: DefinitionsStated, *, say: Callable[[str], None]
) -> int:
    """Fill in what is due for one store; what was done before is not done again.

    Returns: how many profiles were filled here.

    Raises: SimulatedNamespace; ProducerFenced where another back-fill has begun.
    """
    await expect_live(settings)
    async with sole_producer(settings, GROUP, timeout_ms=TRANSACTION_TIMEOUT_MS) as producer:
        filling = _Filling(settings, client, stated, producer)
        return await filling.run(say)


class _Filling:
    """One back-fill, from the marks to its end."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        stated: DefinitionsStated,
        producer: AIOKafkaProducer,
    ) -> None:
        self._settings, self._client, self._stated = settings, client, stated
        self._producer = producer
        self._ids = Ids(settings.secret_bytes)
        self._job = Backfill(state_in(stated))
        self._timeline = topic_name(settings, TIMELINE.name)
        self._source = topic_name(settings, STORE_EVENTS.name)
        self._said = 0
        self._last_at: Instant = 0

    async def run(self, say: Callable[[str], None]) -> int:
        known = await committed_offsets(self._settings, topic_name(self._settings, GROUP))
        for partition in range(self._settings.partitions):
            progress = _read_progress(known.get(TopicPartition(self._timeline, partition)))
            if progress is None or progress.switch != self._stated.switch:
                progress = Progress(switch=self._stated.switch)
            if not progress.over:
                await self._partition(partition, progress)
        # What is filled in for profiles that were merged away travels on: a round for each merge.
        await rounds_done(self._settings, self._last_at, count=ROUNDS_MAX_ON_THE_WAY + 1)
        await self._end()
        say(
            f"store {self._stated.store}: the past of version {self._stated.version} is filled in "
            f"({self._said:,} profiles); it is in force wholly"
        )
        return self._said

    async def _partition(self, partition: int, progress: Progress) -> None:
        """Fill in what stands before the mark of one partition of the timeline."""
        mark = await self._place_of_mark(partition)
        await stored(self._settings, {TopicPartition(self._timeline, partition): mark + 1})
        while not progress.over:
            lines = await asyncio.to_thread(self._read, partition, mark, progress.done)
            found = [
                one
                for who, events in lines
                if (one := self._job.of(who, map(self._event, events))) is not None
            ]
            progress = msgspec.structs.replace(
                progress,
                done=lines[-1][0] if lines else progress.done,
                profiles=progress.profiles + len(found),
                over=len(lines) < PROFILES_PER_TRANSACTION,
            )
            await self._write(partition, mark, found, progress)

    def _read(
        self, partition: int, mark: int, after: ProfileId
    ) -> list[tuple[ProfileId, list[Sequence[Any]]]]:
        """The events of the next profiles, in the order in which they were applied."""
        asked: dict[str, Any] = {
            "store": self._stated.store,
            "partition": partition,
            "mark": mark,
            "metrics": sorted(self._job.metrics),
            "after": after,
            "limit": PROFILES_PER_TRANSACTION,
        }
        people = [row[0] for row in self._client.query(PROFILES, parameters=asked).result_rows]
        if not people:
            return []
        asked |= {"first": people[0], "last": people[-1]}
        rows = self._client.query(EVENTS, parameters=asked).result_rows
        return [(who, list(events)) for who, events in groupby(rows, key=itemgetter(0))]

    def _event(self, row: Sequence[Any]) -> Event:
        return event_in(self._stated.store, row[1:])

    async def _write(
        self,
        partition: int,
        mark: int,
        records: Sequence[Backfilled | DefinitionsFilled],
        progress: Progress,
    ) -> None:
        """Append the records and say how far it is, both or neither."""
        metadata = msgspec.json.encode(progress).decode()
        place = TopicPartition(self._timeline, partition)
        async with self._producer.transaction():
            sent = []
            for said in records:
                value, headers = backfill(said, self._ids)
                self._said += isinstance(said, Backfilled)
                to = self._said % self._settings.partitions
                sent.append(
                    await self._producer.send(
                        self._source, value, partition=to, headers=list(headers)
                    )
                )
            for future in sent:
                self._last_at = max(self._last_at, (await future).timestamp)
            await self._producer.send_offsets_to_transaction(
                {place: OffsetAndMetadata(mark, metadata)}, topic_name(self._settings, GROUP)
            )

    async def _end(self) -> None:
        """Say in every partition at once that all has been said."""
        value, headers = backfill(self._job.end(), self._ids)
        async with self._producer.transaction():
            for partition in range(self._settings.partitions):
                await self._producer.send(
                    self._source, value, partition=partition, headers=list(headers)
                )

    # --- waiting -------------------------------------------------------------------------------

    async def _place_of_mark(self, partition: int) -> int:
        """Wait for the mark of the switch; returns its offset."""
        place = TopicPartition(self._timeline, partition)
        key = b"definitions/" + self._stated.store.encode()
        at = to_instant(self._stated.published_at)
        async with reader_of(self._settings, [place]) as reader:
            async for record in reader.read_on_from(place, at):
                if record.key == key and _mark(record.value).switch == self._stated.switch:
                    return int(record.offset)
        raise AssertionError("a topic is read on without end")


def _read_progress(committed: OffsetAndMetadata | None) -> Progress | None:
    if committed is None or not committed.metadata:
        return None
    return _progress(committed.metadata)


async def _is_there(settings: Settings, topic: Topic) -> bool:
    async with admin_of(settings) as admin:
        return topic_name(settings, topic.name) in await admin.list_topics()
