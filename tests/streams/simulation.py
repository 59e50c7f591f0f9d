"""Partitions as actors: they read in any portions, stall and crash between any two of their steps,
and clocks may come twice.

Rows and outputs must equal those of the replay, byte for byte, whatever the schedule.
"""

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from schemas.records import Clock, Envelope
from schemas.rows import POSITION_KEY
from schemas.topics import IDENTITY_REQUESTS, PROFILE_UPDATES, STORE_EVENTS
from streams.apply import remember
from streams.core import Core
from streams.intake import INPUTS, Intake, RoundIntake, Work, Write
from streams.passing import PassIntake, ReadEvent
from streams.published import InForce, is_row_of_a_key
from streams.replay import STAGES, MemoryRecord, Replay
from streams.rounds import BOUNDS_MAX, WAITING_MAX, load_position

INNER = {IDENTITY_REQUESTS.name, PROFILE_UPDATES.name}


_inner = msgspec.msgpack.Decoder(Envelope).decode


def is_clock(write: Write) -> bool:
    """Whether a record only says how far its writer has come."""
    return write.topic in INNER and isinstance(_inner(write.value), Clock)


class Path(NamedTuple):
    """What runs at the three stations."""

    reader: Callable[[], ReadEvent]
    identity: Core[Any]
    profile: Core[Any]


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
        path = self.sim.path
        if self.stage == "ingest":
            in_force = InForce(self.rows.items())
            self.intake: Intake = PassIntake(
                path.reader(),
                self.partition,
                position,
                in_force=in_force,
                steps_max=self.sim.steps_max,
            )
            return
        self.intake = RoundIntake(
            path.identity if self.stage == "identity" else path.profile,
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
            remember(self.rows, self.pending.rows)
            self.pending = None
            return True
        log = self.sim.logs[INPUTS[self.stage].name, self.partition]  # type: ignore[index]
        portion = log[self.read : self.read + self.sim.rng.choice((0, 1, 4, 50))]
        self.read += len(portion)
        self.intake.read(portion)
        self.pending = self.intake.next()
        again = self.intake.read_again_from()
        if again is not None:
            self.read = again
        return bool(portion) or self.pending is not None or again is not None


class Simulation:
    """All actors in a random order, with stalls and crashes, until nothing moves.

    said: (topic, partition) -> what was said to the outside, in order.
    """

    def __init__(
        self, path: Path, partitions: int, source: list[list[MemoryRecord]], seed: int
    ) -> None:
        self.rng = random.Random(seed)
        self.path = path
        self.partitions = partitions
        self.waiting_max = self.rng.choice((WAITING_MAX, 3, 10))
        self.bounds_max = self.rng.choice((BOUNDS_MAX, 2, 10))
        self.steps_max = self.rng.choice((999, 1, 2, 5))
        self.clocks_doubled = self.rng.choice((0, 0.3))
        self.logs: dict[tuple[str, int], list[MemoryRecord]] = defaultdict(list)
        for partition, log in enumerate(source):
            self.logs[STORE_EVENTS.name, partition] = log
        self.said: dict[tuple[str, int], list[bytes]] = defaultdict(list)
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
            if write.topic not in INNER:
                self.said[write.topic, write.partition].append(write.value)
            log = self.logs[write.topic, write.partition]
            times = 1 + (self.rng.random() < self.clocks_doubled and is_clock(write))
            for _ in range(times):
                log.append(MemoryRecord(len(log), write.timestamp, write.key, write.value))

    def rows(self, stage: str) -> dict[bytes, bytes]:
        return {
            key: row
            for actor in self.actors
            if actor.stage == stage
            for key, row in actor.rows.items()
            if is_row_of_a_key(key)
        }


def replayed(path: Path, partitions: int, source: list[list[MemoryRecord]]) -> Replay:
    """The reference, with everything appended and nothing run yet."""
    replay = Replay(partitions, reader=path.reader, identity=path.identity, profile=path.profile)
    for partition, log in enumerate(source):
        for record in log:
            replay.append(
                partition,
                record.value,
                record.timestamp,
                offset=record.offset,
                headers=record.headers,
            )
    return replay


def by_topic(said: list[Write]) -> dict[tuple[str, int], list[bytes]]:
    found: dict[tuple[str, int], list[bytes]] = defaultdict(list)
    for write in said:
        found[write.topic, write.partition].append(write.value)
    return found
