"""The whole path in memory: the very intakes and cores that run live, over a log that is a list.

Comes in: records of `store-events` with their partition, offset and timestamp, ticks and
definitions among them. Goes out: what the public topics would hold, record by record, partition by
partition. Simulation, what-if, property tests and `tillstream replay` use it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from schemas.rows import Position
from schemas.topics import IDENTITY_REQUESTS, PROFILE_UPDATES, STORE_EVENTS
from schemas.values import Instant, Stage
from streams.apply import remember
from streams.core import Core
from streams.intake import INPUTS, Intake, LogRecord, RoundIntake, Work, Write
from streams.passing import PassIntake, ReadEvent, always
from streams.published import is_row_of_a_key
from streams.rounds import WAITING_MAX

STAGES: tuple[Stage, ...] = ("ingest", "identity", "profile")
_INNER = {IDENTITY_REQUESTS.name, PROFILE_UPDATES.name}


class MemoryRecord(NamedTuple):
    """A record of a log in memory."""

    offset: int
    timestamp: Instant
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class _Log:
    """One partition of a topic. What nobody needs any more is let go.

    A place is counted from the first record ever; in the inner topics it is the offset.
    """

    def __init__(self) -> None:
        self._records: list[LogRecord] = []
        self._first = 0
        self.end = 0

    def append(self, record: LogRecord) -> None:
        self._records.append(record)
        self.end += 1

    def since(self, place: int) -> list[LogRecord]:
        return self._records[max(0, place - self._first) :]

    def let_go(self, place: int) -> None:
        """Forget what is before `place`."""
        if place - self._first > 4096:
            del self._records[: place - self._first]
            self._first = place


class _Seat:
    """One partition of one stage: its intake, its rows, how far it has read."""

    def __init__(self, intake: Intake, log: _Log, rows: dict[bytes, bytes]) -> None:
        self.intake, self.log, self.rows = intake, log, rows
        self.read = self.low = 0

    def works(self) -> Iterator[Work]:
        """Do all that may be done now; where the log was the buffer, it is read again."""
        again: int | None = self.read
        while again is not None:
            fresh = self.log.since(again)
            self.read = self.log.end
            if fresh:
                self.intake.read(fresh)
            while (work := self.intake.next()) is not None:
                self.low = work.low
                yield work
            again = self.intake.read_again_from()
        self.log.let_go(self.read if isinstance(self.intake, PassIntake) else self.low)


class Replay:
    """The path in memory.

    partitions: of every topic, as in the deployment that is replayed.
    reader:     makes the reader of a partition of `store-events`.
    identity, profile: the cores, with no definitions adopted.
    is_boundary: whether ingest of partition 0 made a boundary of a tick.
    waiting_max: records that a partition keeps waiting; over that it reads the log again.
    spreads:    as of `RoundIntake`.
    """

    def __init__(
        self,
        partitions: int,
        *,
        reader: Callable[[], ReadEvent],
        identity: Core[Any],
        profile: Core[Any],
        is_boundary: Callable[[Instant], bool] = always,
        waiting_max: int = WAITING_MAX,
        spreads: bool = True,
    ) -> None:
        self.partitions = partitions
        self._logs: dict[tuple[str, int], _Log] = defaultdict(_Log)
        self._said: list[Write] = []
        self._seats: dict[tuple[Stage, int], _Seat] = {}
        for stage in STAGES:
            for partition in range(partitions):
                rows: dict[bytes, bytes] = {}
                position = Position(partitions=partitions)
                intake: Intake
                if stage == "ingest":
                    boundaries = is_boundary if partition == 0 else always
                    intake = PassIntake(reader(), partition, position, is_boundary=boundaries)
                else:
                    core = identity if stage == "identity" else profile
                    intake = RoundIntake(
                        core,
                        partition,
                        position,
                        rows,
                        waiting_max=waiting_max,
                        spreads=spreads,
                    )
                log = self._logs[INPUTS[stage].name, partition]
                self._seats[stage, partition] = _Seat(intake, log, rows)

    def append(
        self,
        partition: int,
        value: bytes | None,
        received_at: Instant,
        *,
        offset: int | None = None,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Add a record to `store-events`; `offset` defaults to the next one of the partition."""
        log = self._logs[STORE_EVENTS.name, partition]
        place = log.end if offset is None else offset
        log.append(MemoryRecord(place, received_at, key, value, headers))

    def run(self) -> list[Write]:
        """Run all rounds that may run; returns what was said to the outside since the last call.

        Within a topic and partition the order is that of the live path.
        """
        moved = True
        while moved:
            moved = False
            for seat in self._seats.values():
                for work in seat.works():
                    moved = True
                    remember(seat.rows, work.rows)
                    self._deliver(work.writes)
        said, self._said = self._said, []
        return said

    def _deliver(self, writes: Sequence[Write]) -> None:
        for write in writes:
            if write.topic in _INNER:
                log = self._logs[write.topic, write.partition]
                log.append(MemoryRecord(log.end, write.timestamp, write.key, write.value))
            else:
                self._said.append(write)

    def wake_until(self, instant: Instant | None) -> None:
        """Let no timer run that is due after `instant`: the end of the replay."""
        for seat in self._seats.values():
            if isinstance(seat.intake, RoundIntake):
                seat.intake.wakes_until = instant

    def next_wake(self) -> Instant | None:
        """The earliest instant at which time alone changes something."""
        heads = (
            seat.intake.timers.peek()
            for seat in self._seats.values()
            if isinstance(seat.intake, RoundIntake)
        )
        return min((head[0] for head in heads if head is not None), default=None)

    @property
    def has_late(self) -> bool:
        """Late messages wait for their boundary."""
        return any(
            seat.intake.rounds.has_late
            for seat in self._seats.values()
            if isinstance(seat.intake, RoundIntake)
        )

    def rows(self, stage: Stage) -> Iterator[tuple[int, bytes, bytes]]:
        """(partition, key, row) of a stage's table, positions and definitions left out."""
        for (of, partition), seat in self._seats.items():
            if of == stage:
                yield from (
                    (partition, key, blob)
                    for key, blob in seat.rows.items()
                    if is_row_of_a_key(key)
                )
