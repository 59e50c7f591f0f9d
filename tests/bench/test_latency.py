"""How long an event takes to become a command, and a timer to be heard, while others flow by: half
as many a second as a worker takes, which is found out first.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from agents.embedded.kafka import EmbeddedKafka
from agents.settings import Settings
from schemas.outputs import ClockStruck, SendCommand
from schemas.topics import SEND_COMMANDS
from schemas.values import Instant, Millis
from streams.ingest.control import definitions
from streams.instants import to_instant
from tests.bench.conftest import Results
from tests.bench.load import LogRecord, load, published, some_events
from tests.bench.path import work_off
from tests.integration.path.reading import places_of, reader_of
from tests.integration.path.running import Deployment, deployed

PARTITIONS = 4
EVENTS_AT_MOST = 60_000
"""Worked off, to find out how many a second that can be."""
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
async def test_from_event_to_command(
    settings: Settings, kafka: EmbeddedKafka, results: Results
) -> None:
    settings = replace(settings, partitions=PARTITIONS)
    waiting = load(
        EVENTS_AT_MOST, partitions=PARTITIONS, per_second=10_000, secret=settings.secret_bytes
    )
    before = replace(settings, namespace=f"{settings.namespace}-most")
    most = await work_off(before, waiting, workers=1, broker=kafka.process.pid)
    per_second = int(most.per_second / 2)
    async with deployed(settings, simulated=False) as path:
        opening = LogRecord(0, b"", *definitions(published(TWO_FLOWS), settings.secret_bytes))
        for partition in range(PARTITIONS):
            await path.feed_records(partition, [opening])
        path.start_worker()
        await path.has_members(1)
        piece = int(per_second * PIECE_SECONDS)
        asked = -(-piece * int(SECONDS / PIECE_SECONDS) // ASKED_EVERY)
        since = now_ms() + 1_000 * WARM_SECONDS
        reading = asyncio.create_task(read_latencies(settings, asked))
        await push(path, piece)
        said = await reading
    events, timers = ([late for began, late in of if began >= since] for of in said)
    results.note(
        f"latency at half the largest rate, ticks of {settings.tick_ms} ms",
        events_per_s=piece / PIECE_SECONDS,
        event_to_command_p50_ms=percentile(events, 0.5),
        event_to_command_p99_ms=percentile(events, 0.99),
        timer_lateness_p50_ms=percentile(timers, 0.5),
        timer_lateness_p99_ms=percentile(timers, 0.99),
        commands=len(events) + len(timers),
    )
    assert [len(of) for of in said] == [asked, asked], "every command came, and once"


async def push(path: Deployment, piece: int) -> None:
    """Push `piece` events each `PIECE_SECONDS`; each event says when it was pushed."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
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
