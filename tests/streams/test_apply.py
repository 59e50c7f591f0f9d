# ruff: noqa: ARG002 - the diary fulfils the whole shape of a core
"""A slice of a round: turns in order, timers between, steps that raise set aside."""

from typing import Any, Self

import msgspec
import pytest

from schemas.events import EVENT_SCHEMA, Event
from schemas.outputs import IdentityMerged
from schemas.records import (
    INNER_SCHEMA,
    Body,
    Clock,
    DefinitionsPublished,
    EventResolved,
    Merge,
    Passed,
    Withdraw,
)
from schemas.rows import POSITION_KEY, DefinitionsRow, Position, StopsRow
from schemas.topics import DEAD_LETTERS, IDENTITY_MERGES
from schemas.values import RECORD, Instant, Origin, Row, Stage
from streams.apply import Timers, remember
from streams.core import ROW_BYTES_MAX, Output
from streams.intake import RoundIntake
from streams.published import InForce, is_row_of_a_key
from streams.replay import MemoryRecord
from streams.rounds import load_position

BOUND = 1_000
MERGES = IDENTITY_MERGES.name


class Diary(Row):
    told: list[str] = []
    due: int | None = None


def said(text: str) -> Output:
    merged = IdentityMerged(id=text, store="main", winner="", loser="", decided_at="")
    return Output(IDENTITY_MERGES.name, "i1", merged)


class DiaryCore:
    """Writes down what it is told; `boom` raises after it has changed the row."""

    stage: Stage = "profile"
    has_timers = True

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix

    visits_until: Instant = 0

    def hastened(self) -> Self:
        return self

    def decode(self, blob: bytes) -> Diary:
        return msgspec.msgpack.decode(blob, type=Diary)

    def encode(self, row: Diary) -> bytes:
        return msgspec.msgpack.encode(row)

    def lessened(self, row: Diary) -> Diary:
        row.told = ["..." if text.startswith("y") else text for text in row.told]
        return row

    def step(
        self, row: Diary | None, key: str, body: Body, now: Instant, origin: Origin
    ) -> tuple[Diary, list[Output]]:
        diary = row or Diary()
        assert not isinstance(body, Merge), "broken protocol"
        if isinstance(body, Withdraw):
            diary.told.append(body.loser)
            return diary, []
        assert isinstance(body, EventResolved)
        metric = body.event.metric
        diary.told.append(f"{self.prefix}{metric}@{now}")
        if metric == "boom":
            raise RuntimeError("personal data of somebody")
        if metric == "needs" and not diary.told[:-1]:
            raise RuntimeError("nothing was told before")
        if metric == "late huge":
            diary.due = now + 5
        if metric in ("huge", "late huge"):
            diary.told.append("x" * ROW_BYTES_MAX)
        if metric == "long":
            diary.told.append("y" * ROW_BYTES_MAX)
        if metric == "odd":
            diary.due = 1 << 70
        if metric.startswith("wake"):
            diary.due = int(metric.removeprefix("wake"))
        return diary, [said(f"{len(diary.told)} told, {metric} last")]

    def wake(self, row: Diary, key: str, due: Instant, now: Instant) -> Any:
        row.told.append(f"{self.prefix}due {due}@{now}")
        if due == 666:
            raise RuntimeError("a timer that raises")
        row.due = None
        return row, []

    def veiled(self, _key: str) -> None: ...

    def is_veiled(self, _row: Diary) -> bool:
        return False

    def wake_at(self, row: Diary) -> Instant | None:
        return row.due

    def asleep(self, row: Diary) -> Diary:
        row.due = None
        return row

    def without(self, parts: frozenset[str]) -> Self:
        return self

    def adopt(self, row: DefinitionsRow | StopsRow) -> Self:
        assert isinstance(row, DefinitionsRow)
        return type(self)(f"{row.published.version} ")


def event(metric: str, at: Instant) -> EventResolved:
    return EventResolved(
        Event(
            EVENT_SCHEMA, f"{metric}-{at}", metric, at, at, "main", "server",
            (("email", "a@example.com"),), {}, {}, {}, None, None, "", False,
        ),
        ("email", "a@example.com"),
    )  # fmt: skip


