"""One small shop for all tests of the path, and a deployment for each."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from agents.settings import Settings
from tests.conftest import SECRET
from tests.integration.path.running import Deployment, deployed
from tests.integration.path.shop import PARTITIONS, Shop, open_shop

SESSION_SECONDS = 2


@pytest.fixture(scope="session")
def shop() -> Shop:
    """Eight days of a shop; nothing has to be made twice."""
    return open_shop(SECRET.encode())


@pytest.fixture
def small(settings: Settings) -> Settings:
    """Two partitions, and a session that is soon over."""
    return replace(settings, partitions=PARTITIONS, session_timeout_s=SESSION_SECONDS)


@pytest.fixture
async def path(small: Settings) -> AsyncIterator[Deployment]:
    """A deployment in simulated time, without workers."""
    async with deployed(small) as deployment:
        yield deployment
