"""What a core does to the rows of one partition: a slice of a round, timers merged in.

`play` is all of it: same rows, same records, same limit, same result. Neither the shell nor the
replay does anything else to a row.
"""

import heapq
from collections.abc import Callable, Iterable, MutableMapping
from typing import Generic, NamedTuple, TypeAlias

import msgspec

from schemas.records import (
    Absorb,
    Accept,
    Body,
    DefinitionsFilled,
    DefinitionsPublished,
    Erased,
    ErasureAsked,
    Merge,
    Moved,
    PopulationMeasured,
    Propose,
    Refuse,
    Retired,
    Switching,
    Withdraw,
)
from schemas.splits import Parted, SplitAsked, SplitOff
from schemas.values import TIMER, Instant, Origin, Turn
from streams.core import ROW, ROW_BYTES_MAX, Core, Output, PartRaised, RowT
from streams.ids import key_number
from streams.rounds import Round, Rounds, WaitingRecord

SLICE_MAX = 2_000
"""Most steps of one transaction; a larger round is cut into slices."""

NEVER_SET_ASIDE = (
    Absorb,
    Accept,
    Erased,
    ErasureAsked,
    Merge,
    Moved,
    Parted,
    Propose,
    Refuse,
    Retired,
    SplitAsked,
    SplitOff,
    Withdraw,
)
"""Bodies by which profiles merge, split and are erased: one that raises stops the worker."""

ReadRow: TypeAlias = Callable[[bytes], bytes | None]

_decode_body = msgspec.msgpack.Decoder(Body).decode


class Emitted(msgspec.Struct, frozen=True, gc=False):
    """An output and the turn it carries on."""

    output: Output
    instant: Instant
    kind: int
    origin: Origin


class Failed(NamedTuple):
    """A record whose step raised, set aside; or (`value` None) a timer that raised; or (`part`) the
    part of the definitions that raised: the record counts, without it. Likewise where the row was
    too large (`part` is `ROW`): it lost some of its history.
    """

    offset: int | None
    key: str
    turn: Turn
    reason: str
    value: bytes | None
    part: str | None = None


ChangedRow: TypeAlias = tuple[bytes, bytes | None]
"""The key and the new content of a row; None: it is no more."""


class Slice(NamedTuple):
    """What came of a part of a round.

    hastened: other definitions, or cuts, come next; all rows have to be looked at before.
    """

    emitted: list[Emitted]
    rows: list[ChangedRow]
    failed: list[Failed]
    turn: Turn
    over: bool
    steps: int
    adopted: Switching | None
    hastened: bool

    @property
    def set_aside(self) -> int:
        """How many turns were set aside."""
        return sum(failed.part is None for failed in self.failed)


class Timers:
    """The next instants at which rows change by time alone: one valid entry a row.

    Rebuilt from the rows when a partition is taken over; nothing of it is kept.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[Instant, str]] = []
        self._due: dict[str, Instant] = {}

    def set(self, key: str, due: Instant | None) -> None:
        """The row of `key` next changes at `due` (None: never)."""
        if due is None:
            self._due.pop(key, None)
        elif self._due.get(key) != due:
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))
            if len(self._heap) > 2 * len(self._due) + 64:
                self._heap = [(due, key) for key, due in self._due.items()]
                heapq.heapify(self._heap)

    def hasten(self, key: str, due: Instant) -> None:
        """The row of `key` changes at `due` at the latest."""
        before = self._due.get(key)
        if before is None or due < before:
            self.set(key, due)

    def peek(self) -> tuple[Instant, str] | None:
        heap = self._heap
        while heap:
            due, key = heap[0]
            if self._due.get(key) == due:
                return heap[0]
            heapq.heappop(heap)
        return None

    def pop(self) -> tuple[Instant, str]:
        due, key = heapq.heappop(self._heap)
        del self._due[key]
        return due, key

    def __len__(self) -> int:
        return len(self._due)


def remember(rows: MutableMapping[bytes, bytes], changed: Iterable[ChangedRow]) -> None:
    """Bring a partition's rows to what a transaction has written."""
    for key, blob in changed:
        if blob is None:
            rows.pop(key, None)
        else:
            rows[key] = blob


class _Step(msgspec.Struct, frozen=True, gc=False):
    """One turn of a row: a record's body, or (offset None) the due instant of its timer."""

    number: int
    what: Body | Instant
    turn: Turn
    offset: int | None
    value: bytes | None
    without: frozenset[str] = frozenset()


