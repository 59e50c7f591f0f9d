"""A worker that can keep next to nothing reads the log again; what it says stays the same."""

import pytest

from tests.integration.path.running import Deployment
from tests.integration.path.shop import Shop

pytestmark = pytest.mark.integration


async def test_the_log_is_the_buffer_of_a_worker_that_keeps_next_to_nothing(
    path: Deployment, shop: Shop
) -> None:
    worker = path.start_worker(program="tests.integration.path.narrow_worker")
    await path.feed(shop.rounds)
    await path.comes_to(shop.end)
    said = worker.log.read_text()
    assert "read again: identity" in said
    assert "read again: profile" in said
    await path.expect_the_same_as(shop)
