"""What is looked at again and again, also after a look that failed."""

import asyncio

import pytest

from agents.live import kept
from agents.live.kept import keep_looking
from schemas.values import Instant


async def test_a_look_that_fails_is_said_and_the_next_one_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept, "LOOK_SECONDS", 0.0)
    looks: list[Instant] = []
    said: list[str] = []
    again = asyncio.Event()

    async def look(now: Instant) -> None:
        looks.append(now)
        if len(looks) == 1:
            raise OSError("the database is away")
        again.set()

    looking = asyncio.create_task(
        keep_looking(look, failed="nothing could be done", say=said.append)
    )
    async with asyncio.timeout(5):
        await again.wait()
    looking.cancel()
    assert said == ["nothing could be done (OSError: the database is away); again in 0 s"]
    assert looks == sorted(looks)
