"""How long an event takes to become a command, and a timer to be heard, while others flow by."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from agents.settings import Settings
from schemas.outputs import ClockStruck, SendCommand
from schemas.topics import SEND_COMMANDS
from schemas.values import Instant, Millis
from streams.ingest.control import definitions
from streams.instants import to_instant
from tests.bench.conftest import Results
from tests.bench.load import LogRecord, published, some_events
from tests.integration.path.reading import places_of, reader_of
from tests.integration.path.running import Deployment, deployed

PARTITIONS = 4
PER_SECOND = 3_000
"""About half of what a worker takes on this machine beside its broker and everything else."""
SECONDS = 75
WARM_SECONDS = 45
"""Java compiles meanwhile, and the worker waits for its partitions; not counted."""
PIECE_SECONDS = 0.02
ASKED_EVERY = 100

TWO_FLOWS = """
---
flow: at-once
trigger: {did: Asked for Password}
steps: [{send: at-once, channel: email, template: t, transactional: true}]
---
flow: later
trigger: {did: Asked for Password}
steps: [{wait: 3s}, {send: later, channel: email, template: t, transactional: true}]
"""

read_command = msgspec.json.Decoder(SendCommand | ClockStruck).decode


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


@pytest.mark.bench
async def test_from_event_to_command(settings: Settings, results: Results) -> None:
    settings = replace(settings, partitions=PARTITIONS)
    async with deployed(settings, simulated=False) as path:
        opening = LogRecord(0, b"", *definitions(published(TWO_FLOWS), settings.secret_bytes))
        for partition in range(PARTITIONS):
            await path.feed_records(partition, [opening])
        path.start_worker()
        await path.has_members(1)
        asked = PER_SECOND * SECONDS // ASKED_EVERY
        since = now_ms() + 1_000 * WARM_SECONDS
        reading = asyncio.create_task(read_latencies(settings, asked))
        await push(path)
        said = await reading
    events, timers = ([late for began, late in of if began >= since] for of in said)
    results.note(
        f"latency at {PER_SECOND} events a second, ticks of {settings.tick_ms} ms",
        event_to_command_p50_ms=percentile(events, 0.5),
        event_to_command_p99_ms=percentile(events, 0.99),
        timer_lateness_p50_ms=percentile(timers, 0.5),
        timer_lateness_p99_ms=percentile(timers, 0.99),
        commands=len(events) + len(timers),
    )
    assert [len(of) for of in said] == [asked, asked], "every command came, and once"


async def push(path: Deployment) -> None:
    """Push at an even rate; each event says when it was pushed."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    piece = int(PER_SECOND * PIECE_SECONDS)
    for number in range(int(SECONDS / PIECE_SECONDS)):
        await asyncio.sleep(max(0.0, begin + number * PIECE_SECONDS - loop.time()))
        records = some_events(
            number * piece, piece, partitions=PARTITIONS, asked_every=ASKED_EVERY, now=now_ms()
        )
        await asyncio.gather(*(path.feed_records(p, some) for p, some in enumerate(records)))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


Latencies = list[tuple[Instant, Millis]]
"""When it began, and how long until its command was read."""


async def read_latencies(settings: Settings, asked: int) -> tuple[Latencies, Latencies]:
    """From an event to its command, and from a due timer to its command, until all have come."""
    events: Latencies = []
    timers: Latencies = []
    reader = reader_of(settings)
    await reader.start()
    try:
        reader.assign(list(places_of(settings, [SEND_COMMANDS])))
        async with asyncio.timeout(10 * SECONDS):
            while min(len(events), len(timers)) < asked:
                for records in (await reader.getmany(timeout_ms=100)).values():
                    now = now_ms()
                    for record in records:
                        said = read_command(record.value)
                        if isinstance(said, SendCommand) and said.message == "at-once":
                            pushed_at = said.context["trigger"]["pushed_at"]
                            events.append((pushed_at, now - pushed_at))
                        elif isinstance(said, SendCommand) and said.message == "later":
                            due = to_instant(said.decided_at)
                            timers.append((due, now - due))
    finally:
        await reader.stop()
    return events, timers
