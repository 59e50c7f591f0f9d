"""Who claims a partition goes on only where every transaction has its end."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.embedded.kafka import EmbeddedKafka
from agents.settings import Settings
from agents.topics import ends_of, ensure_topics
from agents.transactions import EndLost, KafkaTransactions, sole_producer
from schemas.topics import PROFILE_ROWS
from streams.intake import Work
from tests.conftest import SECRET
from tests.integration.path.reading import places_of, records_of

pytestmark = pytest.mark.integration

TIMEOUT_MS = 60_000
UNDECIDED_SECONDS_MAX = 1.0
PARTITIONS = 64
KILLS = 12
"""Kafka 4.3.1 loses the end of a transaction in one of three."""


async def make_topic(settings: Settings, name: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(**settings.kafka_clients())
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, replication_factor=1)])
    finally:
        await admin.close()


@asynccontextmanager
async def stage_of(settings: Settings, rows: str) -> AsyncIterator[KafkaTransactions]:
    """A stage without outputs; what it claimed is released at the end."""
    stage = KafkaTransactions(
        f"stage-of-{rows}",
        settings.kafka_clients(),
        name_of={},
        rows_topic=rows,
        ends_of=partial(ends_of, settings),
        undecided_seconds_max=UNDECIDED_SECONDS_MAX,
    )
    try:
        yield stage
    finally:
        await stage.release(range(PARTITIONS))


async def test_a_claim_ends_what_the_former_owner_left_open(settings: Settings) -> None:
    rows = f"{settings.namespace}-rows"
    await make_topic(settings, rows, 1)
    async with stage_of(settings, rows) as former, stage_of(settings, rows) as next_owner:
        await former.claim([0])
        producer = former._producers[0]
        await producer.begin_transaction()
        await producer.send_and_wait(rows, b"half a round", partition=0)
        await next_owner.claim([0])
        work = Work([], [(b"key", b"row")], low=0, steps=1, clock=None, failures=0)
        assert await next_owner.write(0, work) == 2, "after the half round and the marker it got"


async def test_a_transaction_that_nobody_will_end_is_refused(settings: Settings) -> None:
    """The claim ends only its own. Another's stands for one that the broker believes is over."""
    rows = f"{settings.namespace}-rows"
    await make_topic(settings, rows, 2)
    async with (
        sole_producer(settings, "stranger", timeout_ms=TIMEOUT_MS) as stranger,
        stage_of(settings, rows) as stage,
    ):
        await stranger.begin_transaction()
        await stranger.send_and_wait(rows, b"half a round", partition=1)
        await stage.claim([0])
        with pytest.raises(EndLost, match=rf"{rows}, partition 1: .* wrote offset 0 has no end"):
            await stage.claim([1])
        await stranger.abort_transaction()


@pytest.mark.prove
@pytest.mark.timeout(600)
async def test_what_was_committed_when_the_broker_was_killed_is_committed(tmp_path: Path) -> None:
    """Killed once the commit is answered, before most partitions have its marker."""
    broker = EmbeddedKafka(tmp_path / "kafka")
    await asyncio.to_thread(broker.start)
    try:
        settings = Settings(
            kafka=(broker.address,), partitions=PARTITIONS, data=tmp_path, secret=SECRET
        )
        await ensure_topics(settings, topics=[PROFILE_ROWS])
        places = places_of(settings, [PROFILE_ROWS])
        for kill in range(1, KILLS + 1):
            async with sole_producer(settings, "writer", timeout_ms=TIMEOUT_MS) as writer:
                await commit_once_in_each(places, writer)
                broker.process.send(signal.SIGKILL)
            await asyncio.to_thread(broker.stop)
            await asyncio.to_thread(broker.start)
            settings = replace(settings, kafka=(broker.address,))
            async with sole_producer(settings, "writer", timeout_ms=TIMEOUT_MS):
                written = await ends_of(settings, places)
                decided = await ends_of(settings, places, committed=True)
            assert decided == written, f"kill {kill}: each transaction has its end"
        found = [place async for place, _ in records_of(settings, [PROFILE_ROWS])]
        assert Counter(found) == Counter(dict.fromkeys(places.values(), KILLS))
    finally:
        await asyncio.to_thread(broker.stop)


async def commit_once_in_each(places: Iterable[TopicPartition], producer: AIOKafkaProducer) -> None:
    async with producer.transaction():
        sent = [
            await producer.send(place.topic, b"row", b"key", place.partition) for place in places
        ]
        await asyncio.gather(*sent)
