"""From what a partition has read to the next transaction: the pure half of the station loop.

An intake is handed records as they are read and answers with work: what to write to which topic,
which rows to keep and the position that covers both. The shell writes it in one transaction and
says so; the replay writes it to lists. Identity and profile apply what they read round by round,
here; ingest passes it on with the ticks (streams/passing.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, cast
from zlib import crc32

import msgspec

from schemas.outputs import ClockStruck
from schemas.records import (
    INNER_SCHEMA,
    Body,
    Clock,
    Late,
    Passed,
    Switching,
)
from schemas.rows import (
    POSITION_KEY,
    DefinitionsRow,
    Position,
)
from schemas.topics import (
    CONSENT,
    DEAD_LETTERS,
    IDENTITY_REQUESTS,
    PROFILE_UPDATES,
    SEND_COMMANDS,
    STORE_EVENTS,
    TIMELINE,
    Topic,
)
from schemas.values import LATE, Instant, Stage, Turn
from streams.apply import SLICE_MAX, ChangedRow, Emitted, Failed, Slice, Timers, play
from streams.core import BACK, NEXT, PEER, Core, RowT
from streams.definitions.switch import marked
from streams.instants import to_timestamp
from streams.published import InForce, concerns_rows, count_rows, is_row_of_a_key, kept
from streams.rounds import BOUNDS_MAX, WAITING_MAX, Rounds
from streams.visits import Visits, plan_visits

INPUTS: Mapping[Stage, Topic] = {
    "ingest": STORE_EVENTS,
    "identity": IDENTITY_REQUESTS,
    "profile": PROFILE_UPDATES,
}
"""stage -> the topic it reads."""

_PUBLIC_CLOCK: Mapping[Stage, Topic] = {"identity": CONSENT, "profile": SEND_COMMANDS}
_LAG = {PEER: 1, BACK: 2}

_pack = msgspec.msgpack.Encoder().encode
_to_json = msgspec.json.Encoder().encode


class LogRecord(Protocol):
    """A record as Kafka's client hands it over."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Write(msgspec.Struct, frozen=True, gc=False):
    """A record to be written: `topic` without namespace, timestamp in milliseconds. value: None
    takes away what a compacted topic has under this key.
    """

    topic: str
    partition: int
    key: bytes
    value: bytes | None
    timestamp: Instant
    headers: tuple[tuple[str, bytes], ...] = ()


class Work(NamedTuple):
    """One transaction: all of it becomes visible, or none.

    rows:  changed rows of the station's table, the partition's position last.
    low:   the lowest offset still needed after it: what may be acknowledged.
    steps: how many records and timers it holds; clock: the boundary it completes, if it does.
    failures: of them, those that were set aside.
    """

    writes: list[Write]
    rows: list[ChangedRow]
    low: int
    steps: int
    clock: Instant | None
    failures: int


class Intake(Protocol):
    """What the station loop drives."""

    def read(self, records: Iterable[LogRecord]) -> None:
        """Take what was read from the partition's log, in its order."""
        ...

    def next(self) -> Work | None:
        """The next transaction, or None until more is read. Ask again when it is written."""
        ...

    def read_again_from(self) -> int | None:
        """Where the log has to be read again from, because it was the buffer; else None."""
        ...


