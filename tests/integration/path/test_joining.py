"""Workers share the partitions, come and go; what is said stays the same."""

import random
import signal

import pytest

from tests.integration.path.running import Deployment
from tests.integration.path.shop import Shop

pytestmark = pytest.mark.integration


async def test_two_workers_from_the_start_and_one_that_leaves(path: Deployment, shop: Shop) -> None:
    """It leaves a moment after it joined: the second recovery follows closely upon the first."""
    first, _ = path.start_worker(), path.start_worker()
    await path.has_members(2)
    await path.feed(shop.rounds[:30])
    await path.passes(shop.rounds[3].end)
    assert first.stop() == 0
    await path.feed(shop.rounds[30:])
    await path.comes_to(shop.end)
    await path.expect_the_same_as(shop)


async def test_a_worker_that_joins_in_mid_stream(path: Deployment, shop: Shop) -> None:
    path.start_worker()
    await path.feed(shop.rounds[:2])
    await path.comes_to(shop.rounds[1].end)
    path.start_worker()
    for number in range(2, 40):  # there is work to do at every moment of the joining
        await path.feed(shop.rounds[number : number + 1])
        await path.follow()
    await path.has_members(2)
    await path.feed(shop.rounds[40:])
    await path.comes_to(shop.end)
    await path.expect_the_same_as(shop)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(8))
async def test_workers_that_come_and_go_at_any_instant(
    path: Deployment, shop: Shop, seed: int
) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    running = [path.start_worker()]
    for first in range(0, len(shop.rounds), 8):
        await path.feed(shop.rounds[first : first + 8])
        await path.follow_for(2 * chance.random())
        if len(running) > 1 and chance.random() < 0.5:
            assert running.pop(chance.randrange(len(running))).stop() in {0, -signal.SIGTERM}
        else:
            running.append(path.start_worker())
    await path.comes_to(shop.end)
    await path.expect_the_same_as(shop)
