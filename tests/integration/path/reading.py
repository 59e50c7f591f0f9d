"""What anybody can read of a deployment: public topics and the rows in the changelogs."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from agents.reader import Reader
from agents.settings import Settings
from agents.topics import ends_of, topic_name
from schemas.outputs import ClockStruck
from schemas.rows import POSITION_KEY, Position
from schemas.topics import (
    IDENTITY_ROWS,
    INGEST_ROWS,
    PROFILE_ROWS,
    STORE_EVENTS,
    TOPICS,
    Topic,
)
from schemas.values import Record, Stage
from streams.published import is_row_of_a_key

POLL_MS = 100

Place = tuple[str, int]
"""(topic as declared, partition)."""

Said = dict[Place, list[tuple[bytes, bytes]]]
"""place -> keys and values in their order."""

Rows = dict[tuple[Stage, int, bytes], bytes]
"""(stage, partition, key) -> the newest row."""

PUBLIC = [topic for topic in TOPICS if topic.public and topic is not STORE_EVENTS]
ROWS_OF: Mapping[Stage, Topic] = {"identity": IDENTITY_ROWS, "profile": PROFILE_ROWS}

Kind = TypeVar("Kind", bound=Record)

_position = msgspec.msgpack.Decoder(Position).decode


def reader_of(settings: Settings) -> Reader:
    """A reader in no group that sees what was committed, from the beginning."""
    return Reader(**settings.kafka_readers(), fetch_max_wait_ms=50)


def places_of(settings: Settings, topics: Iterable[Topic]) -> dict[TopicPartition, Place]:
    """place in Kafka -> place as declared."""
    return {
        TopicPartition(topic_name(settings, topic.name), partition): (topic.name, partition)
        for topic in topics
        for partition in range(settings.partitions)
    }


async def records_of(
    settings: Settings, topics: Iterable[Topic]
) -> AsyncIterator[tuple[Place, ConsumerRecord]]:
    """All committed records that these topics hold now."""
    places = places_of(settings, topics)
    reader = reader_of(settings)
    await reader.start()
    try:
        reader.assign(list(places))
        ends = await ends_of(settings, places)
        left = {place for place in places if ends[place] > 0}
        while left:
            for place, records in (await reader.getmany(timeout_ms=POLL_MS)).items():
                for record in records:
                    yield places[place], record
            left = {place for place in left if await reader.position(place) < ends[place]}
    finally:
        await reader.stop()


async def said_in(settings: Settings) -> Said:
    """The records of all public topics that stations write."""
    said: Said = {}
    async for place, record in records_of(settings, PUBLIC):
        said.setdefault(place, []).append((record.key, record.value))
    return said


def values_of(said: Said, topic: Topic, kind: type[Kind]) -> list[Kind]:
    """The records of one public topic, of all partitions; clocks and other kinds are left out."""
    read = msgspec.json.Decoder(kind | ClockStruck).decode
    values = (
        read(value) for (name, _), held in said.items() if name == topic.name for _, value in held
    )
    return [value for value in values if isinstance(value, kind)]


async def rows_in(settings: Settings) -> Rows:
    """The newest rows of identity and profile; positions and definitions are left out."""
    stage_of = {topic.name: stage for stage, topic in ROWS_OF.items()}
    rows: Rows = {}
    async for (topic, partition), record in records_of(settings, ROWS_OF.values()):
        if not is_row_of_a_key(record.key):
            continue
        key = (stage_of[topic], partition, record.key)
        if record.value is None:
            rows.pop(key, None)
        else:
            rows[key] = record.value
    return rows


async def ingested(settings: Settings, partition: int) -> int:
    """How far ingest has come in a partition of `store-events`: the next offset."""
    newest: Any = None
    async for (_, number), record in records_of(settings, [INGEST_ROWS]):
        if number == partition and record.key == POSITION_KEY % partition:
            newest = record.value
    return 0 if newest is None else _position(newest).offset
