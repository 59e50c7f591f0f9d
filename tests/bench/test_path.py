"""How many events a second the whole path takes, exactly once, beside its broker."""

from dataclasses import replace

import pytest

from agents.embedded.kafka import EmbeddedKafka
from agents.settings import Settings
from tests.bench.conftest import Results
from tests.bench.load import load
from tests.bench.path import work_off

EVENTS = 200_000
PARTITIONS = 4
RATE = 10_000


@pytest.mark.bench
@pytest.mark.parametrize("workers", [1, 2])
async def test_the_whole_path(
    settings: Settings, kafka: EmbeddedKafka, results: Results, workers: int
) -> None:
    settings = replace(settings, partitions=PARTITIONS)
    log = load(
        EVENTS,
        partitions=PARTITIONS,
        per_second=RATE,
        secret=settings.secret_bytes,
    )
    outcome = await work_off(settings, log, workers=workers, broker=kafka.process.pid)
    results.note(
        f"whole path, {workers} worker{'s' * (workers > 1)}",
        events_per_s=outcome.per_second,
        worker_us=outcome.micros("worker"),
        broker_us=outcome.micros("broker"),
        worker_memory_bytes=max(
            used.memory for name, used in outcome.usage.items() if name != "broker"
        ),
    )
    assert outcome.events > EVENTS / 2
