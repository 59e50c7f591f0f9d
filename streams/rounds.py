"""The order in which a partition of identity or profile applies what it reads.

Comes in: records of the partition's log, as read. Goes out: rounds, in the order of turns, so that
what a partition does depends on `store-events` alone, not on lag, batches, restarts or which source
was read first (docs/architecture.md, Rounds).

The ticks of source partition 0 end the rounds of every partition; those of other partitions only
permit them. Round n holds the turns in [(b[n-1], LATE), (b[n], LATE)). It may run when every source
has been heard: the stage before up to b[n], the own stage (this partition too) up to b[n-1], the
stage behind up to b[n-2]. Late messages open the round `lag` boundaries after the one in which they
were sent, whenever they arrive.
"""

import heapq
from collections import deque
from typing import Final, NamedTuple, TypeAlias

import msgspec

from schemas.records import INNER_SCHEMA, Clock, Late, Passed
from schemas.rows import POSITION_SCHEMA, Position
from schemas.values import LATE, Instant, Origin, Stage, Turn
from streams.versions import NewerSchema

LAGS: Final[dict[Stage, dict[Stage, int]]] = {
    "identity": {"ingest": 0, "identity": 1, "profile": 2},
    "profile": {"identity": 0, "profile": 1},
}
"""stage -> the stages it hears, and how many boundaries each may be behind."""

BEFORE: Final[dict[Stage, Stage]] = {"identity": "ingest", "profile": "identity"}

WAITING_MAX = 200_000
"""How many records a partition keeps waiting; beyond that the log itself is the buffer."""

BYTES_MAX = 256 << 20
BOUNDS_MAX = 100_000

END: Final[Turn] = (1 << 62, LATE, ())


class BrokenPromise(Exception):
    """A record came after a clock had said that it could not come any more. Nothing may go on."""


class WaitingRecord(msgspec.Struct, frozen=True, gc=False):
    """A record that waits for its turn; `body`, a part of `value`, is decoded only then."""

    turn: Turn
    offset: int
    key: str
    body: msgspec.Raw
    value: bytes


_Place: TypeAlias = tuple[Instant, int, Origin, int, WaitingRecord]
"""A waiting record behind its turn, laid flat, and its offset: compared often, and mostly by the
instant alone.
"""


class _LateMessage(msgspec.Struct, frozen=True, gc=False):
    after: Instant
    lag: int
    origin: Origin
    offset: int
    key: str
    body: msgspec.Raw
    value: bytes


class Round(NamedTuple):
    """What may be applied now: waiting records with turns in [start, limit).

    bound: the boundary that ends the round; `limit` is before it while records were forgotten.
    """

    start: Turn
    limit: Turn
    bound: Instant


class RawPassed(Passed, frozen=True, tag="passed"):
    """`Passed` with its body left encoded."""

    body: msgspec.Raw  # type: ignore[assignment]


class RawLate(Late, frozen=True, tag="late"):
    """`Late` with its body left encoded."""

    body: msgspec.Raw  # type: ignore[assignment]


_decode = msgspec.msgpack.Decoder(RawPassed | RawLate | Clock).decode
_position = msgspec.msgpack.Decoder(Position).decode


def load_position(blob: bytes | None, partitions: int) -> Position:
    """The position as it was kept, or the beginning.

    Raises: ValueError where the partition count has changed; NewerSchema.
    """
    if blob is None:
        return Position(partitions=partitions)
    position = _position(blob)
    if position.schema > POSITION_SCHEMA:
        raise NewerSchema(f"a position of schema {position.schema}; known is {POSITION_SCHEMA}")
    if position.partitions != partitions:
        raise ValueError(
            f"its input had {position.partitions} partitions and now has {partitions}: a change of "
            "the number of partitions is a migration"
        )
    return position


