"""The real path says what the path in memory says, byte for byte."""

import pytest

from schemas.outputs import SegmentChanged
from schemas.topics import SEGMENT_CHANGES
from streams.instants import to_instant
from tests.integration.path.reading import values_of
from tests.integration.path.running import Deployment
from tests.integration.path.shop import Shop

pytestmark = pytest.mark.integration


async def test_one_worker_says_what_the_core_in_memory_says(path: Deployment, shop: Shop) -> None:
    worker = path.start_worker()
    await path.feed(shop.rounds)
    await path.comes_to(shop.end)
    await path.expect_the_same_as(shop)
    assert worker.stop() == 0


def test_the_shop_has_sends_after_waits_and_segments_that_time_alone_changes(shop: Shop) -> None:
    assert len(shop.rounds) >= 60
    commands = shop.commands()
    assert len(commands) > 500
    assert len({command.id for command in commands}) == len(commands)
    received = {record.received_at for record in shop.records()}
    assert [c for c in commands if to_instant(c.decided_at) not in received], "after a wait"
    changes = values_of(shop.said, SEGMENT_CHANGES, SegmentChanged)
    alone = [c for c in changes if to_instant(c.decided_at) not in received]
    assert alone, "changed when nothing was received"
