"""A live namespace: the broker stamps, a worker's ticker makes the time, an event comes through."""

import asyncio
import time
from dataclasses import replace
from itertools import pairwise

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from agents.settings import Settings
from agents.ticker import SimulatedNamespace, Ticker
from agents.topics import ensure_topics, topic_name
from schemas.outputs import SegmentChanged, TimelineEntry
from schemas.topics import SEGMENT_CHANGES, STORE_EVENTS, TIMELINE
from schemas.values import Instant
from streams.ingest.control import HEADER, TICK
from tests.integration.path.reading import places_of, reader_of, values_of
from tests.integration.path.running import DEADLINE_S, Deployment, deployed
from tests.integration.path.shop import the_definitions

pytestmark = pytest.mark.integration

TIMES = 8


class Store:
    """A store that pushes orders by a plain producer and watches what comes of them."""

    def __init__(self, path: Deployment, producer: AIOKafkaProducer) -> None:
        self.path, self._producer = path, producer
        self._topic = topic_name(path.settings, STORE_EVENTS.name)
        self._reader = reader_of(path.settings)
        self.seen: set[str] = set()

    async def publish(self) -> None:
        record = the_definitions(self.path.settings.secret_bytes, 0)
        for partition in range(self.path.settings.partitions):
            await self._producer.send_and_wait(
                self._topic, record.value, partition=partition, headers=list(record.headers)
            )

    async def push(self, name: str) -> float:
        """Push an order; returns the seconds until timeline and segment have it."""
        value = b'{"id":"%s","metric":"Placed Order","value":"12.50","currency":"EUR"' % (
            name.encode()
        )
        value += b',"profile":{"email":"%s@example.com"}}' % name.encode()
        began = time.monotonic()
        await self._producer.send_and_wait(self._topic, value, key=name.encode())
        async with asyncio.timeout(DEADLINE_S):
            while not {f"event {name}", f"first-order {name}"} <= self.seen:
                await self._look()
        return time.monotonic() - began

    async def watch(self) -> None:
        await self._reader.start()
        places = places_of(self.path.settings, [TIMELINE, SEGMENT_CHANGES])
        self._places = places
        self._who: dict[str, str] = {}
        self._reader.assign(list(places))

    async def _look(self) -> None:
        for place, records in (await self._reader.getmany(timeout_ms=50)).items():
            said = {self._places[place]: [(record.key, record.value) for record in records]}
            for entry in values_of(said, TIMELINE, TimelineEntry):
                self._who[entry.profile_id] = entry.event_id
                self.seen.add(f"event {entry.event_id}")
            for change in values_of(said, SEGMENT_CHANGES, SegmentChanged):
                self.seen.add(f"{change.segment} {change.profile_id}")
        self.seen |= {
            f"first-order {name}"
            for who, name in self._who.items()
            if f"first-order {who}" in self.seen
        }

    async def stop(self) -> None:
        await self._reader.stop()


async def test_an_event_comes_through_by_the_ticks_of_one_ticker_or_two(
    small: Settings,
) -> None:
    async with (
        deployed(small, simulated=False) as path,
        AIOKafkaProducer(**small.kafka_clients()) as producer,
    ):
        path.start_worker()
        store = Store(path, producer)
        await store.watch()
        try:
            await store.publish()
            print(f"with the start of a worker: {await store.push('zero'):.2f} s")
            for number in range(TIMES):
                print(f"from push to timeline and segment: {await store.push(f'n{number}'):.3f} s")
            second = Ticker(path.settings, lambda: True)
            running = asyncio.create_task(second.run())
            await store.push("twice")
            await second.stop()
            await running
        finally:
            await store.stop()


@pytest.mark.prove
async def test_two_workers_tick_once_an_interval_and_the_second_takes_over(small: Settings) -> None:
    async with (
        deployed(small, simulated=False) as path,
        AIOKafkaProducer(**small.kafka_clients()) as producer,
    ):
        workers = [path.start_worker(), path.start_worker()]
        store = Store(path, producer)
        await store.watch()
        try:
            await store.publish()
            await store.push("one")
            ticks = await ticks_of(path.settings, 40)
            spans = [later - earlier for earlier, later in pairwise(ticks)]
            assert min(spans[4:]) > path.settings.tick_ms / 2, "a second one would halve them"
            workers[0].end_for_certain()
            await store.push("two")
            workers[1].end_for_certain()
            path.start_worker()
            await store.push("three")
        finally:
            await store.stop()


