"""From what a partition has read to the next transaction: the pure half of the station loop.

An intake is handed records as they are read and answers with work: what to write to which topic,
which rows to keep and the position that covers both. The shell writes it in one transaction and
says so (`done`); the replay writes it to lists. Ingest passes on what it reads with the ticks;
identity and profile apply it round by round.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, cast
from zlib import crc32

import msgspec

from schemas.events import RejectedEvent
from schemas.outputs import ClockStruck
from schemas.records import (
    INNER_SCHEMA,
    Backfilled,
    Body,
    Clock,
    DefinitionsFilled,
    DefinitionsPublished,
    ErasureAsked,
    Late,
    Passed,
    PopulationMeasured,
    SendsStopped,
    Switching,
)
from schemas.rows import (
    POSITION_KEY,
    DefinitionsRow,
    Position,
)
from schemas.splits import EventsTold, SplitAsked
from schemas.topics import (
    CONSENT,
    DEAD_LETTERS,
    DEFINITIONS,
    IDENTITY_REQUESTS,
    PROFILE_UPDATES,
    SEND_COMMANDS,
    STORE_EVENTS,
    STORE_EVENTS_REJECTED,
    TIMELINE,
    Topic,
)
from schemas.values import LATE, RECORD, Instant, Origin, Stage, StoreId, Turn
from streams.apply import SLICE_MAX, ChangedRow, Failed, Said, Slice, Timers, play
from streams.core import BACK, NEXT, PEER, Core, RowT
from streams.definitions.switch import marked, stated
from streams.ingest.arrived import arrived
from streams.ingest.control import key_in
from streams.ingest.records import Read, Tick
from streams.instants import to_timestamp
from streams.published import InForce, concerns_rows, count_rows, is_row_of_a_key, kept
from streams.rounds import BOUNDS_MAX, WAITING_MAX, Rounds
from streams.sends.stops import Switch
from streams.visits import Visits, plan_visits

INPUTS: Mapping[Stage, Topic] = {
    "ingest": STORE_EVENTS,
    "identity": IDENTITY_REQUESTS,
    "profile": PROFILE_UPDATES,
}
"""stage -> the topic it reads."""

BATCH_BYTES_MAX = 4 << 20
"""Of what ingest reads for a transaction; the last record may go beyond."""

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


# --- ingest --------------------------------------------------------------------------------------


class ReadEvent(Protocol):
    """Reads one record of `store-events` (streams/ingest/read.py, bound to its settings)."""

    def __call__(self, record: LogRecord, received_at: Instant) -> Read: ...

    def adopt(self, published: DefinitionsPublished) -> None: ...


def always(_: Instant) -> bool:
    """Whatever the instant."""
    return True


class _Batch:
    """What ingest passes on in one transaction: of up to `steps_max` records.

    bytes: of what was read for it. clock: as in `Work`.
    """

    def __init__(self, steps_max: int) -> None:
        self._steps_max = steps_max
        self.writes: list[Write] = []
        self.rows: list[ChangedRow] = []
        self.steps = self.bytes = 0
        self.clock: Instant | None = None
        self.has_tick = False

    @property
    def is_full(self) -> bool:
        return self.steps >= self._steps_max or self.bytes >= BATCH_BYTES_MAX


class PassIntake:
    """Ingest: what is valid goes on to identity, what is not to `store-events-rejected`.

    A record is read at once and passed on with the next tick, or when a batch is full: before its
    tick nobody could apply it, and a transaction for each fetch would cost more than the records.

    The rows of all addresses whose consent an event may be about are told at its own turn.

    can_be_true: whether a broker's timestamp can be; in live namespaces the shell looks at its
                 watch. One that cannot be moves no time: its record counts as received with what
                 was before it.
    is_boundary: whether a tick makes a boundary, by its instant: while the path lags the shell
                 leaves some out; the replay of a live log asks what the log says.
    in_force:    what the stores have published, as the partition's rows say.
    """

    def __init__(
        self,
        reader: ReadEvent,
        partition: int,
        position: Position,
        *,
        can_be_true: Callable[[Instant], bool] = always,
        is_boundary: Callable[[Instant], bool] = always,
        in_force: InForce | None = None,
        steps_max: int = SLICE_MAX,
    ) -> None:
        self._reader, self._partition = reader, partition
        self._in_force = InForce() if in_force is None else in_force
        for row in self._in_force.definitions.values():
            reader.adopt(row.published)
        self._can_be_true, self._is_boundary = can_be_true, is_boundary
        self._partitions = position.partitions
        self._received_at, self._next = position.received_at, position.offset
        self._read: deque[LogRecord] = deque()
        self._steps_max, self._batch = steps_max, _Batch(steps_max)
        self.clock: Instant = 0
        self.disbelieved = 0

    def read(self, records: Iterable[LogRecord]) -> None:
        self._read.extend(record for record in records if record.offset >= self._next)

    def next(self) -> Work | None:
        batch = self._batch
        while self._read and not batch.is_full:
            self._take(self._read.popleft())
        if not (batch.has_tick or batch.is_full):
            return None
        self._batch = _Batch(self._steps_max)
        batch.rows.append((POSITION_KEY % self._partition, _pack(self._position())))
        return Work(batch.writes, batch.rows, self._next, batch.steps, batch.clock, 0)

    def _take(self, record: LogRecord) -> None:
        batch = self._batch
        batch.steps += 1
        batch.bytes += len(record.value or b"")
        self._next = record.offset + 1
        is_possible = self._can_be_true(record.timestamp)
        if is_possible:
            self._received_at = max(self._received_at, record.timestamp)
        at = self._received_at
        said = self._in_sequence(self._reader(record, at))
        origin = (at, self._partition, record.offset)
        if isinstance(said, tuple) and not isinstance(said, Tick):
            batch.writes += [
                self._pass_on(key, body, (*origin, *place), None)
                for key, body, place in arrived(*said)
            ]
        elif isinstance(said, Tick):
            batch.has_tick = True
            if not is_possible:
                self.disbelieved += 1
            elif self._is_boundary(at):
                batch.clock = self.clock = at - 1
                batch.writes += self._clocks(self.clock)
        elif isinstance(said, RejectedEvent):
            batch.writes.append(_rejected(record, said, self._partition, at))
        elif isinstance(said, ErasureAsked | SplitAsked | Backfilled | EventsTold):
            batch.writes.append(self._pass_on(key_in(said), said, origin, None))
        elif self._can_take(said):
            body = self._in_force.switched(said, at) if isinstance(said, Switch) else said
            batch.rows.append(self._switch(body, origin))
            if self._partition == 0:
                every = range(self._partitions)
                batch.writes += [self._pass_on("", body, (*origin, p), p) for p in every]
                if not isinstance(body, SendsStopped | PopulationMeasured):
                    batch.writes.append(self._state(body.store, at))

    def read_again_from(self) -> int | None:
        return None

    def _in_sequence(self, said: Read) -> Read:
        """What was read, or why it is out of its store's sequence."""
        if isinstance(said, DefinitionsPublished | PopulationMeasured | Switch):
            return self._in_force.out_of_sequence(said) or said
        return said

    def _can_take(self, said: Switching | Switch) -> bool:
        """What changes definitions needs some."""
        changes = isinstance(said, DefinitionsFilled | PopulationMeasured)
        return not changes or said.store in self._in_force.definitions

    def _switch(self, said: Switching, origin: Origin) -> tuple[bytes, bytes]:
        """Take up what was published. Returns: the row that keeps it."""
        row = self._in_force.take(said, origin)
        if not isinstance(said, SendsStopped):
            row = self._in_force.count(said)
            self._reader.adopt(row.published)
        return kept(row)

    def _state(self, store: StoreId, at: Instant) -> Write:
        """Say what is in force, for who asks without reading the log."""
        value = _to_json(stated(self._in_force.definitions[store]))
        return Write(DEFINITIONS.name, self._partition, store.encode(), value, at)

    def _pass_on(
        self, key: str, body: Body, origin: tuple[int, ...], partition: int | None
    ) -> Write:
        passed = Passed(INNER_SCHEMA, origin[0], RECORD, origin, body)
        to = partition_of(key, self._partitions) if partition is None else partition
        return Write(IDENTITY_REQUESTS.name, to, key.encode(), _pack(passed), origin[0])

    def _clocks(self, at: Instant) -> list[Write]:
        value = _pack(Clock(INNER_SCHEMA, "ingest", self._partition, at))
        return [
            Write(IDENTITY_REQUESTS.name, partition, b"", value, at)
            for partition in range(self._partitions)
        ]

    def _position(self) -> Position:
        return Position(
            offset=self._next,
            low=self._next,
            received_at=self._received_at,
            partitions=self._partitions,
        )