class Rows(Protocol):
    """The rows of one partition, for reading."""

    def get(self, key: bytes, /) -> bytes | None: ...
    def items(self) -> Iterable[tuple[bytes, bytes]]: ...
    def keys(self) -> Iterable[bytes]: ...


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key in every topic that a station writes."""
    return crc32(key.encode()) % partitions


class RoundIntake(Generic[RowT]):
    """Identity and profile: what was read is applied round by round.

    rows:    of this partition, by key; they must show what was written with the work before. The
             timers are made from them, at first and when definitions are adopted.
    spreads: whether many rows are visited little by little; a replay without a log need not wait.
    """

    def __init__(
        self,
        core: Core[RowT],
        partition: int,
        position: Position,
        rows: Rows,
        *,
        waiting_max: int = WAITING_MAX,
        bounds_max: int = BOUNDS_MAX,
        steps_max: int = SLICE_MAX,
        spreads: bool = True,
    ) -> None:
        self._spreads = spreads
        self.core, self._partition, self._rows = core, partition, rows
        self._partitions, self._steps_max = position.partitions, steps_max
        self.rounds = Rounds(
            core.stage,
            position.partitions,
            position,
            waiting_max=waiting_max,
            bounds_max=bounds_max,
        )
        self.timers = Timers()
        self._in_force = InForce(rows.items())
        for row in self._in_force.rows:
            self.core = self.core.adopt(row)
        self.wakes_until: Instant | None = None
        self._again: int | None = None
        self._visits: Visits | None = None
        self._set_timers()

    def _set_timers(self) -> None:
        core = self.core
        if not core.has_timers:
            return
        for key, blob in self._rows.items():
            if is_row_of_a_key(key):
                self.timers.set(key.decode(), core.wake_at(core.decode(blob)))

    def _set_visits(self, visits: Visits) -> None:
        """Every row is due when it is visited, at the latest. Many are not read for that."""
        if not visits.over:
            self._set_timers()
            return
        for key in self._rows.keys():  # noqa: SIM118 - rows on disk are no dictionary
            if is_row_of_a_key(key):
                name = key.decode()
                self.timers.hasten(name, visits.of(name))

    def read(self, records: Iterable[LogRecord]) -> None:
        read = self.rounds.read
        for record in records:
            assert record.value is not None, "inner topics carry no empty records"
            read(record.offset, (record.key or b"").decode(), record.value)

    def next(self) -> Work | None:
        if self._visits is not None:  # now that the rows show what was written before it
            self._set_visits(self._visits)
            self._visits = None
        window = self.rounds.ready()
        if window is None:
            if self.rounds.starving:
                self._again = self.rounds.read_again()
            return None
        piece = play(
            self.core,
            self._rows.get,
            self.rounds,
            self.timers,
            window,
            steps_max=self._steps_max,
            wakes_until=self.wakes_until,
        )
        whole = window.limit == (window.bound, LATE, ())
        finished = window.bound if piece.over and whole else None
        if piece.over and finished is None and not piece.steps:
            self._again = self.rounds.read_again()
            return None
        position = self.rounds.applied(piece.turn, finished)
        work = self._work(piece, window.bound, finished, position)
        if piece.adopted is not None:
            self._switch(piece.adopted, piece.turn, work)
        if piece.hastened:
            self.core = self.core.hastened()
            self._visits = Visits()
        return work

    def _switch(self, said: Switching, turn: Turn, work: Work) -> None:
        """Change what is in force; its row and what is said of it go with the work."""
        instant, kind, origin = turn
        before = self._in_force.definitions.get(said.store)
        row = self._in_force.take(said, origin)
        if isinstance(row, DefinitionsRow) and self.core.has_timers and concerns_rows(before, row):
            rows = count_rows(self._rows.keys(), work.rows) if self._spreads else 0
            self._visits = plan_visits(instant, rows)
            row = self._in_force.visit(row, self._visits)
        self.core = self.core.adopt(row)
        work.rows.insert(0, kept(row))
        if self.core.stage == "identity":
            passed = Passed(INNER_SCHEMA, instant, kind, (*origin, 0), said)
            write = Write(PROFILE_UPDATES.name, self._partition, b"", _pack(passed), instant)
            work.writes.insert(0, write)
        elif isinstance(row, DefinitionsRow) and row.filling and row.origin == origin:
            key, value = b"definitions/" + said.store.encode(), _to_json(marked(row))
            write = Write(TIMELINE.name, self._partition, key, value, instant)
            work.writes.append(write)

    def read_again_from(self) -> int | None:
        again, self._again = self._again, None
        return again

    def _work(
        self, piece: Slice, bound: Instant, finished: Instant | None, position: Position
    ) -> Work:
        writes = [self._write(emitted, bound) for emitted in piece.emitted]
        writes += [self._dead_letter(failed) for failed in piece.failed]
        if finished is not None:
            writes += self._clocks(finished)
        rows: list[ChangedRow] = [*piece.rows, (POSITION_KEY % self._partition, _pack(position))]
        return Work(writes, rows, position.low, piece.steps, finished, piece.set_aside)

    def _write(self, emitted: Emitted, bound: Instant) -> Write:
        instant, origin = emitted.instant, emitted.origin
        to, key, record = emitted.output.to, emitted.output.key, emitted.output.record
        if to != NEXT and to not in _LAG:
            value = None if record is None else _to_json(record)
            return Write(to, self._partition, key.encode(), value, instant)
        body = cast(Body, record)
        if to == NEXT:
            topic = PROFILE_UPDATES
            value = _pack(Passed(INNER_SCHEMA, instant, emitted.kind, origin, body))
        else:
            topic = INPUTS[self.core.stage] if to == PEER else IDENTITY_REQUESTS
            value = _pack(Late(INNER_SCHEMA, bound, _LAG[to], origin, body))
        partition = partition_of(key, self._partitions)
        return Write(topic.name, partition, key.encode(), value, instant)

    def _clocks(self, at: Instant) -> list[Write]:
        """To whoever hears this stage: both inner topics, and those who read what it says."""
        stage, partition = self.core.stage, self._partition
        value = _pack(Clock(INNER_SCHEMA, stage, partition, at))
        clocks = [
            Write(topic.name, number, b"", value, at)
            for topic in (IDENTITY_REQUESTS, PROFILE_UPDATES)
            for number in range(self._partitions)
        ]
        struck = _to_json(ClockStruck(partition=partition, at=to_timestamp(at)))
        key = b"clock/%d" % partition
        clocks.append(Write(_PUBLIC_CLOCK[stage].name, partition, key, struck, at))
        return clocks

    def _dead_letter(self, failed: Failed) -> Write:
        """The record whose step raised (nothing, where a timer did) and why, in the headers."""
        headers = (
            ("station", self.core.stage.encode()),
            ("reason", failed.reason.encode()),
            ("topic", INPUTS[self.core.stage].name.encode()),
            ("partition", b"%d" % self._partition),
            ("offset", b"" if failed.offset is None else b"%d" % failed.offset),
        )
        return Write(
            DEAD_LETTERS.name,
            self._partition,
            failed.key.encode(),
            failed.value or b"",
            failed.turn[0],
            headers,
        )
