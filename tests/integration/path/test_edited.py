"""Definitions that change in mid-stream: the real path says what the path in memory says."""

import pytest

from tests.conftest import SECRET
from tests.integration.path.running import Deployment
from tests.scenarios.edited_shop import ADDED_AT, EDITED_AT, REMOVED_AT, open_edited_shop

pytestmark = [pytest.mark.integration, pytest.mark.prove]


async def test_workers_that_are_killed_while_definitions_change_say_the_same(
    path: Deployment,
) -> None:
    shop = open_edited_shop(SECRET.encode())
    path.start_worker()
    fed = 0
    for switched_at in (ADDED_AT, EDITED_AT, REMOVED_AT):
        until = next(i for i, piece in enumerate(shop.rounds) if piece.end > switched_at)
        await path.feed(shop.rounds[fed : until + 1])
        await path.passes(shop.rounds[until - 1].end)
        path.workers[-1].kill()
        path.start_worker()
        fed = until + 1
    await path.feed(shop.rounds[fed:])
    await path.comes_to(shop.end)
    await path.expect_the_same_as(shop)