class _Kept(Generic[RowT]):
    """The rows of one slice: read on first use, stepped in memory, encoded once.

    emitted: of each turn, by its number. failed: turns that were set aside.
    """

    def __init__(self, core: Core[RowT], read: ReadRow, timers: Timers) -> None:
        self.core = core
        self._read, self._timers = read, timers
        self._before: dict[str, bytes | None] = {}
        self._names: dict[str, bytes] = {}
        self._rows: dict[str, RowT | None] = {}
        self._steps: dict[str, list[_Step]] = {}
        self.emitted: list[list[Emitted]] = []
        self.failed: list[Failed] = []

    def take(
        self, key: str, what: Body | Instant, turn: Turn, record: WaitingRecord | None
    ) -> None:
        """Do one turn; one that raises leaves no trace but its dead letter. Where a part of the
        definitions raises, the turn is done again without it.
        """
        if key not in self._rows:
            blob = self._before[key] = self._find(key)
            self._rows[key] = None if blob is None else self.core.decode(blob)
            self._steps[key] = []
        offset, value = (None, None) if record is None else (record.offset, record.value)
        step: _Step | None = _Step(len(self.emitted), what, turn, offset, value)
        self.emitted.append([])
        while step is not None:
            step = self._tried(key, step)
        self._set_timer(key)

    def _tried(self, key: str, step: _Step) -> _Step | None:
        """Do a step. Returns: the step to be tried in its place, None where it is over."""
        try:
            self._do(key, step)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and goes no further
            if isinstance(error, PartRaised) and error.part not in step.without:
                self._rows[key] = self._again(key)
                reason = f"{error.part.replace('/', ' ')}: {_reason(error.__cause__ or error)}"
                self.failed.append(Failed(step.offset, key, step.turn, reason, None, error.part))
                return msgspec.structs.replace(step, without=step.without | {error.part})
            self._set_aside(key, step, _reason(error), error)
            self._rows[key] = self._again(key)
            if step.offset is None:
                self._silence(key)
        else:
            self._steps[key].append(step)
        return None

    def _find(self, key: str) -> bytes | None:
        """Read a row; it may be kept under its veiled key."""
        self._names[key] = key.encode()
        blob = self._read(self._names[key])
        if blob is None and (veiled := self.core.veiled(key)) is not None:
            blob = self._read(veiled.encode())
            if blob is not None:
                self._names[key] = veiled.encode()
        return blob

    def _do(self, key: str, step: _Step) -> None:
        instant, kind, origin = step.turn
        row = self._rows[key]
        core = self.core.without(step.without) if step.without else self.core
        if isinstance(step.what, int):
            assert row is not None, "a timer of a row that is not there"
            self._rows[key], outputs = core.wake(row, key, step.what, instant)
        else:
            self._rows[key], outputs = core.step(row, key, step.what, instant, origin)
        self.emitted[step.number] = [
            Emitted(output, instant, kind, (*origin, index)) for index, output in enumerate(outputs)
        ]

    def _set_aside(self, key: str, step: _Step, reason: str, error: Exception | None) -> None:
        if isinstance(step.what, NEVER_SET_ASIDE):
            raise error or AssertionError(f"{type(step.what).__name__}: {reason}")
        self.emitted[step.number] = []
        self.failed.append(Failed(step.offset, key, step.turn, reason, step.value))

    def _again(self, key: str) -> RowT | None:
        """The row is read again, the earlier turns of the slice are done again."""
        blob = self._before[key]
        self._rows[key] = None if blob is None else self.core.decode(blob)
        for step in self._steps[key]:
            self._do(key, step)
        return self._rows[key]

    def _silence(self, key: str) -> None:
        """The row's timer raised: it sleeps until its next record."""
        row = self._rows[key]
        assert row is not None
        self._rows[key] = self.core.asleep(row)

    def _set_timer(self, key: str) -> None:
        row = self._rows[key]
        self._timers.set(key, None if row is None else self.core.wake_at(row))

    # --- at the end of the slice ---------------------------------------------------------------

    def changed(self) -> list[ChangedRow]:
        """The rows that are not what they were, encoded; one that is kept elsewhere now is no more
        where it was.

        A row that cannot be encoded, or is too large, has a turn that made it so: the turns are
        done again one by one; after that one the row is lessened, or else the turn is set aside.
        """
        changed: list[ChangedRow] = []
        for key, row in self._rows.items():
            if row is None:
                continue
            encoded = self._encoded(row)
            if isinstance(encoded, bytes) and len(encoded) <= ROW_BYTES_MAX:
                blob: bytes | None = encoded
            else:
                blob = self._one_by_one(key)
            kept = self._rows[key]
            if blob is None or kept is None:
                continue
            before, name = self._before[key], self._name_of(key, kept)
            if name != self._names[key] and before is not None:
                changed.append((self._names[key], None))
            if name != self._names[key] or blob != before:
                changed.append((name, blob))
            self._rows[key] = None  # let go of while it is at hand: later it has left the cache
        return changed

    def _name_of(self, key: str, row: RowT) -> bytes:
        veiled = self.core.veiled(key) if self.core.is_veiled(row) else None
        return (veiled or key).encode()

    def _encoded(self, row: RowT) -> bytes | str:
        """The row as it is kept, or why it cannot be."""
        try:
            return self.core.encode(row)
        except (OverflowError, ValueError, TypeError) as error:
            return f"the row cannot be encoded: {_reason(error)}"

    def _lessened(self, key: str, step: _Step, row: RowT) -> bytes | str:
        """The row, made smaller, which is told; or that it cannot be. By merges, splits and
        erasures it is kept all the same: the topic takes 6 MiB.
        """
        blob = self.core.encode(self.core.lessened(row))
        if len(blob) > ROW_BYTES_MAX and not isinstance(step.what, NEVER_SET_ASIDE):
            return f"the row would be over {ROW_BYTES_MAX} bytes"
        reason = f"the row was over {ROW_BYTES_MAX} bytes: some of its history was let go"
        self.failed.append(Failed(step.offset, key, step.turn, reason, None, ROW))
        return blob

    def _done_again(self, key: str, step: _Step) -> bytes | str | None:
        """Do a turn once more. Returns: the row after it, None where there is none; or why the turn
        was set aside: on what others left that were set aside, it may raise now.
        """
        try:
            self._do(key, step)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and goes no further
            reason = _reason(error)
            self._set_aside(key, step, reason, error)
            return reason
        row = self._rows[key]
        if row is None:
            return None
        encoded = self._encoded(row)
        if isinstance(encoded, bytes) and len(encoded) > ROW_BYTES_MAX:
            encoded = self._lessened(key, step, row)
        if isinstance(encoded, str):
            self._set_aside(key, step, encoded, None)
        return encoded

    def _one_by_one(self, key: str) -> bytes | None:
        """The last state of the row that can be kept, after all turns that leave it so."""
        kept, silenced = self._before[key], False
        for step in self._steps[key]:
            if kept is None and step.offset is None:
                self.emitted[step.number] = []  # the turn that set this timer was set aside
                continue
            self._rows[key] = None if kept is None else self.core.decode(kept)
            if silenced:
                self._silence(key)
            encoded = self._done_again(key, step)
            if encoded is None:
                continue
            if isinstance(encoded, bytes):
                kept, silenced = encoded, False
            else:
                silenced = step.offset is None
        row = self._rows[key] = None if kept is None else self.core.decode(kept)
        if silenced and row is not None:
            self._silence(key)
            kept = self.core.encode(row)
        self._set_timer(key)
        return kept


