"""Topics are made as declared, by as many processes as like, and never altered."""

import asyncio
from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from agents import worker
from agents.settings import Settings
from agents.ticker import LiveNamespace
from agents.topics import TopicsDiffer, ensure_topics, topic_name
from schemas.topics import SEND_COMMANDS, TOPICS

pytestmark = pytest.mark.integration


async def topics_there(settings: Settings) -> dict[str, dict[str, str]]:
    """Return the configuration of every topic of the namespace, its partition count included."""
    admin = AIOKafkaAdminClient(**settings.kafka_clients())
    await admin.start()
    try:
        names = [topic_name(settings, topic.name) for topic in TOPICS]
        found = {
            topic["topic"]: {"partitions": str(len(topic["partitions"]))}
            for topic in await admin.describe_topics(names)
        }
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        for response in await admin.describe_configs(resources):
            for _code, _message, _kind, name, entries in response.resources:
                found[name] |= {entry[0]: entry[1] for entry in entries}
        return found
    finally:
        await admin.close()


async def test_every_declared_topic_is_made_under_the_namespace(settings: Settings) -> None:
    await ensure_topics(settings, simulated=False)
    topics = await topics_there(settings)
    for topic in TOPICS:
        found = topics[f"{settings.namespace}-{topic.name}"]
        assert found["partitions"] == str(topic.partitions or settings.partitions)
        assert found["cleanup.policy"] == ("compact" if topic.compacted else "delete")
        assert found["max.message.bytes"] == str(topic.max_bytes)
        assert found["retention.ms"] == str(topic.retention_ms or -1)
        stamp = {"log-append": "LogAppendTime", "create": "CreateTime"}[topic.timestamp]
        assert found["message.timestamp.type"] == stamp


async def test_a_simulated_namespace_lets_its_writers_give_any_time(settings: Settings) -> None:
    await ensure_topics(settings, simulated=True)
    for found in (await topics_there(settings)).values():
        assert found["message.timestamp.type"] == "CreateTime"
        assert found["retention.ms"] == "-1"
        assert found["segment.ms"] == str(2**63 - 1)
        assert found["message.timestamp.after.max.ms"] == str(2**63 - 1)
        assert found["message.timestamp.before.max.ms"] == str(2**63 - 1)


async def test_a_worker_by_itself_makes_the_topics_that_are_missing(settings: Settings) -> None:
    await ensure_topics(settings, topics=[SEND_COMMANDS])
    await worker.prepare(settings, simulated=False)
    assert (await topics_there(settings)).keys() == {
        topic_name(settings, topic.name) for topic in TOPICS
    }
    with pytest.raises(LiveNamespace):
        await worker.prepare(settings, simulated=True)


async def test_several_processes_may_make_them_at_once_and_again(settings: Settings) -> None:
    await asyncio.gather(*(ensure_topics(settings) for _ in range(3)))
    before = await topics_there(settings)
    await ensure_topics(settings)
    assert await topics_there(settings) == before


async def test_another_number_of_partitions_is_refused(settings: Settings) -> None:
    await ensure_topics(settings)
    with pytest.raises(TopicsDiffer, match=r"store-events has 4 partitions, expected 8"):
        await ensure_topics(replace(settings, partitions=8))


async def test_a_live_namespace_is_not_simulated_in(settings: Settings) -> None:
    await ensure_topics(settings)
    with pytest.raises(TopicsDiffer, match=r"message.timestamp.type=LogAppendTime, a simulated"):
        await ensure_topics(settings, simulated=True)
