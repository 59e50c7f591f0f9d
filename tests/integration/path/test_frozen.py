"""A worker frozen past its session finds itself fenced: what it had begun is never seen."""

import random

import pytest

from tests.integration.path.running import EXIT_FENCED, Deployment
from tests.integration.path.shop import Shop

pytestmark = pytest.mark.integration


async def freeze_and_take_over(path: Deployment, shop: Shop, at: int, until: int) -> None:
    """Freeze the worker at round `at`; another does all up to `until`; then the first goes on."""
    frozen = path.start_worker()
    await path.feed(shop.rounds[:until])
    await path.passes(shop.rounds[at].end)
    frozen.freeze()
    path.start_worker()
    await path.comes_to(shop.rounds[until - 1].end)
    frozen.thaw()
    await path.feed(shop.rounds[until:])
    await path.comes_to(shop.end)
    await path.is_gone_or_member(frozen)
    await path.expect_the_same_as(shop)
    code = frozen.stop()
    print(f"the worker that was frozen ended with {code}")
    assert code in {0, EXIT_FENCED}
    await path.expect_the_same_as(shop)


async def test_a_worker_frozen_while_another_takes_over_and_then_continued(
    path: Deployment, shop: Shop
) -> None:
    await freeze_and_take_over(path, shop, 5, 45)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(8))
async def test_a_worker_frozen_at_any_instant(path: Deployment, shop: Shop, seed: int) -> None:
    print(f"seed {seed}")
    at = random.Random(seed).randrange(40)
    await freeze_and_take_over(path, shop, at, at + random.Random(seed).randrange(10, 20))
