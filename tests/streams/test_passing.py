"""When ingest passes on what it has read."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from schemas.rows import Position
from streams.intake import Work
from streams.passing import BATCH_BYTES_MAX, PassIntake
from streams.replay import MemoryRecord
from tests.streams.toy import ToyReader

TICK = None


def ingest(steps_max: int = 100) -> PassIntake:
    return PassIntake(ToyReader(), 0, Position(partitions=1), steps_max=steps_max)


def event(number: int, padding: str = "") -> bytes:
    return b'["start", "ann", null, %d]' % number + padding.encode()


def passed_on(intake: PassIntake, values: Iterable[bytes | None], first: int = 0) -> list[Work]:
    """What is passed on once records with these values were read."""
    intake.read(
        MemoryRecord(first + n, 1_000 + first + n, b"", value) for n, value in enumerate(values)
    )
    return list(iter(intake.next, None))


def test_what_was_read_is_passed_on_with_the_next_tick_at_once() -> None:
    intake = ingest()
    assert passed_on(intake, [event(0), event(1)]) == []
    assert passed_on(intake, [event(2)], first=2) == []
    (work,) = passed_on(intake, [TICK, event(3)], first=3)
    assert (work.steps, work.clock, work.low) == (4, 1_002, 4)
    assert len(work.writes) == 3 + 1, "the events, and the clock"
    assert passed_on(intake, [TICK], first=5)[0].steps == 2


@given(st.lists(st.booleans(), max_size=30), st.lists(st.integers(1, 9), min_size=30, max_size=30))
def test_what_is_passed_on_does_not_depend_on_what_is_read_at_once(
    ticks: list[bool], pieces: list[int]
) -> None:
    log = [TICK if is_tick else event(number) for number, is_tick in enumerate(ticks)]
    whole = passed_on(ingest(steps_max=4), log)
    intake, little_by_little, first = ingest(steps_max=4), [], 0
    for piece in pieces:
        little_by_little += passed_on(intake, log[first : first + piece], first)
        first += piece
    assert little_by_little == whole


def test_a_full_batch_waits_for_no_tick() -> None:
    works = passed_on(ingest(steps_max=3), [event(n) for n in range(7)])
    assert [(work.steps, work.low, work.clock) for work in works] == [(3, 3, None), (3, 6, None)]


def test_so_does_one_of_many_bytes() -> None:
    large = event(0, " " * (BATCH_BYTES_MAX // 2))
    works = passed_on(ingest(), [large, large, large])
    assert [work.steps for work in works] == [2]
