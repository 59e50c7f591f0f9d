"""What two profiles kept apart is, once they are one, what one would have kept of all of it."""

import pytest

from tests.streams.segments.differential import round_of


@pytest.mark.parametrize("seed", range(3))
def test_ten_thousand_answers_equal_brute_force_also_of_people_who_merged(seed: int) -> None:
    assert round_of(seed, examples=40) > 3_400
