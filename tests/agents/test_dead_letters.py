"""Dead letters: what was set aside is found, shown and pushed again."""

from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from agents.dead_letters import (
    CannotRedrive,
    Found,
    SetAside,
    as_sent,
    redrive,
    set_aside,
    shown,
    store_event_of,
)
from agents.settings import Settings
from agents.topics import ensure_topics, topic_name
from schemas.events import Event
from schemas.records import INNER_SCHEMA, EventResolved, Merge, Passed
from schemas.topics import DEAD_LETTERS, STORE_EVENTS_REJECTED
from schemas.values import RECORD
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.read import read_event
from streams.ingest.settings import IngestSettings

SENT = (
    b'{"id": "o-1", "metric": "Placed Order", "time": "2026-01-02T03:04:05Z", "store": "main",'
    b' "profile": {"external_id": "c-1", "email": "ann@example.com", "traits": {"city": null}},'
    b' "properties": {"items": [{"price": "1.50"}]}, "value": "12.345", "currency": "EUR"}'
)
NOW = 1_767_400_000_000


def read(value: bytes) -> Event:
    return read_event(value, NOW, IngestSettings(), Ids(REPLAY_SECRET))


def dead(body: Any, topic: str = DEAD_LETTERS.name) -> Found:
    passed = Passed(INNER_SCHEMA, NOW, RECORD, (NOW, 0, 7), body)
    record = SetAside(id=f"{topic}/0/0", at="", key="i1", why={"reason": "x"}, bytes=1)
    return Found(record, msgspec.msgpack.encode(passed))


def test_a_failed_event_is_pushed_again_as_it_was_meant() -> None:
    event = read(SENT)
    again = read(store_event_of(dead(EventResolved(event, event.identifiers[0]))))
    assert again == event
    assert as_sent(event)["value"] == "12.345"


def test_a_record_of_the_merge_protocol_cannot_be_pushed_again() -> None:
    with pytest.raises(CannotRedrive, match="no event but Merge"):
        store_event_of(dead(Merge("main", "i0", True, None)))


def test_a_timer_that_raised_cannot_be_pushed_again() -> None:
    found = dead(Merge("main", "i0", True, None))
    with pytest.raises(CannotRedrive, match="a timer raised"):
        store_event_of(Found(found.record, b""))


def test_what_is_shown_is_readable() -> None:
    assert '"Placed Order"' in shown(dead(EventResolved(read(SENT), ("email", "a"))))
    broken = SetAside(id=f"{STORE_EVENTS_REJECTED.name}/0/3", at="", key="", why={}, bytes=2)
    assert shown(Found(broken, b'{"a": \xff}')) == '{"a": \\xff}'


@pytest.mark.integration
async def test_rejected_events_are_found_on_the_broker_and_pushed_again(settings: Settings) -> None:
    await ensure_topics(settings)
    producer = AIOKafkaProducer(**settings.kafka_clients())
    await producer.start()
    try:
        topic = topic_name(settings, STORE_EVENTS_REJECTED.name)
        for value in (b"one", b"two"):
            headers = [("reason", b"not-json"), ("field", b"")]
            await producer.send_and_wait(topic, value, key=b"k", partition=1, headers=headers)
    finally:
        await producer.stop()
    found = [one async for one in set_aside(settings)]
    assert [one.value for one in found] == [b"one", b"two"]
    assert found[1].record.id == "store-events-rejected/1/1"
    assert found[1].record.why["reason"] == "not-json"
    (only,) = [one async for one in set_aside(settings, "store-events-rejected/1/1")]
    assert await redrive(settings, [only]) == {"store-events-rejected/1/1": "pushed"}
