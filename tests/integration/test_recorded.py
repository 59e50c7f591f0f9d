"""A recorded log on a real broker, replayed and compared."""

import asyncio
import random
from collections.abc import Iterable

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from agents.replay.comparison import PUBLIC
from agents.replay.recorded import Compare, NothingRecorded, compare
from agents.settings import Settings
from agents.topics import ensure_topics, topic_name
from schemas.records import INNER_SCHEMA, Clock, DefinitionsPublished
from schemas.topics import IDENTITY_REQUESTS, STORE_EVENTS, TIMELINE
from streams.identity.step import IdentityCore
from streams.ids import Ids
from streams.ingest.control import definitions, tick
from streams.ingest.read import EventReader
from streams.instants import SECOND, to_instant, to_timestamp
from streams.intake import Write
from streams.profile.step import ProfileCore
from streams.replay import Replay

pytestmark = pytest.mark.integration

START = to_instant("2026-03-02T09:00:00Z")
DOCUMENTS = ({"segment": "hot", "where": {"did": "Viewed Product", "in_last": "90s"}},)
PUBLIC_NAMES = {topic.name for topic in PUBLIC}


def in_memory(settings: Settings, believed: frozenset[int] | None = None) -> Replay:
    ids = Ids(settings.secret_bytes)
    return Replay(
        settings.partitions,
        reader=lambda: EventReader(ids),
        identity=IdentityCore(ids),
        profile=ProfileCore(ids),
        is_boundary=lambda at: believed is None or at in believed,
    )


def simulated_log(settings: Settings) -> list[Write]:
    """Some minutes of a shop: 40 people, two minutes in which nothing happens, a bad line."""
    chance = random.Random(7)
    published = DefinitionsPublished("main", "v1", "ann", DOCUMENTS)
    value, headers = definitions(published, settings.secret_bytes)
    partitions = range(settings.partitions)
    log = [Write(STORE_EVENTS.name, p, b"", value, START, headers) for p in partitions]
    tick_value, tick_headers = tick()
    for second in (*range(60), *range(180, 200)):
        at = START + second * SECOND
        for number in range(chance.randint(0, 8)):
            event = {
                "id": f"{second}-{number}",
                "metric": "Viewed Product",
                "time": to_timestamp(at),
                "profile": {
                    "email": f"{chance.randint(1, 40)}@example.com",
                    "device_id": f"d-{chance.randint(1, 40)}",
                },
            }
            body = msgspec.json.encode(event)
            log.append(Write(STORE_EVENTS.name, chance.choice(partitions), b"k", body, at))
        log += [
            Write(STORE_EVENTS.name, p, b"", tick_value, at + SECOND, tick_headers)
            for p in partitions
        ]
    log.insert(
        len(log) // 2, msgspec.structs.replace(log[len(log) // 2], value=b"{bad", headers=())
    )
    return log


async def write(settings: Settings, writes: Iterable[Write]) -> None:
    producer = AIOKafkaProducer(**settings.kafka_clients())
    await producer.start()
    try:
        sent = [
            await producer.send(
                topic_name(settings, one.topic),
                one.value,
                one.key,
                partition=one.partition,
                timestamp_ms=one.timestamp,
                headers=list(one.headers),
            )
            for one in writes
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def said_by(replay: Replay, log: Iterable[Write]) -> list[Write]:
    for one in log:
        replay.append(one.partition, one.value, one.timestamp, key=one.key, headers=one.headers)
    return replay.run()


async def compared(settings: Settings) -> Compare:
    return await compare(settings, progress=lambda _done, _of: None)


async def test_a_recorded_log_is_found_equal(settings: Settings) -> None:
    await ensure_topics(settings, simulated=True)
    log = simulated_log(settings)
    said = said_by(in_memory(settings), log)
    await write(settings, [*log, *said])
    outcome = await compared(settings)
    assert outcome.equal, [one for one in outcome.compared if one.difference is not None]
    assert outcome.records == len(log)
    assert sum(one.records for one in outcome.compared) == len(said)
    assert {one.topic for one in outcome.compared} == PUBLIC_NAMES


async def test_one_byte_that_differs_is_found(settings: Settings) -> None:
    await ensure_topics(settings, simulated=True)
    log = simulated_log(settings)
    said = said_by(in_memory(settings), log)
    at = next(i for i, one in enumerate(said) if one.topic == TIMELINE.name and i > 100)
    value = (said[at].value or b"").replace(b"Viewed", b"Viewee")
    said[at] = msgspec.structs.replace(said[at], value=value)
    await write(settings, [*log, *said])
    outcome = await compared(settings)
    (different,) = [one for one in outcome.compared if one.difference is not None]
    assert (different.topic, different.partition) == (TIMELINE.name, said[at].partition)
    assert different.difference is not None
    assert "Viewee" in (different.difference.then or "")


async def test_in_a_live_log_the_ticks_that_were_believed_are_the_boundaries(
    settings: Settings,
) -> None:
    await ensure_topics(settings)
    tick_value, tick_headers = tick()
    for number in range(4):
        event = {"metric": "Viewed Product", "profile": {"email": f"{number}@example.com"}}
        place = (STORE_EVENTS.name, number % settings.partitions, b"k")
        await write(settings, [Write(*place, msgspec.json.encode(event), 0)])
        await asyncio.sleep(0.01)
        for p in range(settings.partitions):
            tick_at = Write(STORE_EVENTS.name, p, b"", tick_value, 0, tick_headers)
            await write(settings, [tick_at])
        await asyncio.sleep(0.01)
    log = await stamped(settings)
    ticks = [one.timestamp for one in log if one.headers and one.partition == 0]
    believed = frozenset((ticks[0], ticks[-1]))
    said = said_by(in_memory(settings, believed), log)
    clocks = [
        Write(
            IDENTITY_REQUESTS.name,
            0,
            b"",
            msgspec.msgpack.encode(Clock(INNER_SCHEMA, "ingest", 0, at - 1)),
            at - 1,
        )
        for at in sorted(believed)
    ]
    await write(settings, [*said, *clocks])
    outcome = await compared(settings)
    assert outcome.equal, [one for one in outcome.compared if one.difference is not None]
    assert said != said_by(in_memory(settings), log), "which ticks are believed is seen"


async def stamped(settings: Settings) -> list[Write]:
    """`store-events` with the broker's timestamps."""
    name = topic_name(settings, STORE_EVENTS.name)
    consumer = AIOKafkaConsumer(**settings.kafka_clients(), auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = [TopicPartition(name, p) for p in range(settings.partitions)]
        consumer.assign(places)
        ends = sum((await consumer.end_offsets(places)).values())
        found: list[Write] = []
        while len(found) < ends:
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                found += [
                    Write(
                        STORE_EVENTS.name,
                        place.partition,
                        one.key,
                        one.value,
                        one.timestamp,
                        tuple(one.headers),
                    )
                    for one in records
                ]
        return found
    finally:
        await consumer.stop()


async def test_a_namespace_without_a_log_is_told(settings: Settings) -> None:
    with pytest.raises(NothingRecorded, match="there is no topic"):
        await compared(settings)