def play(
    core: Core[RowT],
    read: ReadRow,
    rounds: Rounds,
    timers: Timers,
    window: Round,
    *,
    steps_max: int = SLICE_MAX,
    wakes_until: Instant | None = None,
) -> Slice:
    """Apply up to `steps_max` turns of `window` to the rows, timers at their due instants.

    A definition or a stop ends the slice: what comes after is for the core that has adopted it.
    So do definitions, or cuts, that come while rows are still visited for the ones before.
    wakes_until: timers due later stay (the end of a replay), None: none do.
    Returns: `over` where all below the window's limit is done.
    """
    kept = _Kept(core, read, timers)
    turn, steps, over = window.start, 0, False
    adopted: Switching | None = None
    hastened, visited_at = False, core.visits_until
    while steps < steps_max and adopted is None and not over and not hastened:
        timer = timers.peek()
        if timer is not None and wakes_until is not None and timer[0] > wakes_until:
            timer = None
        record = rounds.next_turn()
        if timer is not None and (record is None or (timer[0], TIMER) <= record[:2]):
            over = (timer[0], TIMER, ()) >= window.limit
            if not over:
                turn = max(turn, (timer[0], TIMER, ()))
                due, key = timers.pop()
                kept.take(key, due, (turn[0], TIMER, (due, -1, key_number(key))), None)
        elif record is None or record >= window.limit:
            over = True
        elif record[0] < visited_at and _plans_visits(rounds.peek()):
            hastened = True
        else:
            turn = max(turn, record)
            waiting = rounds.pop()
            body = _decode_body(waiting.body)
            if isinstance(body, Switching):
                adopted = body
            else:
                kept.take(waiting.key, body, waiting.turn, waiting)
        steps += not (over or hastened)
    rows = kept.changed()
    emitted = [one for of_turn in kept.emitted for one in of_turn]
    return Slice(emitted, rows, kept.failed, turn, over, steps, adopted, hastened)


def _plans_visits(record: WaitingRecord) -> bool:
    """Rows know the definitions before the ones in force, and none before those; and of the plans
    of visits only the newest is kept.
    """
    if record.key:
        return False
    return isinstance(
        _decode_body(record.body), DefinitionsPublished | DefinitionsFilled | PopulationMeasured
    )


def _reason(error: BaseException) -> str:
    """The kind of error and where it was raised; never its text, which may hold personal data."""
    return f"{type(error).__name__} in {where_raised(error)}"


def where_raised(error: BaseException | None) -> str:
    """`function:line` of the innermost frame."""
    place = None if error is None else error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return "" if place is None else f"{place.tb_frame.f_code.co_name}:{place.tb_lineno}"