def _rejected(record: LogRecord, why: RejectedEvent, partition: int, at: Instant) -> Write:
    """The original bytes; why they were rejected is in the headers."""
    headers = [
        ("reason", why.reason.encode()),
        ("detail", why.detail.encode(errors="backslashreplace")),
        ("field", (why.field or "").encode(errors="backslashreplace")),
        ("position", b"" if why.position is None else b"%d" % why.position),
        ("topic", STORE_EVENTS.name.encode()),
        ("partition", b"%d" % partition),
        ("offset", b"%d" % record.offset),
    ]
    return Write(
        STORE_EVENTS_REJECTED.name,
        partition,
        record.key or b"",
        record.value or b"",
        at,
        tuple(headers),
    )


# --- identity and profile ------------------------------------------------------------------------


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
        writes = [self._write(said, bound) for said in piece.said]
        writes += [self._dead_letter(failed) for failed in piece.failed]
        if finished is not None:
            writes += self._clocks(finished)
        rows: list[ChangedRow] = [*piece.rows, (POSITION_KEY % self._partition, _pack(position))]
        return Work(writes, rows, position.low, piece.steps, finished, piece.set_aside)

    def _write(self, said: Said, bound: Instant) -> Write:
        instant, origin = said.instant, said.origin
        to, key, record = said.output.to, said.output.key, said.output.record
        if to != NEXT and to not in _LAG:
            value = None if record is None else _to_json(record)
            return Write(to, self._partition, key.encode(), value, instant)
        body = cast(Body, record)
        if to == NEXT:
            topic = PROFILE_UPDATES
            value = _pack(Passed(INNER_SCHEMA, instant, said.kind, origin, body))
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
