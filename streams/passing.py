"""Ingest: what a partition of `store-events` has read, passed on with the ticks."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from schemas.events import RejectedEvent
from schemas.records import (
    INNER_SCHEMA,
    Backfilled,
    Body,
    Clock,
    DefinitionsFilled,
    DefinitionsPublished,
    ErasureAsked,
    Passed,
    PopulationMeasured,
    SendsStopped,
    Switching,
)
from schemas.rows import POSITION_KEY, Position
from schemas.splits import EventsTold, SplitAsked
from schemas.topics import DEFINITIONS, IDENTITY_REQUESTS, STORE_EVENTS, STORE_EVENTS_REJECTED
from schemas.values import RECORD, Instant, Origin, StoreId
from streams.apply import SLICE_MAX, ChangedRow
from streams.definitions.switch import stated
from streams.ingest.arrived import arrived
from streams.ingest.control import key_in
from streams.ingest.records import Control, Read, Tick
from streams.intake import LogRecord, Work, Write, partition_of
from streams.published import InForce, kept
from streams.sends.stops import Switch

BATCH_BYTES_MAX = 4 << 20
"""Of what ingest reads for a transaction; the last record may go beyond."""

_pack = msgspec.msgpack.Encoder().encode
_to_json = msgspec.json.Encoder().encode


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
    def is_whole(self) -> bool:
        """It ends with its tick, or full: where it ends depends on the log, not on what is read at
        once.
        """
        is_full = self.steps >= self._steps_max or self.bytes >= BATCH_BYTES_MAX
        return self.has_tick or is_full


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
        while self._read and not batch.is_whole:
            self._take(self._read.popleft())
        if not batch.is_whole:
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
        said = self._reader(record, at)
        origin = (at, self._partition, record.offset)
        if isinstance(said, Tick):
            self._take_tick(at, is_possible=is_possible)
        elif isinstance(said, tuple):
            batch.writes += [
                self._pass_on(key, body, (*origin, *place), None)
                for key, body, place in arrived(*said)
            ]
        else:
            self._take_other(record, self._in_sequence(said), origin)

    def _take_tick(self, at: Instant, *, is_possible: bool) -> None:
        batch = self._batch
        batch.has_tick = True
        if not is_possible:
            self.disbelieved += 1
        elif self._is_boundary(at):
            batch.clock = self.clock = at - 1
            batch.writes += self._clocks(self.clock)

    def _take_other(self, record: LogRecord, said: RejectedEvent | Control, origin: Origin) -> None:
        batch, at = self._batch, origin[0]
        if isinstance(said, RejectedEvent):
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

    def _in_sequence(self, said: RejectedEvent | Control) -> RejectedEvent | Control:
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
