"""More waits than a partition keeps: what is kept is bounded, and nothing is lost or overtaken."""

import asyncio
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import pytest

from agents.demo.log import SINCE, LogRecord
from agents.settings import Settings
from agents.standing import workers_here
from streams.identity.keys import key_of
from streams.instants import SECOND
from streams.intake import partition_of
from streams.rounds import WAITING_MAX
from tests.integration.path.reading import ingested, said_in
from tests.integration.path.running import Deployment, deployed
from tests.integration.path.shop import PARTITIONS, a_tick, core_in_memory, play, said_by

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(900)]

EVENTS = WAITING_MAX + 40_000
BETWEEN_TICKS = 10_000
PEOPLE = 2_000
READ_AT_ONCE_MAX = 2_000
RSS_BYTES_MAX = 1 << 30
STILL = 20


def people() -> list[str]:
    """E-mail addresses whose rows are all in partition 0 of identity."""
    addresses = (f"p{number}@example.com" for number in count())
    ours = (a for a in addresses if not partition_of(key_of("main", ("email", a)), PARTITIONS))
    return list(islice(ours, PEOPLE))


def log_of(addresses: list[str]) -> tuple[list[LogRecord], list[LogRecord]]:
    """All events in partition 0; partition 1 has ticks only."""
    events, ticks = [], []
    for number in range(EVENTS):
        at = SINCE + number * SECOND // 10
        value = b'{"id":"v%d","metric":"Viewed Product","profile":{"email":"%s"}}' % (
            number,
            addresses[number * 7919 % PEOPLE].encode(),
        )
        events.append(LogRecord(at, b"", value))
        if number % BETWEEN_TICKS == BETWEEN_TICKS - 1:
            events.append(a_tick(at))
            ticks.append(a_tick(at))
    return events, ticks


def resident_bytes(pid: int) -> int:
    """What a process holds in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) << 10


async def test_two_hundred_thousand_wait_and_the_rest_stays_in_the_log(settings: Settings) -> None:
    events, ticks = log_of(people())
    small = replace(settings, partitions=PARTITIONS)
    async with deployed(small) as path:
        path.deadline_s = 400
        path.start_worker()
        await path.feed_records(0, events)
        most, resident = await fill(path, len(events))
        assert WAITING_MAX // 2 <= most <= WAITING_MAX + READ_AT_ONCE_MAX, most
        assert resident < RSS_BYTES_MAX
        await path.feed_records(1, ticks)
        await path.comes_to(ticks[-1].received_at)
        replay = core_in_memory(small.secret_bytes)
        await asyncio.to_thread(play, replay, [events, ticks])  # the path's reader goes on
        assert await said_in(small) == said_by(replay)
    print(f"{most:,} of {EVENTS:,} waited; {resident >> 20} MiB")


async def fill(path: Deployment, records: int) -> tuple[int, int]:
    """Wait until all has been read and what waits stays as it is: over the bound, half is dropped.

    Returns: the most that waited in one partition, and the worker's memory in bytes.
    """
    most = resident = 0
    seen: list[int] = []

    async def is_full() -> bool:
        nonlocal most, resident
        for worker in await asyncio.to_thread(workers_here, path.settings):
            resident = max(resident, resident_bytes(worker.pid))
            seen.append(max((one.waiting for one in worker.partitions), default=0))
            most = max(most, seen[-1])
        is_still = len(set(seen[-STILL:])) == 1 and seen[-1] >= WAITING_MAX // 2
        return is_still and await ingested(path.settings, 0) >= records

    await path.until("the partition is full", is_full)
    return most, resident
