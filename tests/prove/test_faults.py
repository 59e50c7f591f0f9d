"""Random faults on a real broker: rows are a recount, outputs those of the undisturbed run."""

import random
from pathlib import Path

import pytest

from agents.settings import Store
from tests.integration.path.shop import Shop
from tests.prove.faults import FAULTS, befall, broker_away, drawn, on_trial

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(900)]

FAULTS_OF_A_RUN = 9


@pytest.mark.runs(3)
@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_faults_at_any_instant(tmp_path: Path, shop: Shop, store: Store, seed: int) -> None:
    assert len(FAULTS) < FAULTS_OF_A_RUN, "each kind at least once"
    async with on_trial(tmp_path, store=store, seed=seed) as trial:
        try:
            await befall(trial, shop, drawn(seed, FAULTS_OF_A_RUN))
        finally:
            print(f"SEED={seed} {store}: {'; '.join(trial.told)}")


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_the_broker_away_for_a_minute(
    tmp_path: Path, shop: Shop, store: Store, seed: int
) -> None:
    faults = drawn(seed, 2)
    faults.insert(random.Random(seed).randrange(3), broker_away)
    async with on_trial(tmp_path, store=store, seed=seed) as trial:
        try:
            await befall(trial, shop, faults)
        finally:
            print(f"SEED={seed} {store}: {'; '.join(trial.told)}")
