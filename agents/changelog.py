"""A station's rows as its changelog has them: the newest of each key, read_committed.

For who looks from outside (the command line, tests). Workers recover through Faust; what they keep
on disk they compare with the changelog as it is.
"""

from collections.abc import Mapping
from typing import NamedTuple

from aiokafka import TopicPartition

from agents.reader import reader_of
from agents.settings import Settings
from agents.topic_id import topic_id
from agents.topics import topic_name
from schemas.topics import Topic


async def read_row(settings: Settings, topic: Topic, partition: int, key: bytes) -> bytes | None:
    """The newest row of one key; None where there is none."""
    rows = await read_rows(settings, topic, partition, only=key)
    return rows.get(key)


async def read_rows(
    settings: Settings, topic: Topic, partition: int, *, only: bytes | None = None
) -> dict[bytes, bytes]:
    """All rows of a partition by key, positions and definitions among them.

    only: this key alone.
    """
    place = TopicPartition(topic_name(settings, topic.name), partition)
    rows: dict[bytes, bytes] = {}
    async with reader_of(settings, [place]) as reader:
        async for record in reader.read_to_end(place):
            if only is not None and record.key != only:
                continue
            if record.value is None:
                rows.pop(record.key, None)
            else:
                rows[record.key] = record.value
    return rows


class Changelog(NamedTuple):
    """A changelog topic as it is now.

    id: another one for every topic that ever was, in any cluster, and every count of partitions.
    ends: partition -> the offset after its last record.
    """

    id: str
    ends: Mapping[int, int]


async def changelog_as_it_is(settings: Settings, name: str) -> Changelog:
    """Ask the cluster about a changelog by its name there."""
    places = [TopicPartition(name, partition) for partition in range(settings.partitions)]
    async with reader_of(settings, places) as reader:
        ends = await reader.end_offsets(places)
        made = await topic_id(reader._client, name)
    of = f"{made}/{settings.partitions}"
    return Changelog(of, {place.partition: end for place, end in ends.items()})
