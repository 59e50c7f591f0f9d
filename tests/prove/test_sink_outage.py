"""A sink whose database cannot be reached for minutes loses nothing and doubles nothing."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from agents.clickhouse import open_client
from agents.embedded.gateway import ClickHouseGateway
from agents.live.sink import Timeline
from agents.settings import Settings
from agents.topics import ensure_topics
from schemas.topics import TIMELINE
from tests.integration.test_timeline_sink import PARTITIONS, READ, entry, write

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(600)]

OUTAGE_SECONDS = 150
BATCH = 400
BATCHES_BEFORE, BATCHES_MEANWHILE, BATCHES_AFTER = 5, 30, 5
DRAIN_SECONDS_MAX = 90


class Line:
    """A connection to the database that can be cut: open ones are aborted, new ones refused."""

    def __init__(self, dsn: str) -> None:
        self._to = urlsplit(dsn)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._port = 0

    @property
    def dsn(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    async def connect(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, there = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._open |= {back, there}
        await asyncio.gather(_pass(near, there), _pass(far, back), return_exceptions=True)
        self._open -= {back, there}


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(64 << 10):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def sinking(settings: Settings, said: list[str]) -> AsyncIterator[Timeline]:
    timeline = Timeline(settings, said.append)
    keeping = asyncio.create_task(timeline.keep())
    try:
        yield timeline
    finally:
        await timeline.stop()
        await keeping


async def test_minutes_without_the_database(
    settings: Settings,
    clickhouse: ClickHouseGateway,
    caplog: pytest.LogCaptureFixture,
    seed: int,
) -> None:
    chance, said = random.Random(seed), list[str]()
    line = Line(clickhouse.dsn)
    await line.connect()
    shop = replace(settings, partitions=PARTITIONS, clickhouse=line.dsn)
    await ensure_topics(shop, simulated=True, topics=READ)
    numbers = iter(range(10**6))
    written = 0

    async def push(batches: int, pause_s: float) -> None:
        nonlocal written
        for _ in range(batches):
            await write(shop, [(TIMELINE.name, [entry(next(numbers)) for _ in range(BATCH)])])
            written += BATCH
            await asyncio.sleep(pause_s * chance.random())

    async with sinking(shop, said) as timeline:
        await push(BATCHES_BEFORE, 0.5)
        await line.cut()  # at any instant of an insert
        async with asyncio.TaskGroup() as meanwhile:
            meanwhile.create_task(asyncio.sleep(OUTAGE_SECONDS))
            meanwhile.create_task(push(BATCHES_MEANWHILE, 1))
        await line.connect()
        await push(BATCHES_AFTER, 0.5)
        async with asyncio.timeout(DRAIN_SECONDS_MAX):
            while not await timeline.drain(DRAIN_SECONDS_MAX):  # noqa: ASYNC110 - yet to start
                await asyncio.sleep(0.2)
    await line.cut()
    client = open_client(replace(shop, clickhouse=clickhouse.dsn))
    rows, events, total = client.query(
        "SELECT count(), uniqExact(event_id), sum(toInt128(value_micros)) FROM events"
    ).first_row
    assert (rows, events) == (written, written), "each row once"
    assert total == sum(range(written)) * 1_000_000 + written * 1000
    tries = caplog.text.count("the database is away")
    assert tries, "the outage was noticed"
    print(f"SEED={seed}: {written} rows, {tries} tries; {said or 'the sink never ended'}")
