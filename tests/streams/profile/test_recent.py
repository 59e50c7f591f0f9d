"""The memory of events that were seen, against one written plainly."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.rows import ProfileRow
from streams.ids import key_number
from streams.profile.recent import RECENT_MAX, remembered, unite

WITHIN = 100
NAMES = [f"Viewed Product/{number}" for number in range(12)]


def remember_plainly(seen: dict[int, int], name: str, now: int) -> bool:
    """Whether it is a repeat; keeps those that are younger than `WITHIN`, oldest first."""
    mark = key_number(name)
    if mark in seen and now - seen[mark] < WITHIN:
        return True
    seen.pop(mark, None)
    seen[mark] = now
    for one in [one for one, at in seen.items() if now - at >= WITHIN]:
        del seen[one]
    return False


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 60)), max_size=60))
def test_repeats_are_told_as_by_plain_memory(steps: list[tuple[str, int]]) -> None:
    recent, plainly, now = b"", dict[int, int](), 1
    for name, later in steps:
        now += later
        repeat = remember_plainly(plainly, name, now)
        after = remembered(recent, name, now, WITHIN)
        assert (after is None) == repeat
        recent = recent if after is None else after
    assert unite(recent, plainly) == (unite(recent, b"")[0], len(plainly))


def test_a_mark_that_lies_across_two_entries_is_not_found() -> None:
    mark = key_number("a").to_bytes(8, "big")
    across = b"\1" * 4 + mark + b"\1" * 4
    assert remembered(across, "a", 1, 1 << 63) == across + mark + (1).to_bytes(8, "big")


def test_the_oldest_are_forgotten() -> None:
    recent = b""
    for number in range(RECENT_MAX + 1):
        recent = remembered(recent, f"{number}", 1, WITHIN) or b""
    assert len(recent) == 16 * RECENT_MAX
    assert remembered(recent, "1", 1, WITHIN) is None
    assert remembered(recent, "0", 1, WITHIN) is not None


def test_rows_of_the_schema_before_are_understood() -> None:
    before = msgspec.msgpack.encode(ProfileRow(recent={key_number("a"): 5, key_number("b"): 7}))
    row = msgspec.msgpack.decode(before, type=ProfileRow)
    assert remembered(row.recent, "a", 9, WITHIN) is None
    assert remembered(row.recent, "c", 9, WITHIN) == remembered(
        remembered(remembered(b"", "a", 5, WITHIN) or b"", "b", 7, WITHIN) or b"", "c", 9, WITHIN
    )
