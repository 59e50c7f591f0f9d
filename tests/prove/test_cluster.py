"""Three brokers, of which any is killed at any instant: the leaders of partitions change."""

import random
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from agents.settings import Store
from tests.integration.path.shop import Shop
from tests.prove.cluster import Cluster
from tests.prove.faults import OF_WORKERS, Fault, Trial, befall, drawn, settings_of

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(900)]

AWAY_SECONDS_MAX = 8.0


def losing(count: int, cluster: Cluster) -> Fault:
    """So many brokers are killed and come back after a while. Where one is left, nothing can be
    written meanwhile.
    """

    async def lose(trial: Trial) -> None:
        nodes = trial.chance.sample(cluster.nodes, count)
        seconds = trial.chance.uniform(0, AWAY_SECONDS_MAX)
        trial.told.append(f"kill -9 of brokers {nodes}, away for {seconds:.1f} s")
        for node in nodes:
            cluster.kill(node)
        await trial.follow_for(seconds)
        for node in nodes:
            cluster.start(node)
        await cluster.complete()

    return lose


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_leaders_that_change_lose_and_double_nothing(
    tmp_path: Path, shop: Shop, store: Store, seed: int
) -> None:
    async with Cluster(tmp_path) as cluster, AsyncExitStack() as stack:
        settings = replace(settings_of(cluster.addresses, tmp_path), store=store)
        trial = await Trial(settings, random.Random(seed)).start(stack)
        kinds = (*OF_WORKERS, losing(1, cluster), losing(1, cluster), losing(2, cluster))
        try:
            await befall(trial, shop, drawn(seed, len(kinds), kinds))
        finally:
            print(f"SEED={seed} {store}: {'; '.join(trial.told)}")
        assert cluster.leaders_changed()
