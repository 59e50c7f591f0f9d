"""Rounds: what a partition does is a function of `store-events` alone.

Every partition is an actor. A seeded schedule lets them read in any portions, stall and crash
between any two of their steps; rows and outputs must equal those of the replay, byte for byte.
"""

import random
from collections import defaultdict

import msgspec
import pytest

from schemas.rows import POSITION_KEY
from schemas.topics import FLOW_TRIGGERS, STORE_EVENTS
from streams.intake import (
    INPUTS,
    Intake,
    PassIntake,
    RoundIntake,
    Work,
    is_row_of_a_key,
    load_position,
)
from streams.replay import STAGES, MemoryRecord, Replay
from streams.rounds import BOUNDS_MAX, WAITING_MAX
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


class Actor:
    """One partition of one stage with its disk: rows, position among them."""

    def __init__(self, sim: "Simulation", stage: str, partition: int) -> None:
        self.sim, self.stage, self.partition = sim, stage, partition
        self.rows: dict[bytes, bytes] = {}
        self.pending: Work | None = None
        self.boot()

    def boot(self) -> None:
        """Start from the disk alone."""
        self.pending = None
        blob = self.rows.get(POSITION_KEY % self.partition)
        position = load_position(blob, self.sim.partitions)
        self.read = position.low
        if self.stage == "ingest":
            self.intake: Intake = PassIntake(ToyReader(), self.partition, position)
            return
        core = ToyIdentity() if self.stage == "identity" else ToyProfile()
        self.intake = RoundIntake(
            core,
            self.partition,
            position,
            self.rows,
            waiting_max=self.sim.waiting_max,
            bounds_max=self.sim.bounds_max,
            steps_max=self.sim.steps_max,
        )

    def move(self) -> bool:
        """Read a portion, step, or commit what was stepped: one of these at a time."""
        if self.pending is not None:
            self.sim.append(self.pending)
            self.rows.update(self.pending.rows)
            self.pending = None
            return True
        log = self.sim.logs[INPUTS[self.stage].name, self.partition]
        portion = log[self.read : self.read + self.sim.rng.choice((0, 1, 4, 50))]
        self.read += len(portion)
        self.intake.read(portion)
        self.pending = self.intake.next()
        again = self.intake.read_again_from()
        if again is not None:
            self.read = again
        return bool(portion) or self.pending is not None or again is not None


class Simulation:
    """All actors in a random order, with stalls and crashes, until nothing moves."""

    def __init__(self, partitions: int, source: list[list[MemoryRecord]], seed: int) -> None:
        self.rng = random.Random(seed)
        self.partitions = partitions
        self.waiting_max = self.rng.choice((WAITING_MAX, 3, 10))
        self.bounds_max = self.rng.choice((BOUNDS_MAX, 2, 10))
        self.steps_max = self.rng.choice((999, 1, 2, 5))
        self.logs: dict[tuple[str, int], list[MemoryRecord]] = defaultdict(list)
        for partition, log in enumerate(source):
            self.logs[STORE_EVENTS.name, partition] = log
        self.said: list[list[bytes]] = [[] for _ in range(partitions)]
        self.crashes = 0
        self.actors = [Actor(self, stage, p) for stage in STAGES for p in range(partitions)]
        self.play()

    def play(self) -> None:
        rng = self.rng
        pool = [actor for actor in self.actors for _ in range(rng.choice((1, 1, 5)))]
        stalled, until = rng.choice(pool), rng.choice((0, 0, 200, 1000))
        crash, idle, steps = rng.choice((0, 0.01, 0.1)), 0, 0
        while idle < 30 * len(pool):
            actor, steps = rng.choice(pool), steps + 1
            if rng.random() < crash and self.crashes < 40:
                actor.boot()
                self.crashes += 1
            moved = (actor is not stalled or steps > until) and actor.move()
            idle = 0 if moved or steps < until else idle + 1

    def append(self, work: Work) -> None:
        """A transaction: everything at once."""
        for write in work.writes:
            if write.topic == FLOW_TRIGGERS.name:
                self.said[write.partition].append(write.value)
            log = self.logs[write.topic, write.partition]
            log.append(MemoryRecord(len(log), write.timestamp, write.key, write.value))

    def rows(self, stage: str) -> dict[bytes, bytes]:
        return {
            key: row
            for actor in self.actors
            if actor.stage == stage
            for key, row in actor.rows.items()
            if is_row_of_a_key(key)
        }


def replayed(partitions: int, source: list[list[MemoryRecord]]) -> Replay:
    replay = Replay(
        partitions,
        reader=ToyReader,
        identity=ToyIdentity(),
        profile=ToyProfile(),
    )
    for partition, log in enumerate(source):
        for record in log:
            replay.append(partition, record.value, record.timestamp, offset=record.offset)
    return replay


def compare(seed: int, schedules: int) -> tuple[int, int]:
    """Returns how many crashes there were and how many reminders."""
    partitions, source = world(seed)
    replay = replayed(partitions, source)
    want: list[list[bytes]] = [[] for _ in range(partitions)]
    for write in replay.run():
        if write.topic == FLOW_TRIGGERS.name:
            want[write.partition].append(write.value)
    crashes = 0
    for schedule in range(schedules):
        sim = Simulation(partitions, source, 1000 * seed + schedule)
        assert sim.said == want, f"seed {seed}, schedule {schedule}"
        for stage in ("identity", "profile"):
            rows = {key: row for _, key, row in replay.rows(stage)}
            assert sim.rows(stage) == rows, f"seed {seed}, schedule {schedule}, {stage}"
        crashes += sim.crashes
    people = [msgspec.msgpack.decode(row) for _, _, row in replay.rows("profile")]
    seen = sorted(int(event) for person in people for event in person[0])
    events = sum(record.value is not None for log in source for record in log)
    assert seen == list(range(events)), "an event was lost or doubled"
    return crashes, sum(map(len, want))


def test_any_schedule_with_stalls_and_crashes_equals_the_replay() -> None:
    totals = [compare(seed, schedules=2) for seed in range(120)]
    assert sum(crashes for crashes, _ in totals) > 500
    assert sum(sent for _, sent in totals) > 300


@pytest.mark.prove
def test_thousands_of_schedules_equal_the_replay() -> None:
    for seed in range(120, 4000):
        compare(seed, schedules=2)
