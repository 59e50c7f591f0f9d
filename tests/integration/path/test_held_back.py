"""A source partition that is held back holds time back: what is due waits, nothing overtakes."""

import pytest

from streams.instants import HOUR, to_instant
from tests.integration.path.reading import ingested
from tests.integration.path.running import Deployment
from tests.integration.path.shop import SPAN, Shop

pytestmark = pytest.mark.integration

FROM, TO = 20, 44


async def test_a_partition_held_back_over_due_instants_changes_no_send(
    path: Deployment, shop: Shop
) -> None:
    assert (TO - FROM) * SPAN > HOUR
    since, until = shop.rounds[FROM - 1].end, shop.rounds[TO - 1].end
    due = [c for c in shop.commands() if since < to_instant(c.decided_at) < until]
    assert len(due) > 50, "much is due meanwhile"
    path.start_worker()
    await path.feed(shop.rounds[:FROM])
    await path.feed(shop.rounds[FROM:TO], only=0)
    ahead = sum(len(piece.partitions[0]) for piece in shop.rounds[:TO])

    async def has_read_ahead() -> bool:
        await path.follow()
        return await ingested(path.settings, 0) >= ahead

    await path.until("partition 0 is read ahead", has_read_ahead)
    await path.comes_to(since)
    assert set(path.clocks.values()) == {since - 1}, "time stands still"
    await path.feed(shop.rounds[FROM:TO], only=1)
    await path.feed(shop.rounds[TO:])
    await path.comes_to(shop.end)
    await path.expect_the_same_as(shop)
