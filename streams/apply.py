"""What a core does to the rows of one partition: a slice of a round, timers merged in.

`play` is all of it: same rows, same records, same limit, same result. Neither the shell nor the
replay does anything else to a row.
"""

import heapq
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeAlias

import msgspec

from schemas.records import (
    Absorb,
    Accept,
    Body,
    DefinitionsPublished,
    Merge,
    Moved,
    Propose,
    Refuse,
    Withdraw,
)
from schemas.rows import DEFINITIONS_KEY
from schemas.values import TIMER, Instant, Origin, Turn
from streams.core import Core, Output, RowT, definitions_row
from streams.ids import key_number
from streams.rounds import Round, Rounds

SLICE_MAX = 2_000
"""Most steps of one transaction; a larger round is cut into slices."""

MERGE_PROTOCOL = (Absorb, Accept, Merge, Moved, Propose, Refuse, Withdraw)
"""Bodies that are never set aside: one that raises stops the worker."""

ReadRow: TypeAlias = Callable[[bytes], bytes | None]

_decode_body = msgspec.msgpack.Decoder(Body).decode
_encode = msgspec.msgpack.Encoder().encode


class Said(NamedTuple):
    """An output and the turn it carries on."""

    output: Output
    instant: Instant
    kind: int
    origin: Origin


class Failed(NamedTuple):
    """A record whose step raised, set aside; or (`value` None) a timer that raised."""

    offset: int | None
    key: str
    turn: Turn
    reason: str
    value: bytes | None


class Slice(NamedTuple):
    """What came of a part of a round."""

    said: list[Said]
    rows: list[tuple[bytes, bytes]]
    failed: list[Failed]
    turn: Turn
    over: bool
    steps: int
    adopted: DefinitionsPublished | None


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


class _Kept(Generic[RowT]):
    """The rows of one slice: read on first use, stepped in memory, encoded once."""

    def __init__(self, core: Core[RowT], read: ReadRow) -> None:
        self.core = core
        self._read = read
        self._before: dict[str, bytes | None] = {}
        self._rows: dict[str, RowT | None] = {}
        self._steps: dict[str, list[tuple[Body | Instant, Instant, Origin]]] = {}

    def step(self, key: str, body: Body, now: Instant, origin: Origin) -> list[Output]:
        row, outputs = self.core.step(self._get(key), key, body, now, origin)
        self._rows[key] = row
        self._steps[key].append((body, now, origin))
        return outputs

    def wake(self, key: str, due: Instant, now: Instant) -> list[Output]:
        row = self._get(key)
        assert row is not None, "a timer of a row that is not there"
        self._rows[key], outputs = self.core.wake(row, key, due, now)
        self._steps[key].append((due, now, ()))
        return outputs

    def _get(self, key: str) -> RowT | None:
        if key in self._rows:
            return self._rows[key]
        blob = self._before[key] = self._read(key.encode())
        row = self._rows[key] = None if blob is None else self.core.decode(blob)
        self._steps[key] = []
        return row

    def undo(self, key: str) -> None:
        """Take back a step that raised: the row is read again, the earlier steps are done again."""
        blob = self._before[key]
        row = None if blob is None else self.core.decode(blob)
        for what, now, origin in self._steps[key]:
            if isinstance(what, int):
                assert row is not None
                row, _ = self.core.wake(row, key, what, now)
            else:
                row, _ = self.core.step(row, key, what, now, origin)
        self._rows[key] = row

    def silence(self, key: str) -> None:
        """The row's timer raised: it sleeps until its next record."""
        row = self._rows[key]
        assert row is not None
        self._rows[key] = self.core.asleep(row)

    def wake_at(self, key: str) -> Instant | None:
        row = self._rows[key]
        return None if row is None else self.core.wake_at(row)

    def changed(self) -> list[tuple[bytes, bytes]]:
        encode, before = self.core.encode, self._before
        blobs = ((key, encode(row)) for key, row in self._rows.items() if row is not None)
        return [(key.encode(), blob) for key, blob in blobs if blob != before[key]]


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

    A definition ends the slice: what comes after it is for the core that has adopted it.
    wakes_until: timers due later stay (the end of a replay), None: none do.
    Returns: `over` where all below the window's limit is done.
    """
    kept = _Kept(core, read)
    said: list[Said] = []
    failed: list[Failed] = []
    turn, adopted = window.start, None
    rows: list[tuple[bytes, bytes]] = []
    for steps in range(steps_max):
        timer = timers.peek()
        if timer is not None and wakes_until is not None and timer[0] > wakes_until:
            timer = None
        record = rounds.waiting[0].turn if rounds.waiting else None
        if timer is not None and (record is None or (timer[0], TIMER) <= record[:2]):
            if (timer[0], TIMER, ()) >= window.limit:
                break
            turn = max(turn, (timer[0], TIMER, ()))
            _wake(kept, timers, turn[0], said, failed)
        elif record is None or record >= window.limit:
            break
        else:
            turn = max(turn, record)
            adopted = _step(kept, rounds, timers, said, failed)
            if adopted is not None:
                key = DEFINITIONS_KEY % adopted.store.encode()
                rows.append((key, _encode(definitions_row(adopted, record[2]))))
                return Slice(said, rows + kept.changed(), failed, turn, False, steps + 1, adopted)
    else:
        return Slice(said, kept.changed(), failed, turn, False, steps_max, None)
    return Slice(said, kept.changed(), failed, turn, True, steps, None)


def _wake(
    kept: _Kept[RowT], timers: Timers, now: Instant, said: list[Said], failed: list[Failed]
) -> None:
    due, key = timers.pop()
    origin = (due, -1, key_number(key))
    try:
        outputs = kept.wake(key, due, now)
    except Exception as error:  # noqa: BLE001 - whatever it is, the row sleeps and it is told
        kept.undo(key)
        kept.silence(key)
        failed.append(Failed(None, key, (now, TIMER, origin), _reason(error), None))
    else:
        _say(said, outputs, now, TIMER, origin)
    timers.set(key, kept.wake_at(key))


def _step(
    kept: _Kept[RowT], rounds: Rounds, timers: Timers, said: list[Said], failed: list[Failed]
) -> DefinitionsPublished | None:
    (instant, kind, origin), offset, key, raw, value = rounds.pop()
    body = _decode_body(raw)
    if isinstance(body, DefinitionsPublished):
        return body
    try:
        outputs = kept.step(key, body, instant, origin)
    except Exception as error:
        if isinstance(body, MERGE_PROTOCOL):
            raise
        kept.undo(key)
        turn = (instant, kind, origin)
        failed.append(Failed(offset, key, turn, _reason(error), value))
    else:
        _say(said, outputs, instant, kind, origin)
    timers.set(key, kept.wake_at(key))
    return None


def _say(
    said: list[Said], outputs: Iterable[Output], instant: Instant, kind: int, origin: Origin
) -> None:
    for index, output in enumerate(outputs):
        said.append(Said(output, instant, kind, (*origin, index)))


def _reason(error: Exception) -> str:
    """The kind of error and where it was raised; never its text, which may hold personal data."""
    return f"{type(error).__name__} in {where_raised(error)}"


def where_raised(error: BaseException | None) -> str:
    """`function:line` of the innermost frame."""
    place = None if error is None else error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return "" if place is None else f"{place.tb_frame.f_code.co_name}:{place.tb_lineno}"
