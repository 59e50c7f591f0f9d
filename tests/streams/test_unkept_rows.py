"""A row that cannot be kept: the dead letter of its culprit says why."""

import pytest

from tests.streams.test_apply import BOUND, Partition, event


@pytest.mark.parametrize(
    ("culprit", "reason"),
    [
        ("huge", "the row would be over 1048576 bytes"),
        ("odd", "the row cannot be encoded: OverflowError"),
    ],
)
def test_the_dead_letter_says_why_the_row_cannot_be_kept(culprit: str, reason: str) -> None:
    partition = Partition()
    partition.tell(10, event(culprit, 10))
    partition.round_ends(BOUND)
    (letter,) = partition.dead()
    assert reason in dict(letter.headers)["reason"].decode()
