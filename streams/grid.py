"""Rounds on a grid: a history without ticks, replayed as if there had been one every second.

Comes in: records in the order of arrival. Goes out: what the path says, round by round. A year has
31 million seconds, so only those are ticked in which something happens: a record arrives, a timer
is due, or a late message that was sent in the second before waits for its boundary. A round in
which nothing happens says nothing, so the result is that of the full grid, which a test compares.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple, TypeAlias

from schemas.values import Instant, Millis
from streams.ingest.control import Headers, tick
from streams.instants import SECOND
from streams.intake import Write
from streams.replay import Replay

GRID: Millis = SECOND


Answer: TypeAlias = tuple[bytes, Headers]

Later: TypeAlias = Callable[[], Answer | None]
"""Makes a record when all that was received in the seconds before is applied; None: there is none.
"""


class Arrival(NamedTuple):
    """A record of `store-events` as it arrives. value: of the record, or what makes it."""

    received_at: Instant
    value: bytes | Later
    key: bytes | None = None
    headers: Headers = ()


def silence(_: list[Write]) -> None:
    """Nothing is said to that."""


def play_on_grid(
    replay: Replay,
    arrivals: Iterable[Arrival],
    *,
    until: Instant,
    every_tick: bool = False,
    answer: Callable[[list[Write]], Sequence[Answer] | None] = silence,
) -> Iterator[list[Write]]:
    """Replay `arrivals` in one partition; yields what was said, round by round.

    arrivals:   never backwards in time; those after `until` are left out.
    until:      the last instant at which something is received or due. Late messages that are
                under way then are let through, and no timer rings that is due later.
    every_tick: also where nothing happens, for comparison.
    answer:     what is pushed because of what was said, in the second after it; also after `until`.
                Empty: not yet, let the next second pass. None: nothing is under way.
    """
    assert replay.partitions == 1, "the grid has one partition"
    value, headers = tick()
    replay.wake_until(until)
    waiting = takewhile(lambda arrival: arrival.received_at <= until, arrivals)
    ahead = next(waiting, None)
    tick_at: Instant = 0
    answered = False
    while True:
        matters = tick_at if answered else _next_that_matters(replay, ahead, until, tick_at)
        if matters is None:
            return
        tick_at = (tick_at if every_tick and tick_at else matters) // GRID * GRID + GRID
        while ahead is not None and ahead.received_at < tick_at:
            _append(replay, ahead)
            ahead = next(waiting, None)
        replay.append(0, value, tick_at, headers=headers)
        said = replay.run()
        answers = answer(said)
        for content, named in answers or ():
            replay.append(0, content, tick_at, headers=named)
        answered = answers is not None
        yield said


def _append(replay: Replay, arrival: Arrival) -> None:
    value = arrival.value
    made = (value, arrival.headers) if isinstance(value, bytes) else value()
    if made is not None:
        replay.append(0, made[0], arrival.received_at, key=arrival.key, headers=made[1])


def _next_that_matters(
    replay: Replay, ahead: Arrival | None, until: Instant, tick_at: Instant
) -> Instant | None:
    """The next instant at which something happens; None: nothing does any more.

    tick_at: of the last round; late messages are for the second that begins there.
    """
    if replay.has_late:
        return tick_at
    wake_at = replay.next_wake()
    if wake_at is not None and wake_at > until:
        wake_at = None
    if ahead is None:
        return None if wake_at is None else max(wake_at, tick_at)
    if wake_at is None:
        return ahead.received_at
    return max(min(wake_at, ahead.received_at), tick_at)
