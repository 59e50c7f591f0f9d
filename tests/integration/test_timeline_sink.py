"""The sink on a real broker: every row once, whenever it ends; nothing skipped, nothing lost."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from agents.clickhouse import open_client
from agents.columns import SHAPES, UnreadableRecord
from agents.embedded.gateway import ClickHouseGateway
from agents.migrations import migrate
from agents.settings import Settings
from agents.timeline import LogRegressed, RecordsLost, TimelineSink
from agents.topics import ensure_topics, topic_name
from schemas.outputs import ClockStruck, IdentityMerged, TimelineEntry
from schemas.topics import IDENTITY_MERGES, SEND_COMMANDS, TIMELINE, TOPICS
from schemas.values import Record

pytestmark = pytest.mark.integration

READ = [topic for topic in TOPICS if topic.name in SHAPES]
PARTITIONS = 2
EVENTS = 400
AT = "2010-12-01T08:26:00.000Z"
TOTALS = "SELECT count(), uniqExact(event_id), sum(toInt128(value_micros)) FROM events"
EXPECTED = (EVENTS, EVENTS, sum(range(EVENTS)) * 1_000_000 + EVENTS * 1000)


def entry(number: int) -> TimelineEntry:
    return TimelineEntry(
        event_id=f"e{number}",
        store="main",
        profile_id=f"i{number % 7}",
        metric="Placed Order",
        occurred_at=AT,
        received_at=AT,
        origin=(1291191960000, number % PARTITIONS, number, 0),
        trust="server",
        source="shop",
        backfill=False,
        identifiers=(("email", "ann@example.com"),),
        properties={},
        value=f"{number}.001",
        currency="EUR",
    )


async def write(settings: Settings, batches: Sequence[tuple[str, Sequence[Record]]]) -> None:
    """Write each batch in a transaction, spread over the partitions; each but the last is undone
    once before: readers must not see what was aborted, and markers take offsets.
    """
    async with AIOKafkaProducer(
        transactional_id=f"{settings.namespace}-writer", **settings.kafka_clients()
    ) as producer:
        for topic, records in batches:
            for keep in (False, True):
                await producer.begin_transaction()
                for number, record in enumerate(records):
                    await producer.send_and_wait(
                        topic_name(settings, topic),
                        msgspec.json.encode(record),
                        partition=number % PARTITIONS,
                    )
                if keep:
                    await producer.commit_transaction()
                else:
                    await producer.abort_transaction()


async def ends_of(settings: Settings) -> Mapping[TopicPartition, int]:
    """The end offset of every partition that the timeline reads."""
    async with AIOKafkaConsumer(**settings.kafka_clients()) as consumer:
        places = [
            TopicPartition(topic_name(settings, topic.name), partition)
            for topic in READ
            for partition in range(PARTITIONS)
        ]
        return cast(Mapping[TopicPartition, int], await consumer.end_offsets(places))


@pytest.fixture
async def shop(settings: Settings, clickhouse: ClickHouseGateway) -> Settings:
    """A namespace with its topics: events, a merge, clocks; each written in transactions."""
    settings = replace(settings, partitions=PARTITIONS, clickhouse=clickhouse.dsn)
    await ensure_topics(settings, simulated=True, topics=READ)
    merge = IdentityMerged(id="x1", store="main", winner="i0", loser="i1", decided_at=AT)
    clocks = [ClockStruck(partition=number, at=AT) for number in range(PARTITIONS)]
    events = [entry(number) for number in range(EVENTS)]
    await write(
        settings,
        [
            (TIMELINE.name, events[: EVENTS // 2]),
            (IDENTITY_MERGES.name, [merge]),
            (SEND_COMMANDS.name, clocks),
            (TIMELINE.name, events[EVENTS // 2 :]),
        ],
    )
    return settings


@asynccontextmanager
async def running(sink: TimelineSink) -> AsyncIterator[asyncio.Task[None]]:
    """Run a sink; stop it at the end, and hear what it ended with."""
    task = asyncio.create_task(sink.run())
    try:
        yield task
    finally:
        await sink.stop()
        await asyncio.wait([task])
    await task


@pytest.fixture
def client(shop: Settings) -> Client:
    opened = open_client(shop)
    migrate(opened)
    return opened


async def test_all_that_was_committed_is_in_once(shop: Settings, client: Client) -> None:
    sink = TimelineSink(shop, client, rows_max=150)
    ends = await ends_of(shop)
    async with running(sink):
        await sink.drained(ends)
        assert client.query(TOTALS).first_row == EXPECTED
        assert sink.inserted == {"events": EVENTS, "identity_merges": 1}
        assert sink.clocks() == {topic_name(shop, SEND_COMMANDS.name): 1291191960000}
    again = TimelineSink(shop, client)
    async with running(again):
        await again.drained(ends)
    assert not again.inserted


# A sink of its own process over its own database that ends for good at one place of its work.
ENDS_AT = """
import asyncio, os, sys
from agents.clickhouse import open_client
from agents.migrations import migrate
from agents.settings import Settings
from agents.timeline import TimelineSink