async def ticks_of(settings: Settings, count: int) -> list[int]:
    """The broker's stamps of so many ticks in partition 0, from now on."""
    reader = reader_of(settings)
    await reader.start()
    try:
        place = TopicPartition(topic_name(settings, STORE_EVENTS.name), 0)
        reader.assign([place])
        await reader.seek_to_end(place)
        found: list[int] = []
        async with asyncio.timeout(DEADLINE_S):
            while len(found) < count:
                for records in (await reader.getmany(timeout_ms=50)).values():
                    found += [one.timestamp for one in records if (HEADER, TICK) in one.headers]
        return found
    finally:
        await reader.stop()


async def test_a_ticker_refuses_a_namespace_of_simulated_time(path: Deployment) -> None:
    with pytest.raises(SimulatedNamespace, match=r"store-events has .*=CreateTime.*--simulated"):
        await Ticker(path.settings, lambda: True).run()


async def test_a_worker_for_live_events_refuses_a_namespace_of_simulated_time(
    small: Settings,
) -> None:
    await ensure_topics(small, simulated=True)
    live = Deployment(small, simulated=False)
    worker = live.start_worker()
    try:
        async with asyncio.timeout(DEADLINE_S):
            code = await asyncio.to_thread(worker.wait)
    finally:
        worker.end_for_certain()
    assert code == 2
    assert "--simulated" in worker.log.read_text()


async def test_a_worker_for_simulated_time_refuses_a_live_namespace(small: Settings) -> None:
    await ensure_topics(small)
    simulated = Deployment(small, simulated=True)
    worker = simulated.start_worker()
    try:
        async with asyncio.timeout(DEADLINE_S):
            code = await asyncio.to_thread(worker.wait)
    finally:
        worker.end_for_certain()
    assert code == 2
    said = worker.log.read_text()
    assert "store-events has message.timestamp.type=LogAppendTime" in said
    assert "without --simulated" in said


async def test_a_worker_that_is_told_to_end_leaves_nothing_open(small: Settings) -> None:
    async with (
        deployed(small, simulated=False) as path,
        AIOKafkaProducer(**small.kafka_clients()) as producer,
    ):
        worker = path.start_worker()
        store = Store(path, producer)
        await store.watch()
        try:
            await store.publish()
            await store.push("last")
        finally:
            await store.stop()
        assert await asyncio.to_thread(worker.stop) == 0
        said = worker.log.read_text()
        assert "Unclosed" not in said
        assert "Traceback" not in said


async def test_no_tick_is_stamped_before_that_of_partition_0(small: Settings) -> None:
    """Else the round that it ends would wait for the next ticks."""
    settings = replace(small, partitions=4, tick_ms=50)
    await ensure_topics(settings, simulated=False)
    ticker = Ticker(settings, lambda: True)
    running = asyncio.create_task(ticker.run())
    reader = reader_of(settings)
    await reader.start()
    try:
        places = places_of(settings, [STORE_EVENTS])
        reader.assign(list(places))
        stamps: dict[int, list[Instant]] = {place.partition: [] for place in places}
        async with asyncio.timeout(DEADLINE_S):
            while min(map(len, stamps.values())) < 20:
                for place, records in (await reader.getmany(timeout_ms=50)).items():
                    stamps[place.partition] += [record.timestamp for record in records]
        for ends, *permit in zip(*stamps.values(), strict=False):
            assert min(permit) >= ends
    finally:
        await ticker.stop()
        await running
        await reader.stop()


async def test_a_ticker_stops_when_told(small: Settings) -> None:
    await ensure_topics(small)
    ticker = Ticker(replace(small, tick_ms=50), lambda: True)
    running = asyncio.create_task(ticker.run())
    reader = reader_of(small)
    await reader.start()
    try:
        reader.assign(list(places_of(small, [STORE_EVENTS])))
        heard: set[int] = set()
        async with asyncio.timeout(DEADLINE_S):
            while heard != {0, 1}:
                assert not running.done(), running.exception()
                found = await reader.getmany(timeout_ms=50)
                heard |= {place.partition for place in found}
        await ticker.stop()
        await running
    finally:
        running.cancel()
        await reader.stop()
