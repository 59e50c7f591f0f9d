"""Histories that merge, alias, refuse, hand over and erase, through the real broker, with faults:
rows and outputs are those of the path in memory, byte for byte.
"""

from pathlib import Path

import pytest

from agents.settings import Store
from tests.conftest import SECRET
from tests.prove.crowd import crowd
from tests.prove.faults import FAULTS, drawn, on_trial, suffer

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(900)]

FAULTS_OF_A_RUN = 8


@pytest.mark.runs(2)
@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_people_become_one_whatever_befalls_the_workers(
    tmp_path: Path, store: Store, seed: int
) -> None:
    assert len(FAULTS) < FAULTS_OF_A_RUN, "each kind at least once"
    people = crowd(SECRET.encode(), seed)
    async with on_trial(tmp_path, store=store, seed=seed) as trial:
        trial.join()
        try:
            await suffer(trial, people.rounds, drawn(seed, FAULTS_OF_A_RUN))
            await trial.comes_to(people.end)
            await trial.expect_the_bytes_of(people)
        finally:
            print(f"SEED={seed} {store}: {'; '.join(trial.told)}")
