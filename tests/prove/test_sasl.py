"""A cluster that asks who you are: the rights that are written down are enough, and needed."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from agents.settings import Settings
from agents.topics import topic_name
from schemas.outputs import TimelineEntry
from schemas.topics import SEND_COMMANDS, STORE_EVENTS, TIMELINE
from tests.conftest import SECRET
from tests.integration.path.reading import said_in, values_of
from tests.integration.path.running import Deployment, deployed
from tests.prove import guarded_kafka as guarded
from tests.prove.guarded_kafka import ADMIN, allow, as_user, guarded_kafka, rules

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(300)]

NAMESPACE = "shop"
REFUSED_SECONDS_MAX = 30
ORDER = b'{"id":"%s","metric":"Placed Order","profile":{"email":"ann@example.com"}}'

# What docs/security.md says.
OF_A_WORKER = [
    *rules(
        guarded.TOPIC,
        f"{NAMESPACE}-",
        guarded.PREFIXED,
        guarded.READ,
        guarded.WRITE,
        guarded.CREATE,
        guarded.DESCRIBE_CONFIGS,
    ),
    *rules(guarded.GROUP, f"{NAMESPACE}-", guarded.PREFIXED, guarded.READ),
    *rules(guarded.TRANSACTIONAL_ID, f"{NAMESPACE}-", guarded.PREFIXED, guarded.WRITE),
]
OF_A_STORE = rules(guarded.TOPIC, f"{NAMESPACE}-store-events", guarded.LITERAL, guarded.WRITE)


def settings_of(place: Settings, user: str | None, password: str | None = None) -> Settings:
    return Settings.from_environ(as_user(place, user, password))


async def push(settings: Settings, topic: str, value: bytes) -> None:
    """Append one record as this user. Raises: KafkaError, where it must not."""
    producer = AIOKafkaProducer(**settings.kafka_clients(), request_timeout_ms=5_000)
    try:
        await producer.start()
        async with asyncio.timeout(REFUSED_SECONDS_MAX):
            await producer.send_and_wait(topic_name(settings, topic), value, partition=0)
    finally:
        await producer.stop()


async def has_order(path: Deployment, name: str) -> bool:
    entries = values_of(await said_in(path.settings), TIMELINE, TimelineEntry)
    return name in {entry.event_id for entry in entries}


async def test_each_may_do_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    with guarded_kafka(tmp_path / "kafka", ["worker", "store", "stranger"]) as address:
        place = Settings(
            kafka=(address,), namespace=NAMESPACE, data=tmp_path, secret=SECRET, partitions=1
        )
        admin = settings_of(place, ADMIN).kafka_clients()
        await allow(admin, "worker", OF_A_WORKER)
        await allow(admin, "store", OF_A_STORE)
        worker = replace(settings_of(place, "worker"), store="rocksdb")
        async with deployed(worker, simulated=False) as path:
            running = path.start_worker(slot="1")
            await push(settings_of(place, "store"), STORE_EVENTS.name, ORDER % b"bought")

            async def bought() -> bool:
                return await has_order(path, "bought")

            await path.until("the order is in the timeline", bought)
            await refused(place)
            assert not await has_order(path, "forged")
            assert running.stop() == 0


async def refused(place: Settings) -> None:
    """Who has no right for it appends nothing and reads nothing."""
    store, stranger = settings_of(place, "store"), settings_of(place, "stranger")
    for user, topic in (
        (store, SEND_COMMANDS.name),
        (store, TIMELINE.name),
        (stranger, STORE_EVENTS.name),
    ):
        with pytest.raises(TopicAuthorizationFailedError):
            await push(user, topic, ORDER % b"forged")
    with pytest.raises(KafkaError):
        await push(settings_of(place, "store", "guessed"), STORE_EVENTS.name, ORDER % b"forged")
    with pytest.raises(KafkaError):
        await push(settings_of(place, None), STORE_EVENTS.name, ORDER % b"forged")
    reader = AIOKafkaConsumer(topic_name(store, TIMELINE.name), **store.kafka_clients())
    with pytest.raises(TopicAuthorizationFailedError):
        await reader.start()
    await reader.stop()
