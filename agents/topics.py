"""Topics: made as `schemas/topics.py` declares them, compared with what is there, never altered.

In: the declarations, the settings. Out: every topic exists with the declared partitions and
timestamps, or `TopicsDiffer` says which one does not and what to do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from agents.admin import admin_of
from agents.reader import reader_of
from agents.settings import Settings
from schemas.topics import TOPICS, Topic

FOR_EVER = -1
LONG_MAX = 2**63 - 1
TIMESTAMP_TYPES = {"log-append": "LogAppendTime", "create": "CreateTime"}
COMPACTED_SEGMENT_MS = 3_600_000
"""Only closed segments are compacted, and a position is written with every tick: an hour of them is
what a worker reads at most in vain."""
REQUEST_MILLISECONDS_MAX = 30_000
SECONDS_UNTIL_KNOWN_MAX = 30

Answer = TypeVar("Answer")


class TopicsDiffer(Exception):
    """A topic exists, but is not what is declared; the message says how it differs."""


def topic_name(settings: Settings, name: str) -> str:
    """Return the name in Kafka of the topic declared as `name`."""
    return f"{settings.namespace}-{name}" if settings.namespace else name


def partitions_of(settings: Settings, topic: Topic) -> int:
    """Return how many partitions a topic has in this deployment."""
    return settings.partitions if topic.partitions is None else topic.partitions


def places_of(settings: Settings, topic: Topic) -> list[TopicPartition]:
    """Return the partitions of a topic, as clients of Kafka name them."""
    name = topic_name(settings, topic.name)
    return [TopicPartition(name, partition) for partition in range(partitions_of(settings, topic))]


def config_of(topic: Topic, *, simulated: bool) -> dict[str, str]:
    """Return the broker's configuration of a topic.

    simulated: records carry instants of the past. Then no retention, no rolling by age and no
    bound on timestamps may apply, or the broker would delete, roll or refuse at once, and every
    topic keeps the time its writer gives.
    """
    retention_ms = FOR_EVER if simulated or topic.retention_ms is None else topic.retention_ms
    config = {
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "max.message.bytes": str(topic.max_bytes),
        "message.timestamp.type": TIMESTAMP_TYPES["create" if simulated else topic.timestamp],
        "retention.ms": str(retention_ms),
    }
    if topic.compacted and not simulated:
        config["segment.ms"] = str(COMPACTED_SEGMENT_MS)
    if simulated:
        config |= {
            "message.timestamp.after.max.ms": str(LONG_MAX),
            "message.timestamp.before.max.ms": str(LONG_MAX),
            "segment.ms": str(LONG_MAX),
        }
    return config


async def ensure_topics(
    settings: Settings, *, simulated: bool = False, topics: Iterable[Topic] = TOPICS
) -> None:
    """Make every topic that is missing; change nothing that is there.

    Several processes may do this at once. Made with the cluster's own replication factor.

    Raises: TopicsDiffer; aiokafka's errors where the cluster refuses.
    """
    wanted = {topic_name(settings, topic.name): topic for topic in topics}
    async with admin_of(settings) as admin:
        await make_missing(admin, settings, wanted, simulated=simulated)
        problems = await differences(admin, settings, wanted, simulated=simulated)
    if problems:
        raise TopicsDiffer("\n".join(problems))


async def make_missing(
    admin: AIOKafkaAdminClient, settings: Settings, wanted: dict[str, Topic], *, simulated: bool
) -> list[str]:
    """Make those of the topics that are not there. Returns: their names.

    Raises: aiokafka's errors where the cluster refuses.
    """
    there = set(await admin.list_topics())
    missing = {name: topic for name, topic in wanted.items() if name not in there}
    if missing:
        await make(admin, settings, missing, simulated=simulated)
    return list(missing)


async def make(
    admin: AIOKafkaAdminClient, settings: Settings, topics: dict[str, Topic], *, simulated: bool
) -> None:
    """Make these topics; one that somebody else made meanwhile is left as it is."""
    response = await admin.create_topics(
        [
            NewTopic(
                name=name,
                num_partitions=partitions_of(settings, topic),
                replication_factor=-1,
                replica_assignments={},  # the client wants it said that -1 leaves it to the cluster
                topic_configs=config_of(topic, simulated=simulated),
            )
            for name, topic in topics.items()
        ],
        timeout_ms=REQUEST_MILLISECONDS_MAX,
    )
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if code != 0 and error is not TopicAlreadyExistsError:
            raise error(f"topic {name} could not be made: {' '.join(map(str, message))}")


async def differences(
    admin: AIOKafkaAdminClient, settings: Settings, topics: dict[str, Topic], *, simulated: bool
) -> list[str]:
    """Say how the topics that are there differ in what can never be put right in place."""
    found = await partition_counts(admin, list(topics))
    stamps = await timestamp_types(admin, list(topics))
    problems = []
    for name, topic in topics.items():
        partitions = partitions_of(settings, topic)
        if found[name] != partitions:
            problems.append(
                f"topic {name} has {found[name]} partitions, expected {partitions}: rows and "
                "clocks belong to partitions, so the count is fixed. Set TILLSTREAM_PARTITIONS "
                "as it was, or move to another TILLSTREAM_NAMESPACE"
            )
        stamp = config_of(topic, simulated=simulated)["message.timestamp.type"]
        if stamps[name] != stamp:
            kind = "a simulated" if simulated else "a live"
            problems.append(
                f"topic {name} has message.timestamp.type={stamps[name]}, {kind} namespace needs "
                f"{stamp}. Take another TILLSTREAM_NAMESPACE for it"
            )
    return problems


async def ends_of(
    settings: Settings, places: Iterable[TopicPartition], *, committed: bool = False
) -> Mapping[TopicPartition, int]:
    """Say where partitions end, with what transactions have written that are not decided yet.

    A committed transaction is seen in one partition a moment before another. Who has seen its
    record in one topic and asks what is committed in the others may be told of an end before it.

    committed: where what is decided ends: for who waits to have read all, and not for a
               transaction that somebody left open.
    """
    isolation = "read_committed" if committed else "read_uncommitted"
    async with reader_of(settings, isolation_level=isolation) as reader:
        ends: Mapping[TopicPartition, int] = await reader.end_offsets(list(places))
    return ends


async def partition_counts(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    """Return how many partitions each topic has."""

    async def ask() -> dict[str, int]:
        return {
            topic["topic"]: len(topic["partitions"])
            for topic in await admin.describe_topics(names)
            if topic["error_code"] == 0
        }

    return await told_about_all(names, ask)


async def timestamp_types(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, str]:
    """Return who stamps the records of each topic, as the cluster says it."""
    config = {"message.timestamp.type": ""}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, config) for name in names]

    async def ask() -> dict[str, str]:
        return {
            name: entries[0][1]
            for response in await admin.describe_configs(resources)
            for code, _message, _kind, name, entries in response.resources
            if code == 0 and entries
        }

    return await told_about_all(names, ask)


async def told_about_all(
    names: list[str], ask: Callable[[], Awaitable[dict[str, Answer]]]
) -> dict[str, Answer]:
    """Ask until the answer covers every name.

    A topic just made is known to the controller first and to the brokers a moment later.

    Raises: TimeoutError.
    """
    async with asyncio.timeout(SECONDS_UNTIL_KNOWN_MAX):
        while True:
            answers = await ask()
            if answers.keys() >= set(names):
                return answers
            await asyncio.sleep(0.02)