class Partition:
    """One partition of the profile stage and its log."""

    def __init__(self, core: Any = None, *, steps_max: int = 999) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.offset = 0
        self.writes: list[Any] = []
        self.intake = RoundIntake(
            core or DiaryCore(),
            0,
            Position(partitions=1),
            self.rows,
            steps_max=steps_max,
        )
        self.transactions = 0

    def tell(self, at: Instant, body: Body, key: str = "i1") -> None:
        origin = (at, 0, self.offset)
        self.append(key, Passed(INNER_SCHEMA, at, RECORD, origin, body))

    def append(self, key: str, record: Any) -> None:
        value = msgspec.msgpack.encode(record)
        self.intake.read([MemoryRecord(self.offset, 0, key.encode(), value)])
        self.offset += 1

    def round_ends(self, at: Instant) -> None:
        """Everybody has been heard up to `at`; the work that follows is done."""
        self.append("", Clock(INNER_SCHEMA, "identity", 0, at))
        self.append("", Clock(INNER_SCHEMA, "profile", 0, at))
        while (work := self.intake.next()) is not None:
            remember(self.rows, work.rows)
            self.writes += work.writes
            self.transactions += 1

    def told(self, key: str = "i1") -> list[str]:
        return msgspec.msgpack.decode(self.rows[key.encode()], type=Diary).told

    def dead(self) -> list[Any]:
        return [write for write in self.writes if write.topic == DEAD_LETTERS.name]


def test_records_are_applied_in_the_order_of_their_turns_not_of_their_arrival() -> None:
    partition = Partition()
    partition.tell(30, event("b", 30))
    partition.tell(10, event("a", 10))
    partition.round_ends(BOUND)
    assert partition.told() == ["a@10", "b@30"]


def test_a_timer_comes_before_a_record_of_its_instant() -> None:
    partition = Partition()
    partition.tell(10, event("wake500", 10))
    partition.tell(500, event("b", 500))
    partition.tell(499, event("c", 499))
    partition.round_ends(BOUND)
    assert partition.told() == ["wake500@10", "c@499", "due 500@500", "b@500"]


def test_a_timer_that_is_due_in_the_past_runs_now() -> None:
    partition = Partition()
    partition.tell(400, event("wake100", 400))
    partition.round_ends(BOUND)
    assert partition.told() == ["wake100@400", "due 100@400"]


def test_a_step_that_raises_leaves_no_trace_but_a_dead_letter() -> None:
    partition = Partition()
    for at, metric in ((10, "a"), (20, "boom"), (30, "b")):
        partition.tell(at, event(metric, at))
    partition.round_ends(BOUND)
    assert partition.told() == ["a@10", "b@30"]
    (letter,) = partition.dead()
    headers = dict(letter.headers)
    assert headers["reason"].startswith(b"RuntimeError in step:")
    assert (headers["station"], headers["partition"], headers["offset"]) == (b"profile", b"0", b"1")
    assert letter.key == b"i1"
    assert msgspec.msgpack.decode(letter.value, type=Passed).body.event.metric == "boom"
    assert not any(b"personal data" in value for value in headers.values())


@pytest.mark.parametrize("culprit", ["huge", "odd"])
def test_a_row_that_cannot_be_kept_has_its_culprit_set_aside(culprit: str) -> None:
    partition = Partition()
    for at, metric in ((10, "a"), (20, culprit), (30, "b")):
        partition.tell(at, event(metric, at))
    partition.round_ends(BOUND)
    assert partition.told() == ["a@10", "b@30"]
    (letter,) = partition.dead()
    assert dict(letter.headers)["offset"] == b"1"
    told = [msgspec.json.decode(w.value)["id"] for w in partition.writes if w.topic == MERGES]
    assert told == ["1 told, a last", "2 told, b last"], "as if the culprit had never been"


def test_what_only_the_culprit_made_possible_is_set_aside_with_it() -> None:
    partition = Partition()
    partition.tell(20, event("late huge", 20))
    partition.tell(30, event("needs", 30))
    partition.round_ends(BOUND)
    assert b"i1" not in partition.rows, "nor did the timer of the culprit run"
    assert [dict(letter.headers)["offset"] for letter in partition.dead()] == [b"0", b"1"]
    partition.tell(BOUND + 10, event("a", BOUND + 10))
    partition.round_ends(2 * BOUND)
    assert partition.told() == ["a@1010"]


@pytest.mark.parametrize("steps_max", [1, 999])
def test_a_row_over_its_cap_lets_go_of_something_and_the_record_counts(steps_max: int) -> None:
    partition = Partition(steps_max=steps_max)
    for at, metric in ((10, "a"), (20, "long"), (30, "b")):
        partition.tell(at, event(metric, at))
    partition.round_ends(BOUND)
    assert partition.told() == ["a@10", "long@20", "...", "b@30"]
    (letter,) = partition.dead()
    assert letter.value == b"", "nothing is set aside"
    headers = dict(letter.headers)
    assert (headers["offset"], headers["reason"].split(b":")[0]) == (
        b"1",
        b"the row was over 1048576 bytes",
    )


