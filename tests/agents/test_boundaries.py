"""A path that lags is given fewer, larger rounds; one that does not is given all of them."""

from itertools import pairwise

from agents.ingest import SPAN_MAX, Boundaries
from schemas.values import Instant

TICK = 250
START = 1_000_000


def made(first: Instant, last: Instant, *, reached: Instant | None) -> list[Instant]:
    """The boundaries made of the ticks from `first` to `last` while profile stands at `reached`."""
    boundaries = Boundaries(lambda: reached)
    return [at for at in range(first, last, TICK) if boundaries(at)]


def test_every_tick_ends_a_round_while_the_path_keeps_up() -> None:
    at = START
    boundaries = Boundaries(lambda: at - 900)
    for at in range(START, START + 4_000, TICK):
        assert boundaries(at)


def test_where_nobody_knows_how_far_it_has_come_every_tick_ends_a_round() -> None:
    assert len(made(START, START + 60_000, reached=None)) == 60_000 // TICK


def test_the_further_it_lags_the_more_ticks_are_left_out() -> None:
    near, far = (made(START, START + 8_000, reached=START - lag) for lag in (1_500, 20_000))
    assert near[:4] == [START, START + 500, START + 1_250, START + 2_250]
    assert far == [START, START + 6_750]


def test_but_never_for_more_than_ten_seconds() -> None:
    boundaries = made(START, START + 100_000, reached=START - 3_600_000)
    assert {later - at for at, later in pairwise(boundaries)} == {SPAN_MAX}


def test_when_it_has_caught_up_every_tick_ends_a_round_again() -> None:
    reached = START - 40_000
    boundaries = Boundaries(lambda: reached)
    assert boundaries(START)
    assert not boundaries(START + TICK)
    reached = START
    assert boundaries(START + 2 * TICK)
    assert boundaries(START + 3 * TICK)
