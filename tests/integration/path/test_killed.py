"""A worker that is gone in the middle of its work leaves nothing undone and nothing doubled."""

import json
import random
from dataclasses import replace

import pytest

from agents.settings import Settings
from streams.replay import STAGES
from tests.integration.path.running import Deployment, Worker, deployed
from tests.integration.path.shop import Shop

pytestmark = pytest.mark.integration


async def kill_within(path: Deployment, shop: Shop, first: int, last: int) -> None:
    """Feed the rounds [first, last) and kill the worker while it is at them; start another."""
    await path.feed(shop.rounds[first:last])
    await path.passes(shop.rounds[first].end)
    path.workers[-1].kill()
    path.start_worker(slot="1")
    await path.follow()
    fed = shop.rounds[last - 1].end
    assert min(path.clocks.values()) < fed - 1, "it was killed in mid-stream"


async def test_a_worker_killed_in_mid_stream_goes_on_with_its_rows_on_disk(
    small: Settings, shop: Shop
) -> None:
    async with deployed(replace(small, store="rocksdb")) as path:
        await killed_twice(path, shop)
        started = [opened_at(worker) for worker in path.workers]
    assert started[0] == {None}
    assert None not in started[1] | started[2], "only what came since is read"


def opened_at(worker: Worker) -> set[int | None]:
    """The offsets of the changelog at which a worker found its rows."""
    lines = worker.log.read_text().splitlines()
    told = [json.loads(line[line.index("{") :]) for line in lines if '"rows on disk"' in line]
    assert len(told) == len(STAGES)
    return {offset for one in told for offset in one["offsets"].values()}


async def killed_twice(path: Deployment, shop: Shop) -> None:
    path.start_worker(slot="1")
    await kill_within(path, shop, 0, 30)
    await kill_within(path, shop, 30, 50)
    await path.feed(shop.rounds[50:])
    await path.comes_to(shop.end)
    await path.expect_the_same_as(shop)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(8))
async def test_workers_killed_at_any_instant(path: Deployment, shop: Shop, seed: int) -> None:
    chance = random.Random(seed)
    print(f"seed {seed}")
    path.start_worker()
    await path.feed(shop.rounds)
    for _ in range(6):
        await path.passes(chance.choice(shop.rounds).end)
        await path.follow_for(chance.random())
        path.workers[-1].kill()
        path.start_worker()
    await path.comes_to(shop.end)
    await path.expect_the_same_as(shop)