class Ending(TimelineSink):
    inserts = 0
    async def _insert(self, tp, waiting):
        if sys.argv[1] == "before-insert":
            os._exit(77)
        done = await super()._insert(tp, waiting)
        self.inserts += 1
        if sys.argv[1] == f"after-insert-{self.inserts}":
            os._exit(77)
        return done

settings = Settings.from_environ(os.environ)
client = open_client(settings)
migrate(client)
client.command("SYSTEM STOP MERGES")
asyncio.run(Ending(settings, client, rows_max=100).run())
"""
RUNS_TO_THE_END = """
import asyncio, json, os, sys
from aiokafka import TopicPartition
from agents.clickhouse import open_client
from agents.migrations import migrate
from agents.settings import Settings
from agents.timeline import TimelineSink

async def main():
    settings = Settings.from_environ(os.environ)
    client = open_client(settings)
    migrate(client)
    client.command("SYSTEM STOP MERGES")
    sink = TimelineSink(settings, client, rows_max=33)
    ends = {TopicPartition(*place): end for *place, end in json.loads(sys.argv[1])}
    task = asyncio.create_task(sink.run())
    await asyncio.wait([task, waits := asyncio.create_task(sink.drained(ends))],
                       return_when=asyncio.FIRST_COMPLETED)
    await sink.stop()
    await task
    await waits
    events = "SELECT count(), uniqExact(event_id), toInt64(sum(value_micros)) FROM events"
    merges = "SELECT count() FROM identity_merges"
    rows = client.query(events).first_row + client.query(merges).first_row
    print(json.dumps(rows), flush=True)

