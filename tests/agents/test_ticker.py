"""Who ticks: the worker that has partition 0 of ingest, as long as it has it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agents.settings import Settings
from agents.ticker import Ticker

DEADLINE_S = 10


class Connection:
    """As much of a producer as a ticker asks for, but for the appending."""

    def __init__(self, **_: Any) -> None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Worker:
    """A worker's ticker, which counts its ticks."""

    def __init__(self, settings: Settings, *, has_to: bool) -> None:
        self.has_to = has_to
        self.ticks = 0
        self._moved = asyncio.Condition()
        self.ticker = Ticker(settings, lambda: self.has_to)
        self.ticker._tick = self._tick  # type: ignore[method-assign]

    async def _tick(self, _: object) -> None:
        self.ticks += 1
        async with self._moved:
            self._moved.notify_all()

    async def ticked(self, times: int) -> None:
        """Wait until it has ticked so often more."""
        wanted = self.ticks + times
        async with asyncio.timeout(DEADLINE_S), self._moved:
            await self._moved.wait_for(lambda: self.ticks >= wanted)


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    async def is_live(_: Settings) -> None: ...

    monkeypatch.setattr("agents.ticker.AIOKafkaProducer", Connection)
    monkeypatch.setattr("agents.ticker.expect_live", is_live)


async def test_of_two_workers_one_ticks_and_the_other_from_when_it_takes_over(
    tmp_path: Path,
) -> None:
    settings = Settings(data=tmp_path, kafka=("localhost:1",), tick_ms=50)
    one, other = Worker(settings, has_to=True), Worker(settings, has_to=False)
    running = [asyncio.create_task(worker.ticker.run()) for worker in (one, other)]
    await one.ticked(3)
    assert other.ticks == 0
    assert one.ticker.silent_seconds() is not None
    assert other.ticker.silent_seconds() is None
    one.has_to, other.has_to = False, True
    await other.ticked(1)
    before = one.ticks
    await other.ticked(3)
    assert one.ticks == before
    for worker in (one, other):
        await worker.ticker.stop()
    await asyncio.gather(*running)


async def test_who_has_to_tick_and_cannot_is_silent_ever_longer(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, kafka=("localhost:1",), tick_ms=50)
    ticker = Ticker(settings, lambda: True)
    first = ticker.silent_seconds()
    await asyncio.sleep(0.01)
    second = ticker.silent_seconds()
    assert first is not None
    assert second is not None
    assert second > first
