"""Seeds, and the shop whose path is known."""

import os
import random

import pytest

from tests.integration.path.conftest import path, shop, small

__all__ = ["path", "shop", "small"]

SEEDS_MAX = 1_000_000


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `seed` runs as often as its mark `runs(n)` says, or once with SEED."""
    if "seed" not in metafunc.fixturenames:
        return
    told = os.environ.get("SEED")
    mark = metafunc.definition.get_closest_marker("runs")
    count = 1 if mark is None else mark.args[0]
    fresh = random.SystemRandom()
    seeds = [int(told)] if told else [fresh.randrange(SEEDS_MAX) for _ in range(count)]
    metafunc.parametrize("seed", seeds, ids=[f"SEED={seed}" for seed in seeds])
