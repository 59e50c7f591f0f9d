"""The reference sender on a real broker: reads what was committed, settles all of it, once."""

import asyncio
from collections.abc import Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from agents.sender.reference import ReferenceSender
from agents.settings import Settings
from agents.topics import ensure_topics, topic_name
from schemas.outputs import ClockStruck, ConsentStated, SendCommand
from schemas.topics import CONSENT, SEND_COMMANDS, STORE_EVENTS
from schemas.values import Record
from streams.instants import MINUTE, SECOND, to_instant, to_timestamp

pytestmark = pytest.mark.integration

START = to_instant("2011-03-01T10:00:00Z")
_encode = msgspec.json.Encoder().encode


def command(n: int, at: int = START) -> SendCommand:
    return SendCommand(
        id=f"s{n}",
        store="main",
        profile_id=f"i{n}",
        channel="email",
        address=f"nobody.{n}@example.com",
        template="welcome",
        flow="welcome",
        flow_run_id=f"r{n}",
        message="welcome-1",
        variant=None,
        attempt=0,
        transactional=False,
        context={},
        unsubscribe_token="t",
        postal_address="x",
        decided_at=to_timestamp(at),
        valid_until=to_timestamp(at + 10 * MINUTE),
    )


def denial(n: int) -> ConsentStated:
    return ConsentStated(
        store="main",
        kind="email",
        address=f"nobody.{n}@example.com",
        channels={"email": "denied"},
        suppressed={},
        details={},
        decided_at=to_timestamp(START - SECOND),
        cause="e",
    )


class Postbox:
    def __init__(self) -> None:
        self.delivered: list[str] = []

    async def deliver(self, command: SendCommand) -> None:
        self.delivered.append(command.id)

    async def close(self) -> None:
        return


class Line:
    """Writes to the topics a sender reads, as the stations do: in transactions."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = AIOKafkaProducer(
            transactional_id=f"{settings.namespace}-line", **settings.kafka_clients()
        )

    @asynccontextmanager
    async def open(self) -> Any:
        await ensure_topics(self._settings)
        await self._producer.start()
        try:
            yield self
        finally:
            await self._producer.stop()

    async def say(self, topic: str, records: Iterable[Record], *, partition: int = 0) -> None:
        name = topic_name(self._settings, topic)
        async with self._producer.transaction():
            for record in records:
                value = _encode(record)
                # A compacted topic takes no record without a key; here each is its own.
                await self._producer.send(name, value, key=value, partition=partition)

    async def clocks(self, topic: str, at: int) -> None:
        for partition in range(self._settings.partitions):
            clock = ClockStruck(partition=partition, at=to_timestamp(at))
            await self.say(topic, [clock], partition=partition)

    async def take_back(self, record: Record) -> None:
        name = topic_name(self._settings, SEND_COMMANDS.name)
        await self._producer.begin_transaction()
        await self._producer.send(name, _encode(record), partition=0)
        await self._producer.flush()
        await self._producer.abort_transaction()


async def ends_of(settings: Settings, topic: str) -> dict[int, int]:
    reader = AIOKafkaConsumer(isolation_level="read_committed", **settings.kafka_clients())
    await reader.start()
    try:
        name = topic_name(settings, topic)
        places = [TopicPartition(name, p) for p in range(settings.partitions)]
        return {place.partition: end for place, end in (await reader.end_offsets(places)).items()}
    finally:
        await reader.stop()


async def until_drained(sender: ReferenceSender, settings: Settings) -> None:
    """Run the sender until it has settled all that is there, then stop it."""
    running = asyncio.create_task(sender.run())
    waiting = asyncio.create_task(sender.drained(await ends_of(settings, SEND_COMMANDS.name)))
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=60)
    sender.stop()
    await asyncio.wait_for(running, 30)
    await asyncio.wait_for(waiting, 1)


async def test_what_is_committed_is_settled_once_whoever_repeats_it(
    settings: Settings, tmp_path: Path
) -> None:
    postbox, ledger = Postbox(), tmp_path / "ledger.sqlite"
    async with Line(settings).open() as line:
        await line.say(CONSENT.name, [denial(3)])
        await line.clocks(CONSENT.name, START + SECOND)
        await line.say(SEND_COMMANDS.name, [command(n) for n in range(5)])
        await line.take_back(command(99))
        await line.clocks(SEND_COMMANDS.name, START + SECOND)
        await until_drained(ReferenceSender(settings, ledger, {"email": postbox}), settings)
        assert postbox.delivered == ["s0", "s1", "s2", "s4"]

        await line.say(SEND_COMMANDS.name, [command(n) for n in range(7)], partition=1)
        sender = ReferenceSender(settings, ledger, {"email": postbox})
        await until_drained(sender, settings)
    assert postbox.delivered == ["s0", "s1", "s2", "s4", "s5", "s6"]


async def test_a_sender_that_comes_late_drops_what_is_past_even_with_the_clock_far_behind(
    settings: Settings, tmp_path: Path
) -> None:
    postbox, count = Postbox(), 1_200
    async with Line(settings).open() as line:
        await line.clocks(CONSENT.name, START + 2 * MINUTE)
        await line.say(SEND_COMMANDS.name, [command(n) for n in range(count)])
        await line.clocks(SEND_COMMANDS.name, START + 11 * MINUTE)
        sender = ReferenceSender(settings, tmp_path / "ledger.sqlite", {"email": postbox})
        await until_drained(sender, settings)
    assert postbox.delivered == []
    reported = await everything(settings, STORE_EVENTS.name)
    assert {event["metric"] for event in reported} == {"Send Expired"}
    assert len({event["id"] for event in reported}) == count


async def test_in_simulated_time_the_same_log_is_delivered_whole(
    settings: Settings, tmp_path: Path
) -> None:
    postbox, count = Postbox(), 700
    async with Line(settings).open() as line:
        await line.clocks(CONSENT.name, START + 2 * MINUTE)
        await line.say(SEND_COMMANDS.name, [command(n) for n in range(count)])
        await line.clocks(SEND_COMMANDS.name, START + 11 * MINUTE)
        sender = ReferenceSender(
            settings,
            tmp_path / "ledger.sqlite",
            {"email": postbox},
            simulated=True,
            handed_over=lambda send_id: send_id.endswith("7"),
        )
        await until_drained(sender, settings)
    assert len(postbox.delivered) == count / 10


async def everything(settings: Settings, topic: str) -> list[dict[str, Any]]:
    ends = await ends_of(settings, topic)
    reader = AIOKafkaConsumer(
        topic_name(settings, topic),
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        **settings.kafka_clients(),
    )
    await reader.start()
    try:
        found: list[dict[str, Any]] = []
        while any(
            [await reader.position(place) < ends[place.partition] for place in reader.assignment()]
        ):
            for records in (await reader.getmany(timeout_ms=200)).values():
                found.extend(orjson.loads(record.value) for record in records)
        return found
    finally:
        await reader.stop()
