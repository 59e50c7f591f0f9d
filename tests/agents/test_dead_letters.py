"""Dead letters: what was set aside is found, shown and pushed again."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from agents import dead_letters
from agents.cli import dead_letters as command
from agents.cli.main import main
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
from agents.live.pushing import Checker, Pushed
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
SETTINGS = Settings(data=Path("/"), secret="sixteen characters", kafka=("nowhere:9092",))


def read(value: bytes) -> Event:
    return read_event(value, NOW, IngestSettings(), Ids(REPLAY_SECRET))


def dead(body: Any, topic: str = DEAD_LETTERS.name) -> Found:
    passed = Passed(INNER_SCHEMA, NOW, RECORD, (NOW, 0, 7), body)
    record = SetAside(id=f"{topic}/0/0", at="", key="i1", why={"reason": "x"}, bytes=1)
    return Found(record, msgspec.msgpack.encode(passed))


def rejected(offset: int, value: bytes) -> Found:
    ident = f"{STORE_EVENTS_REJECTED.name}/0/{offset}"
    return Found(SetAside(id=ident, at="", key="k", why={}, bytes=len(value)), value)


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


@pytest.mark.parametrize(
    ("said", "offset", "code"),
    [("--all", b"7", 0), ("--all", b"", 1), ("dead-letters/0/0", b"7", 1)],
)
def test_a_record_that_counted_is_not_pushed_and_fails_no_redrive_of_all(
    said: str,
    offset: bytes,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = SetAside(
        id="dead-letters/0/0", at="", key="i1", why={"offset": offset.decode()}, bytes=0
    )

    async def push_again(*_: Any) -> dict[str, str]:
        return await redrive(SETTINGS, [Found(record, b"")], Checker(SETTINGS, ()))

    monkeypatch.setattr(command, "_push_again", push_again)
    assert main(["dead-letters", "redrive", said]) == code
    assert ("the record counted" in capsys.readouterr().out) == bool(offset)


def test_what_is_shown_is_readable() -> None:
    assert '"Placed Order"' in shown(dead(EventResolved(read(SENT), ("email", "a"))))
    broken = SetAside(id=f"{STORE_EVENTS_REJECTED.name}/0/3", at="", key="", why={}, bytes=2)
    assert shown(Found(broken, b'{"a": \xff}')) == '{"a": \\xff}'


async def test_what_would_only_be_rejected_again_is_not_pushed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pushed: list[bytes] = []

    async def push(_: Any, events: Any, *, noted: Any) -> None:
        for event in events:
            pushed.append(event.value)
            noted(Pushed(event.number, event.id, event.metric, 0, 0))

    monkeypatch.setattr(dead_letters, "push", push)
    told = await redrive(SETTINGS, [rejected(1, b"{"), rejected(2, SENT)], Checker(SETTINGS, ()))
    assert pushed == [SENT]
    assert told == {
        "store-events-rejected/0/1": "it would be rejected again (not-json: ends before its end)",
        "store-events-rejected/0/2": "pushed",
    }


@pytest.mark.parametrize("said", ["", "--all store-events-rejected/0/0"])
def test_redrive_is_told_what_to_push(said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dead-letters", "redrive", *said.split()]) == 2
    assert "name the records to push again as the list does, or say --all" in (
        capsys.readouterr().err
    )


@pytest.mark.integration
async def test_rejected_events_are_found_on_the_broker_and_pushed_again(settings: Settings) -> None:
    await ensure_topics(settings)
    producer = AIOKafkaProducer(**settings.kafka_clients())
    await producer.start()
    try:
        topic = topic_name(settings, STORE_EVENTS_REJECTED.name)
        for value in (b"one", SENT):
            headers = [("reason", b"not-json"), ("field", b"")]
            await producer.send_and_wait(topic, value, key=b"k", partition=1, headers=headers)
    finally:
        await producer.stop()
    found = [one async for one in set_aside(settings)]
    assert [one.value for one in found] == [b"one", SENT]
    assert found[1].record.id == "store-events-rejected/1/1"
    assert found[1].record.why["reason"] == "not-json"
    (only,) = [one async for one in set_aside(settings, "store-events-rejected/1/1")]
    told = await redrive(settings, [only], Checker(settings, ()))
    assert told == {"store-events-rejected/1/1": "pushed"}
