"""The cluster's administration: aiokafka's admin client, closed at the end, whatever happens."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from agents.settings import Settings


@asynccontextmanager
async def admin_of(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client of the cluster, also closed where it does not start."""
    admin = AIOKafkaAdminClient(**settings.kafka_clients())
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def committed_offsets(
    settings: Settings, group: str
) -> Mapping[TopicPartition, OffsetAndMetadata]:
    """What a consumer group has committed, with its metadata. group: its name in Kafka."""
    async with admin_of(settings) as admin:
        return dict(await admin.list_consumer_group_offsets(group))
