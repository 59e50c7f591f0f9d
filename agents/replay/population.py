"""In a replay of a file the population is measured as it would be live: at the store's rhythm.

In: the rows of the replay, as they are at that instant. Out: the record with the cuts.
"""

import heapq
from collections.abc import Iterator, Sequence
from functools import partial
from operator import attrgetter

from agents.replay.published import Edition
from schemas.records import Cut, PopulationMeasured
from schemas.values import Instant
from streams.definitions.program import Program, compile_program
from streams.grid import Answer, Arrival
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.control import population
from streams.profile.step import ProfileCore
from streams.replay import Replay
from streams.segments.ranked import measure


def measurements(
    replay: Replay, editions: Sequence[Edition], first: Instant, until: Instant
) -> Iterator[Arrival]:
    """When the stores that rank somebody are measured, in order; each when its turn has come."""
    stores = dict.fromkeys(edition.published.store for edition in editions)
    each = [
        _of_store(replay, [one for one in editions if one.published.store == store], first, until)
        for store in stores
    ]
    return heapq.merge(*each, key=attrgetter("received_at"))


def _of_store(
    replay: Replay, found: Sequence[Edition], first: Instant, until: Instant
) -> Iterator[Arrival]:
    """By the definitions that are in force; these are in the order of their instants."""
    said: list[Cut] = []
    ends = [*(edition.since for edition in found[1:]), until + 1]
    for edition, end in zip(found, ends, strict=True):
        assert end is not None, "only the first is in force from the beginning"
        program = compile_program(edition.published.documents, version=edition.published.version)
        every = program.settings.rank_every
        start = max(first, edition.since or 0)
        at = (start // every + 1) * every
        while program.rankings and at < end:
            yield Arrival(at, partial(_measured, replay, program, at, said))
            at += every


def _measured(replay: Replay, program: Program, at: Instant, said: list[Cut]) -> Answer | None:
    """The record, unless nobody is ranked and nobody was: what was said last is in `said`."""
    core, store = ProfileCore(Ids(REPLAY_SECRET)), program.settings.store
    rows = (core.decode(blob) for _, _, blob in replay.rows("profile"))
    cuts = measure(program, (row for row in rows if row.to is None and row.store == store), at)
    if not cuts and not said:
        return None
    said[:] = cuts
    return population(PopulationMeasured(store, 0, cuts), REPLAY_SECRET)