class Rounds:
    """What one partition has read and not yet applied.

    position: as loaded with the rows; what it covers is skipped when it is read again.
    waiting_max, bytes_max, bounds_max: bounds on memory; over one of them the largest turns are
    forgotten, only smaller ones are applied, and the log is read again from `position.low`. Late
    messages that wait for their boundary are bounded in the same way, by themselves.
    """

    def __init__(
        self,
        stage: Stage,
        partitions: int,
        position: Position,
        *,
        waiting_max: int = WAITING_MAX,
        bytes_max: int = BYTES_MAX,
        bounds_max: int = BOUNDS_MAX,
    ) -> None:
        self.partitions = partitions
        self._heap: list[_Place] = []
        self._lags = {
            f"{source}/{number}": lag
            for source, lag in LAGS[stage].items()
            for number in range(partitions)
        }
        self._metronome = f"{BEFORE[stage]}/0"
        self._waiting_max, self._bytes_max = waiting_max, bytes_max
        self._bounds_max = bounds_max
        self._done = position.done
        self._turn = position.turn
        self._known = position.offset
        self._low = position.low
        self._front = position.offset
        self._heard = dict.fromkeys(self._lags, 0) | position.heard
        self._restart(position.low)

    def _restart(self, offset: int) -> None:
        """Forget all that waits: the log is read (again) from `offset`."""
        self._heap.clear()
        self._late: list[_LateMessage] = []
        self._late_bytes = 0
        self._late_forgotten: dict[int, Instant] = {}
        self._bounds: deque[tuple[Instant, int]] = deque()
        self._horizon = END
        self._forgotten: int | None = None
        self._bounds_forgotten = False
        self._bytes = 0
        self._next = offset
        self._reading: deque[int] = deque()
        self._open: set[int] = set()

    # --- reading -------------------------------------------------------------------------------

    def read(self, offset: int, key: str, value: bytes) -> None:
        """Take a record of the log; offsets grow (transaction markers leave holes).

        Raises: BrokenPromise where its turn is over though it was never read before; NewerSchema.
        """
        record = _decode(value)
        if record.schema > INNER_SCHEMA:
            raise NewerSchema(f"a record of schema {record.schema}; known is {INNER_SCHEMA}")
        self._next = offset + 1
        self._front = max(self._front, self._next)
        if type(record) is RawPassed:
            self._read_passed(offset, key, record, value)
        elif type(record) is Clock:
            self._read_clock(offset, record)
        else:
            assert type(record) is RawLate
            self._read_late(offset, key, record, value)

    def _read_passed(self, offset: int, key: str, record: RawPassed, value: bytes) -> None:
        turn = (record.instant, record.kind, record.origin)
        if turn <= self._turn:
            if offset >= self._known:
                raise BrokenPromise(f"{turn} came at offset {offset}, after {self._turn} was done")
            return
        if turn >= self._horizon:
            self._forget(offset)
            return
        self._push(WaitingRecord(turn, offset, key, record.body, value))
        self._keep(offset)
        if len(self._heap) > self._waiting_max or self._bytes > self._bytes_max:
            self._forget_largest()

    def _read_late(self, offset: int, key: str, record: RawLate, value: bytes) -> None:
        after, lag = record.after, record.lag
        place = (self._done[-1], LATE, record.origin)
        if after <= self._done[-lag - 1] or (after <= self._done[-lag] and place <= self._turn):
            return  # applied before
        if after <= self._done[-lag] and place >= self._horizon:
            self._forget(offset)
            return
        message = _LateMessage(after, lag, record.origin, offset, key, record.body, value)
        self._late.append(message)
        self._late_bytes += len(value)
        self._keep(offset)
        if len(self._late) > self._waiting_max or self._late_bytes > self._bytes_max:
            self._forget_latest()

    def _forget_latest(self) -> None:
        """Keep the half of the late messages that is applied first.

        Those of the round that is next have their turns, so the horizon keeps the order; the log is
        read again before a round of which others were forgotten.
        """
        done = self._done

        def place(one: _LateMessage) -> tuple[bool, Instant, Origin]:
            waits = one.after > done[-one.lag]
            return waits, one.after if waits else 0, one.origin

        self._late.sort(key=place)  # those of the next round by their turns, whatever their lag
        half = max(1, len(self._late) // 2)
        for message in self._late[half:]:
            self._open.discard(message.offset)
            self._forget(message.offset)
            if message.after <= done[-message.lag]:
                self._horizon = min(self._horizon, (done[-1], LATE, message.origin))
            else:
                known = self._late_forgotten.get(message.lag, message.after)
                self._late_forgotten[message.lag] = min(known, message.after)
        del self._late[half:]
        self._late_bytes = sum(len(message.value) for message in self._late)

    def _read_clock(self, offset: int, clock: Clock) -> None:
        source = f"{clock.stage}/{clock.partition}"
        if clock.at <= self._heard[source] and source != self._metronome:
            return
        self._heard[source] = max(self._heard[source], clock.at)
        last = self._bounds[-1][0] if self._bounds else self._done[-1]
        if source != self._metronome or clock.at <= last:
            return
        if self._bounds_forgotten or len(self._bounds) >= self._bounds_max:
            if not self._bounds_forgotten:
                self._horizon = min(self._horizon, (last, LATE, ()))
            self._bounds_forgotten = True
            self._forget(offset)
            return
        self._bounds.append((clock.at, offset))
        self._keep(offset)

    def _push(self, record: WaitingRecord) -> None:
        heapq.heappush(self._heap, (*record.turn, record.offset, record))
        self._bytes += len(record.value)

    def _keep(self, offset: int) -> None:
        self._open.add(offset)
        self._reading.append(offset)

    def _forget(self, offset: int) -> None:
        if self._forgotten is None or offset < self._forgotten:
            self._forgotten = offset

    def _forget_largest(self) -> None:
        """Keep the smaller half of the turns; the rest is read again when its turn nears."""
        self._heap.sort()
        half = max(1, len(self._heap) // 2)
        for *_, offset, _ in self._heap[half:]:
            self._open.discard(offset)
            self._forget(offset)
        self._horizon = min(self._horizon, self._heap[half][-1].turn)
        del self._heap[half:]
        self._bytes = sum(len(record.value) for *_, record in self._heap)

    # --- running -------------------------------------------------------------------------------

    def ready(self) -> Round | None:
        """The round that may run now, or None until more has been read."""
        if not self._bounds or self._next < self._front or self.starving:
            return None
        bound = self._bounds[0][0]
        ends = (*self._done, bound)
        heard = self._heard
        if any(heard[source] < ends[-1 - lag] for source, lag in self._lags.items()):
            return None
        self._admit_late()
        start = max(self._turn, (self._done[-1], LATE, ()))
        return Round(start, min((bound, LATE, ()), self._horizon), bound)

    def _admit_late(self) -> None:
        """Late messages whose boundary has come open the round, in the order of origin."""
        done = self._done
        staying = []
        for message in self._late:
            if message.after > done[-message.lag]:
                staying.append(message)
                continue
            turn = (done[-1], LATE, message.origin)
            self._push(
                WaitingRecord(turn, message.offset, message.key, message.body, message.value)
            )
            self._late_bytes -= len(message.value)
        self._late = staying

    @property
    def starving(self) -> bool:
        """Nothing can go on with what was not forgotten: the log has to be read again."""
        if self._next < self._front:
            return False
        late = self._late_forgotten.items()
        return (self._bounds_forgotten and not self._bounds) or any(
            after <= self._done[-lag] for lag, after in late
        )

    def read_again(self) -> int:
        """Start over at the lowest offset still needed; returns it."""
        self._restart(self._low)
        return self._low

    def next_turn(self) -> Turn | None:
        """The smallest turn that waits."""
        return self._heap[0][:3] if self._heap else None

    def peek(self) -> WaitingRecord:
        """The record with the smallest turn."""
        record: WaitingRecord = self._heap[0][-1]
        return record

    def pop(self) -> WaitingRecord:
        """Take the record with the smallest turn."""
        record = heapq.heappop(self._heap)[-1]
        self._open.discard(record.offset)
        self._bytes -= len(record.value)
        return record

    def applied(self, turn: Turn, finished: Instant | None, received_at: Instant = 0) -> Position:
        """Note that all up to `turn` is applied (`finished`: the boundary that was reached)."""
        self._turn = turn
        if finished is not None:
            self._done = (*self._done[1:], finished)
            self._turn = (finished, LATE, ())
            _, offset = self._bounds.popleft()
            self._open.discard(offset)
        while self._reading and self._reading[0] not in self._open:
            self._reading.popleft()
        low = self._reading[0] if self._reading else self._next
        self._low = low if self._forgotten is None else min(low, self._forgotten)
        self._known = max(self._known, self._next)
        return Position(
            schema=POSITION_SCHEMA,
            done=self._done,
            turn=self._turn,
            offset=max(self._front, self._known),
            low=self._low,
            heard=dict(self._heard),
            received_at=received_at,
            partitions=self.partitions,
        )

    # --- figures -------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many records wait for their turn."""
        return len(self._heap)

    @property
    def clock(self) -> Instant:
        """The last boundary done: the `now` of this partition."""
        return self._done[-1]

    @property
    def has_late(self) -> bool:
        """Late messages were read that wait for their boundary."""
        return bool(self._late)

    def held_back_by(self) -> tuple[str, Instant]:
        """The source that was heard least far, and how far: who holds time back."""
        return min(self._heard.items(), key=lambda item: (item[1], item[0]))
