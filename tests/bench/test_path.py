"""How many events a second the whole path takes, exactly once, beside its broker; what each of its
stations takes by itself, and each kind of work.
"""

from dataclasses import replace

import pytest

from agents.embedded.kafka import EmbeddedKafka
from agents.settings import Settings
from streams.ids import REPLAY_SECRET
from tests.bench.conftest import Results
from tests.bench.load import load
from tests.bench.path import work_off
from tests.bench.timed import APPLYING, KINDS, TimedReplay, by_kind
from tests.integration.path.shop import play

EVENTS = 200_000
PARTITIONS = 4
RATE = 10_000
EVENTS_IN_MEMORY = 60_000


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


@pytest.mark.bench
def test_what_each_station_and_kind_of_work_takes(results: Results) -> None:
    """The same load in memory, without a broker. Timing each call costs, too: so the stations are
    timed in a run of their own, and of the kinds only the proportions count.
    """
    log = load(
        EVENTS_IN_MEMORY,
        partitions=PARTITIONS,
        per_second=RATE,
        secret=REPLAY_SECRET,
        people=EVENTS_IN_MEMORY // 10,
    )
    stations, events = TimedReplay(PARTITIONS), log.events_after(0)
    for piece in log.rounds:
        play(stations, piece.partitions)
        stations.run()
    watched = TimedReplay(PARTITIONS)
    with by_kind() as kinds:
        for piece in log.rounds:
            play(watched, piece.partitions)
            watched.run()
    whole = kinds.pop(APPLYING) + kinds["reading"]
    results.note(
        "the path in memory, by station and kind of work",
        **{f"{stage}_us": spent / events * 1e6 for stage, spent in stations.seconds.items()},
        **{f"share_of_{kind}": kinds[kind] / whole for kind in KINDS},
        share_of_the_rest=1 - kinds.total() / whole,
    )
    assert kinds.total() < whole