asyncio.run(main())
"""


async def child(script: str, argument: str, settings: Settings) -> tuple[int, str, str]:
    """Run a script to its end; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        argument,
        env={"PATH": "", "HOME": str(settings.data), **settings.environ()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        said, failed = await asyncio.wait_for(process.communicate(), 90)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode(), failed.decode()


@pytest.mark.parametrize("place", ["before-insert", "after-insert-1", "after-insert-3"])
async def test_a_sink_that_ends_between_insert_and_commit_inserts_nothing_twice(
    shop: Settings, tmp_path: Path, place: str
) -> None:
    """Counted without FINAL and merges: what would be replaced later is not there twice either."""
    own = replace(shop, clickhouse=f"chdb://{tmp_path}/timeline")
    code, _, failed = await child(ENDS_AT, place, own)
    assert code == 77, failed
    ends = [[tp.topic, tp.partition, end] for tp, end in (await ends_of(shop)).items()]
    code, said, failed = await child(RUNS_TO_THE_END, msgspec.json.encode(ends).decode(), own)
    assert code == 0, failed
    assert tuple(msgspec.json.decode(said)) == (*EXPECTED, 1)


class Away:
    """A client whose inserts fail so many times, before or after they were done."""

    def __init__(self, client: Client, errors: list[tuple[bool, Exception]]) -> None:
        self.client = client
        self.errors = errors
        self.failures = 0
        self.failed_twice = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def insert_arrow(self, *arguments: Any, **more: Any) -> None:
        done, error = self.errors.pop(0) if self.errors else (True, None)
        if done:
            self.client.insert_arrow(*arguments, **more)
        if error is not None:
            self.failures += 1
            if self.failures == 2:
                self.loop.call_soon_threadsafe(self.failed_twice.set)
            raise error


async def test_a_database_that_is_away_is_waited_for(shop: Settings, client: Client) -> None:
    lost = OperationalError("connection reset")
    away = Away(client, [(False, lost), (True, lost), (True, DatabaseError("busy", code=202))])
    sink = TimelineSink(shop, cast(Client, away))
    async with running(sink):
        await sink.drained(await ends_of(shop))
    assert client.query(TOTALS).first_row == EXPECTED


async def test_a_sink_can_be_stopped_while_the_database_is_away(
    shop: Settings, client: Client
) -> None:
    away = Away(client, [(False, OperationalError("gone"))] * 1000)
    sink = TimelineSink(shop, cast(Client, away), rows_max=1)
    task = asyncio.create_task(sink.run())
    await asyncio.wait_for(away.failed_twice.wait(), 30)
    await asyncio.wait_for(sink.stop(), 10)
    await task
    hasty = TimelineSink(shop, client)
    await asyncio.gather(hasty.run(), hasty.stop())
    assert client.query(TOTALS).first_row == (0, 0, None)
    again = TimelineSink(shop, client)
    async with running(again):
        await again.drained(await ends_of(shop))
    assert client.query(TOTALS).first_row == EXPECTED


async def test_an_error_that_stays_ends_the_sink_and_whoever_waits(
    shop: Settings, client: Client
) -> None:
    client.command("DROP TABLE identity_merges")
    sink = TimelineSink(shop, client)
    task = asyncio.create_task(sink.run())
    with pytest.raises(RuntimeError, match="ended before all was in"):
        await sink.drained(await ends_of(shop))
    with pytest.raises(DatabaseError, match="identity_merges"):
        await task


async def test_a_record_of_an_unknown_type_stops_the_sink_and_is_named(
    shop: Settings, client: Client
) -> None:
    place = (await ends_of(shop))[TopicPartition(topic_name(shop, TIMELINE.name), 0)]
    merge = IdentityMerged(id="x2", store="main", winner="i0", loser="i2", decided_at=AT)
    async with AIOKafkaProducer(**shop.kafka_clients()) as producer:
        await producer.send_and_wait(
            topic_name(shop, TIMELINE.name), msgspec.json.encode(merge), partition=0
        )
    with pytest.raises(UnreadableRecord, match=rf"timeline/0 offset {place}: .*identity-merged"):
        await TimelineSink(shop, client).run()


async def delete_before(settings: Settings, place: TopicPartition, offset: int) -> None:
    """Do what retention does."""
    admin = AIOKafkaAdminClient(**settings.kafka_clients())
    await admin.start()
    try:
        await admin.delete_records({place: RecordsToDelete(offset)})
    finally:
        await admin.close()


async def test_what_was_deleted_unread_is_named_and_not_left_out_in_silence(
    shop: Settings, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    place = TopicPartition(topic_name(shop, TIMELINE.name), 0)
    sink = TimelineSink(shop, client)
    async with running(sink):
        await sink.drained(await ends_of(shop))
    read = sink.stored[place]
    await write(shop, [(TIMELINE.name, [entry(EVENTS + number) for number in range(20)])])
    await delete_before(shop, place, read + 7)
    with pytest.raises(RecordsLost, match=rf"timeline/0 was read up to {read}, .* 7 offsets"):
        await TimelineSink(shop, client).run()
    assert '"offsets": 7' in caplog.text


async def test_a_new_sink_begins_where_the_log_does_and_says_what_is_missing(
    shop: Settings, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    place = TopicPartition(topic_name(shop, TIMELINE.name), 0)
    last = (await ends_of(shop))[place]
    await delete_before(shop, place, last - 11)
    sink = TimelineSink(shop, client)
    async with running(sink):
        await sink.drained(await ends_of(shop))
    assert EVENTS // PARTITIONS < sink.inserted["events"] <= EVENTS // PARTITIONS + 10
    assert f'"offsets": {last - 11}' in caplog.text


async def test_topics_that_were_made_anew_are_refused(shop: Settings, client: Client) -> None:
    sink = TimelineSink(shop, client)
    async with running(sink):
        await sink.drained(await ends_of(shop))
    async with AIOKafkaConsumer(
        group_id=topic_name(shop, "timeline"), enable_auto_commit=False, **shop.kafka_clients()
    ) as reader:
        place = TopicPartition(topic_name(shop, TIMELINE.name), 0)
        reader.assign([place])
        await reader.commit({place: (10_000, "")})
    with pytest.raises(LogRegressed, match=r"timeline/0 ends at \d+, but was read up to 10000"):
        await TimelineSink(shop, client).run()
