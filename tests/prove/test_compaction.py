"""Rows are recovered from a changelog that was compacted, and are the same."""

from collections import Counter

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from agents.settings import Settings
from agents.topics import config_of, topic_name
from schemas.topics import IDENTITY_ROWS, PROFILE_ROWS
from tests.integration.path.reading import records_of
from tests.integration.path.running import Deployment
from tests.integration.path.shop import Shop

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(400)]

CHANGELOGS = (IDENTITY_ROWS, PROFILE_ROWS)
AT_ONCE = {
    "segment.ms": "500",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "500",
}


async def compact_at_once(settings: Settings) -> None:
    """Have the changelogs compacted as soon as the broker's cleaner comes by."""
    admin = AIOKafkaAdminClient(**settings.kafka_clients())
    await admin.start()
    try:
        resources = [
            ConfigResource(
                ConfigResourceType.TOPIC,
                topic_name(settings, topic.name),
                config_of(topic, simulated=True) | AT_ONCE,
            )
            for topic in CHANGELOGS
        ]
        for answer in await admin.alter_configs(resources):
            assert all(code == 0 for code, *_ in answer.resources), answer
    finally:
        await admin.close()


async def kept_of(settings: Settings) -> tuple[int, int]:
    """How many records the changelogs hold, and how many keys."""
    keys: Counter[object] = Counter()
    async for place, record in records_of(settings, CHANGELOGS):
        keys[place, record.key] += 1
    return keys.total(), len(keys)


async def test_what_is_left_after_compaction_is_enough(path: Deployment, shop: Shop) -> None:
    path.deadline_s = 200
    third = len(shop.rounds) // 3
    await compact_at_once(path.settings)
    path.start_worker()
    await path.feed(shop.rounds[:third])
    await path.comes_to(shop.rounds[third - 1].end)
    await path.feed(shop.rounds[third : 2 * third])
    await path.comes_to(shop.rounds[2 * third - 1].end)
    before, _ = await kept_of(path.settings)

    async def is_compacted() -> bool:
        left, keys = await kept_of(path.settings)
        return left < min(before, 2 * keys)

    await path.until("the broker has compacted", is_compacted)
    after, keys = await kept_of(path.settings)
    path.workers[-1].kill()
    path.start_worker()
    await path.feed(shop.rounds[2 * third :])
    await path.comes_to(shop.end)
    await path.expect_the_same_as(shop)
    print(f"{before} records of {keys} rows, {after} after compaction")