@pytest.mark.parametrize("text", ["x", "y"])
def test_a_merge_that_takes_a_row_over_its_cap_stops_nothing(text: str) -> None:
    partition = Partition()
    partition.tell(10, event("a", 10))
    partition.tell(20, Withdraw(text * ROW_BYTES_MAX, 1))
    partition.tell(30, event("b", 30))
    partition.round_ends(BOUND)
    kept = "..." if text == "y" else text * ROW_BYTES_MAX
    told = partition.told()
    assert told[:2] == ["a@10", kept]
    assert told[2:] == ["b@30"] * (text == "y"), "what is not of the protocol is set aside"
    assert [bool(letter.value) for letter in partition.dead()] == [False] + [True] * (text == "x")


def test_a_row_that_a_first_step_would_have_made_is_not_made_when_it_raises() -> None:
    partition = Partition()
    partition.tell(20, event("boom", 20))
    partition.round_ends(BOUND)
    assert b"i1" not in partition.rows
    assert len(partition.dead()) == 1


def test_a_timer_that_raises_sleeps_until_the_next_record() -> None:
    partition = Partition()
    partition.tell(10, event("wake666", 10))
    partition.round_ends(BOUND)
    assert partition.told() == ["wake666@10"]
    assert len(partition.dead()) == 1
    partition.tell(1_100, event("wake1200", 1_100))
    partition.round_ends(2 * BOUND)
    assert partition.told() == ["wake666@10", "wake1200@1100", "due 1200@1200"]


def test_a_record_of_the_merge_protocol_is_never_set_aside() -> None:
    partition = Partition()
    partition.tell(10, Merge("main", "i0", True, None))
    with pytest.raises(AssertionError, match="broken protocol"):
        partition.round_ends(BOUND)


def test_definitions_take_effect_at_their_place_in_the_order() -> None:
    partition = Partition()
    partition.tell(30, event("b", 30))
    partition.tell(10, event("a", 10))
    partition.tell(20, DefinitionsPublished("main", "v2", "ann", ({"list": "news"},)), key="")
    partition.round_ends(BOUND)
    assert partition.told() == ["a@10", "v2 b@30"]
    assert partition.transactions == 2
    (adopted,) = InForce(partition.rows.items()).definitions.values()
    assert adopted.published.version == "v2"
    assert not is_row_of_a_key(b"definitions/main")


def test_a_round_in_slices_says_its_clock_once_and_at_its_end() -> None:
    whole, sliced = Partition(), Partition(steps_max=2)
    for partition in (whole, sliced):
        for at in range(10, 100, 10):
            partition.tell(at, event(f"e{at}", at), key=f"i{at % 3}")
        partition.round_ends(BOUND)
    assert sliced.transactions > whole.transactions == 1
    positions = [partition.rows.pop(POSITION_KEY % 0) for partition in (whole, sliced)]
    assert load_position(positions[0], 1).done == load_position(positions[1], 1).done
    assert whole.rows == sliced.rows
    clocks = [write for write in sliced.writes if b"clock" in write.key or write.key == b""]
    assert clocks == sliced.writes[-len(clocks) :]
    assert whole.writes == sliced.writes


def test_a_row_that_did_not_change_is_not_written() -> None:
    partition = Partition()
    partition.tell(10, event("a", 10))
    partition.round_ends(BOUND)
    before = dict(partition.rows)
    partition.round_ends(2 * BOUND)
    assert partition.rows.keys() == before.keys()
    assert partition.rows[b"i1"] == before[b"i1"]


def test_timers_forget_what_was_replaced() -> None:
    timers = Timers()
    for due in range(1_000, 0, -1):
        timers.set("i1", due)
    timers.set("i2", 5)
    timers.set("i2", None)
    assert len(timers) == 1
    assert timers.peek() == (1, "i1")
    assert timers.pop() == (1, "i1")
    assert timers.peek() is None


def test_timers_are_made_again_from_the_rows() -> None:
    partition = Partition()
    partition.tell(10, event("wake1500", 10))
    partition.round_ends(BOUND)
    position = load_position(partition.rows[POSITION_KEY % 0], 1)
    again = RoundIntake(
        DiaryCore(),  # type: ignore[arg-type]
        0,
        position,
        dict(partition.rows),
    )
    assert again.timers.peek() == (1_500, "i1")
    assert again.rounds.clock == BOUND
    assert again.rounds.held_back_by() == ("identity/0", BOUND)
