"""Rounds: what a partition does is a function of `store-events` alone.

Every partition is an actor. A seeded schedule lets them read in any portions, stall and crash
between any two of their steps; rows and outputs must equal those of the replay, byte for byte.
"""

import random

import msgspec
import pytest

from schemas.topics import FLOW_TRIGGERS
from streams.replay import MemoryRecord
from tests.streams.simulation import Path, Simulation, by_topic, replayed
from tests.streams.toy import ToyIdentity, ToyProfile, ToyReader

LAST_TICK = 1600


def world(seed: int) -> tuple[int, list[list[MemoryRecord]]]:
    """Source logs with their ticks; stamps step back now and then, as after a new leader."""
    rng = random.Random(seed)
    partitions, people = rng.randint(1, 3), rng.randint(2, 6)
    linked = rng.choice((0.05, 0.15, 0.4))
    raw: list[list[tuple[int, float, bytes | None]]] = [[] for _ in range(partitions)]
    moments = sorted(rng.randint(100, 600) for _ in range(rng.randint(5, 50)))
    for number, at in enumerate(moments):
        person, other = rng.randrange(people), rng.randrange(people)
        what = rng.choices(("start", "order", "visit", "stop"), (8, 4, 6, 1))[0]
        link = f"p{other}" if rng.random() < linked and other != person else None
        value = msgspec.json.encode([what, f"p{person}", link, number])
        rng.choice(raw).append((at, rng.random(), value))
    logs = []
    for log in raw:
        at, gap, skew = rng.randint(20, 99), rng.choice((5, 20, 60)), rng.randint(0, 30)
        while at < 600:
            log.append((at, rng.random(), None))
            at += rng.randint(1, 2 * gap)
        log.extend((at, 1.0, None) for at in range(1000, LAST_TICK + 1, 20))
        stamped = sorted(log, key=lambda entry: entry[:2])
        back = [9 * (rng.random() < 0.1) for _ in stamped]
        logs.append(
            [
                MemoryRecord(offset, at + skew - step, None, value)
                for offset, ((at, _, value), step) in enumerate(zip(stamped, back, strict=True))
            ]
        )
    return partitions, logs


PATH = Path(ToyReader, ToyIdentity(), ToyProfile())


def compare(seed: int, schedules: int) -> tuple[int, int]:
    """Returns how many crashes there were and how many reminders."""
    partitions, source = world(seed)
    replay = replayed(PATH, partitions, source)
    want = by_topic(replay.run())
    crashes = 0
    for schedule in range(schedules):
        sim = Simulation(PATH, partitions, source, 1000 * seed + schedule)
        assert sim.said == want, f"seed {seed}, schedule {schedule}"
        for stage in ("identity", "profile"):
            rows = {key: row for _, key, row in replay.rows(stage)}
            assert sim.rows(stage) == rows, f"seed {seed}, schedule {schedule}, {stage}"
        crashes += sim.crashes
    people = [msgspec.msgpack.decode(row) for _, _, row in replay.rows("profile")]
    seen = sorted(int(event) for person in people for event in person[0])
    events = sum(record.value is not None for log in source for record in log)
    assert seen == list(range(events)), "an event was lost or doubled"
    reminders = [said for (topic, _), said in want.items() if topic == FLOW_TRIGGERS.name]
    return crashes, sum(map(len, reminders))


def test_any_schedule_with_stalls_and_crashes_equals_the_replay() -> None:
    totals = [compare(seed, schedules=2) for seed in range(120)]
    assert sum(crashes for crashes, _ in totals) > 500
    assert sum(sent for _, sent in totals) > 300


@pytest.mark.prove
@pytest.mark.parametrize("first", range(120, 4000, 485))
def test_thousands_of_schedules_equal_the_replay(first: int) -> None:
    for seed in range(first, first + 485):
        compare(seed, schedules=2)
