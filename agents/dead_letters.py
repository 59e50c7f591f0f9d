"""What was set aside: rejected store events and records whose step raised; and pushing them again.

A rejected event is pushed again as it came, where it would be accepted now. A record of an inner
topic cannot be put back: its turn is over, and the clocks have said so. Its event is pushed again
instead, as a new arrival: under its own id, so it counts once, with its own time.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
from aiokafka import TopicPartition

from agents.live.pushing import Checker, Good, push
from agents.reader import Reader, reader_of
from agents.settings import Settings
from agents.topics import topic_name
from schemas.events import Event
from schemas.records import ConsentClaimed, Envelope, EventArrived, EventResolved, Late, Passed
from schemas.topics import DEAD_LETTERS, STORE_EVENTS_REJECTED
from streams.instants import to_timestamp
from streams.money import to_money

TOPICS = {topic.name: topic for topic in (STORE_EVENTS_REJECTED, DEAD_LETTERS)}
COUNTED = "nothing to push again: the record counted"
_envelope = msgspec.msgpack.Decoder(Envelope)


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """A record that was set aside. id: `<topic>/<partition>/<offset>`. why: its headers."""

    id: str
    at: str
    key: str
    why: dict[str, str]
    bytes: int


class CannotRedrive(Exception):
    """This record cannot be pushed again; the message says why."""


class Found(msgspec.Struct, frozen=True):
    """A record that was set aside, and its bytes."""

    record: SetAside
    value: bytes


async def set_aside(settings: Settings, only: str | None = None) -> AsyncIterator[Found]:
    """What was set aside, oldest first by partition.

    only: the id of one record.
    """
    partitions = [
        (topic, partition)
        for topic in TOPICS
        for partition in range(settings.partitions)
        if only is None or only.startswith(f"{topic}/{partition}/")
    ]
    async with reader_of(settings) as reader:
        for topic, partition in partitions:
            async for found in _partition(reader, settings, topic, partition):
                if only is None or found.record.id == only:
                    yield found


async def _partition(
    reader: Reader, settings: Settings, topic: str, partition: int
) -> AsyncIterator[Found]:
    place = TopicPartition(topic_name(settings, topic), partition)
    reader.assign([place])
    async for record in reader.read_to_end(place):
        yield _found(topic, record)


def _found(topic: str, record: Any) -> Found:
    value = record.value or b""
    return Found(
        SetAside(
            id=f"{topic}/{record.partition}/{record.offset}",
            at=to_timestamp(record.timestamp),
            key=(record.key or b"").decode(errors="backslashreplace"),
            why={name: said.decode(errors="backslashreplace") for name, said in record.headers},
            bytes=len(value),
        ),
        value,
    )


def shown(letter: Found) -> str:
    """The bytes as people read them: JSON as it came, inner records as JSON."""
    if letter.record.id.startswith(STORE_EVENTS_REJECTED.name) or not letter.value:
        return letter.value.decode(errors="backslashreplace")
    return msgspec.json.encode(_envelope.decode(letter.value)).decode()


def store_event_of(letter: Found) -> bytes:
    """The bytes to push again.

    Raises: CannotRedrive.
    """
    if letter.record.id.startswith(STORE_EVENTS_REJECTED.name):
        return letter.value
    if not letter.value:
        if letter.record.why.get("offset"):  # left out was a part, or history
            raise CannotRedrive(COUNTED)
        raise CannotRedrive("a timer raised here; the row's next record sets it again")
    envelope = _envelope.decode(letter.value)
    body = envelope.body if isinstance(envelope, Passed | Late) else None
    if not isinstance(body, EventArrived | EventResolved | ConsentClaimed):
        raise CannotRedrive(f"it holds no event but {type(body).__name__}")
    return msgspec.json.encode(as_sent(body.event))


def as_sent(event: Event) -> dict[str, Any]:
    """A normalised event in the shape in which stores send events."""
    profile: dict[str, Any] = dict(event.identifiers)
    profile |= {"traits": event.traits, "traits_once": event.traits_once}
    sent: dict[str, Any] = {
        "id": event.id,
        "metric": event.metric,
        "time": to_timestamp(event.occurred_at),
        "store": event.store,
        "profile": profile,
        "trust": event.trust,
        "properties": event.properties,
        "source": event.source,
        "backfill": event.backfill,
    }
    if event.value is not None:
        sent["value"] = to_money(event.value)
    if event.currency is not None:
        sent["currency"] = event.currency
    return sent


async def redrive(settings: Settings, letters: Iterable[Found], check: Checker) -> dict[str, str]:
    """Push records again, but none that would only be rejected again.

    Returns: id -> what became of it (`pushed`, or why not).

    Raises: PushFailed.
    """
    told: dict[str, str] = {}
    good: list[Good] = []
    ids: list[str] = []
    for number, one in enumerate(letters):
        ids.append(one.record.id)
        try:
            said = check(number, store_event_of(one))
        except CannotRedrive as why:
            told[one.record.id] = str(why)
            continue
        if isinstance(said, Good):
            good.append(said)
        else:
            told[one.record.id] = f"it would be rejected again ({said.reason}: {said.detail})"
    if good:
        await push(
            settings,
            good,
            noted=lambda pushed: told.update({ids[pushed.number]: "pushed"}),
        )
    return told
