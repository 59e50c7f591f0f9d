"""The cluster's administration: aiokafka's admin client, closed at the end, whatever happens."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.structs import OffsetAndMetadata

from agents.settings import Settings

GROUPS_SECONDS_MAX = 30.0
ASK_SECONDS = 0.1


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
    """What a consumer group has committed, with its metadata. group: its name in Kafka.

    A cluster that has never been asked for a group makes its topic of groups first.

    Raises: GroupCoordinatorNotAvailableError, where that takes too long.
    """
    patience_until = time.monotonic() + GROUPS_SECONDS_MAX
    async with admin_of(settings) as admin:
        while True:
            try:
                return dict(await admin.list_consumer_group_offsets(group))
            except GroupCoordinatorNotAvailableError:
                if time.monotonic() > patience_until:
                    raise
                await asyncio.sleep(ASK_SECONDS)
