"""Who asks the timeline waits until it has what every partition had received."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from agents.arrival import rounds_done, stored
from agents.reader import Reader
from agents.settings import Settings
from agents.timeline import GROUP
from agents.topics import ensure_topics, topic_name
from schemas.outputs import ClockStruck
from schemas.topics import SEND_COMMANDS, TIMELINE
from streams.instants import to_timestamp

pytestmark = pytest.mark.integration

PARTITIONS = 2
NOW = 1_700_000_000_000
SECOND = 1_000
TRIALS = 20


@pytest.fixture
async def two(settings: Settings) -> Settings:
    """A namespace of two partitions."""
    two = replace(settings, partitions=PARTITIONS)
    await ensure_topics(two, simulated=True, topics=[SEND_COMMANDS, TIMELINE])
    return two


@asynccontextmanager
async def waiting(for_what: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(for_what)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def strike(settings: Settings, partition: int, at: int) -> None:
    """A clock on `send-commands`, as the profile stage says it."""
    async with AIOKafkaProducer(**settings.kafka_clients()) as producer:
        value = msgspec.json.encode(ClockStruck(partition=partition, at=to_timestamp(at)))
        key = b"clock/%d" % partition
        name = topic_name(settings, SEND_COMMANDS.name)
        await producer.send_and_wait(name, value, key, partition)


async def commit(settings: Settings, ends: dict[TopicPartition, int]) -> None:
    """What the timeline sink has put into the database."""
    reader = Reader(**settings.kafka_readers(), group_id=topic_name(settings, GROUP))
    await reader.start()
    try:
        reader.assign(list(ends))
        await reader.commit(ends)
    finally:
        await reader.stop()


async def test_a_round_is_done_where_the_clocks_of_all_partitions_have_passed(
    two: Settings,
) -> None:
    async with waiting(rounds_done(two, NOW)) as done:
        for _ in range(TRIALS):
            await strike(two, 0, NOW + SECOND)
            await strike(two, 1, NOW)
            assert not done.done(), "the other partition has not passed the instant"
        while not done.done():
            await strike(two, 1, NOW + SECOND)
        await done


async def test_all_is_stored_where_the_sink_has_every_partition(two: Settings) -> None:
    first, second = (
        TopicPartition(topic_name(two, TIMELINE.name), number) for number in range(PARTITIONS)
    )
    async with waiting(stored(two, {first: 7, second: 3})) as done:
        await commit(two, {first: 7, second: 2})
        finished, _ = await asyncio.wait({done}, timeout=1)
        assert not finished
        await commit(two, {second: 3})
        await asyncio.wait_for(done, 30)
