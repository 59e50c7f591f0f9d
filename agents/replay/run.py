"""A history of events and definitions -> the files of the outcome, in simulated time."""

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from agents.replay.arrivals import EventFile
from agents.replay.catalog import CatalogInMemory
from agents.replay.population import measurements
from agents.replay.published import Edition, arrivals_of, settings_at_the_end
from agents.replay.written import Written
from schemas.replay import RejectedLine
from schemas.values import Instant
from streams.grid import Answer, Arrival, play_on_grid
from streams.identity.step import IdentityCore
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.control import backfill
from streams.ingest.read import EventReader
from streams.intake import Write
from streams.memory_backfill import BackfillInMemory
from streams.profile.step import ProfileCore
from streams.replay import Replay


class Outcome(NamedTuple):
    """What came of it.

    lines: of the file, blank ones left out. events: how many were accepted, repeats left out.
    refused: lines that do not say when they arrive. later: lines that arrive after `until`.
    """

    until: Instant | None
    lines: int
    events: int
    refused: list[RejectedLine]
    later: int
    counts: dict[str, int]
    seconds: float


def new_replay() -> Replay:
    """The path in memory, in one partition, with the ids of every replay."""
    ids = Ids(REPLAY_SECRET)
    return Replay(
        1,
        reader=lambda: EventReader(ids),
        identity=IdentityCore(ids),
        profile=ProfileCore(ids),
        spreads=False,
    )


def replay_file(
    events: EventFile, editions: Sequence[Edition], *, until: Instant | None, out: Path
) -> Outcome:
    """Replay a file of events and write the outcome into the folder `out`.

    until: what is due at this very instant is done; None: at the last arrival.
    """
    started = time.monotonic()
    if until is None:
        until = events.last
    replay = new_replay()
    later = 0
    with Written(out) as written:
        written.refused(events.refused)
        if until is not None:
            arrivals = _in_order(replay, events, editions, until)
            answer = answered_by(fill_in(), CatalogInMemory(editions, Ids(REPLAY_SECRET), until))
            for said in play_on_grid(replay, arrivals, until=until, answer=answer):
                written.hear(said)
            later = events.after(until)
        rows = (row for _, _, row in replay.rows("profile"))
        written.finish(rows, settings_at_the_end(editions, until or 0))
    return Outcome(
        until=until,
        lines=len(events) + len(events.refused),
        events=written.events,
        refused=events.refused,
        later=later,
        counts=written.counts,
        seconds=time.monotonic() - started,
    )


def answered_by(
    fill: Callable[[list[Write]], list[Answer] | None], catalog: CatalogInMemory
) -> Callable[[list[Write]], list[Answer] | None]:
    """What the jobs beside the path push into the log."""

    def answer(writes: list[Write]) -> list[Answer] | None:
        filled, triggered = fill(writes), catalog.hear(writes)
        return [*(filled or ()), *triggered] if triggered else filled

    return answer


def fill_in() -> Callable[[list[Write]], list[Answer] | None]:
    """A back-fill that answers what is said."""
    ids = Ids(REPLAY_SECRET)
    job = BackfillInMemory(1)

    def answer(writes: list[Write]) -> list[Answer] | None:
        found = [backfill(one, ids) for one in job.hear(writes)]
        return found if found or job.under_way else None

    return answer


def _in_order(
    replay: Replay, events: EventFile, found: Sequence[Edition], until: Instant
) -> Iterator[Arrival]:
    """Lines, definitions and measurements of the population; of those at the same instant the
    measurements come first, then the definitions.
    """
    lines = (Arrival(line.received_at, line.value, b"%d" % line.number) for line in events)
    published = arrivals_of(found, events.first) if events.first is not None else []
    measured = () if events.first is None else measurements(replay, found, events.first, until)
    return heapq.merge(measured, published, lines, key=attrgetter("received_at"))
