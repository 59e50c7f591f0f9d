"""What segments cost: an event by their number, a row by its bytes, a million flips at a time.

Times are of the processor, so that what else runs on the machine does not count: a partition that
has a core for itself takes as long.
"""

import resource
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
import pytest

from schemas.records import INNER_SCHEMA, Clock, DefinitionsPublished, EventResolved, Passed
from schemas.rows import Entry, Position
from schemas.topics import SEGMENT_CHANGES
from schemas.values import LATE, RECORD, Instant
from streams.apply import Timers, play, remember
from streams.definitions.program import compile_program
from streams.definitions.switch import in_force
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import DAY
from streams.intake import RoundIntake
from streams.profile.step import ProfileCore
from streams.published import kept
from streams.replay import MemoryRecord
from streams.rounds import Round, Rounds
from tests.bench.bench_segments import events, measure, segments
from tests.bench.conftest import Results
from tests.scenarios.play import documents_of, event_of

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3_000)]

PROFILES = 1_000_000
BEGIN: Instant = 1_774_000_000_000
MINUTE, TICK = 60_000, 250
TOUCHED = 20
"""Beyond these, segments ask for metrics that no event has."""

QUIET = "store: main\n---\nsegment: active\nwhere: {did: Placed Order, in_last: 30d}\n"


def test_an_event_costs_what_it_touches_not_what_is_loaded(results: Results) -> None:
    history = events(20_000)
    micros = {}
    for count in (1, TOUCHED, 200, 1_000):
        loaded = compile_program(segments(count), version="v1")
        runs = [measure(loaded, history, 40) for _ in range(3)]
        micros[count] = min(run.event_us for run in runs)
        results.note(
            f"segments {count}",
            event_us=micros[count],
            first_us=min(run.first_us for run in runs),
            row_bytes=runs[0].row_bytes,
        )
    assert micros[1_000] < 1.3 * micros[TOUCHED], "20 are touched, whatever else is loaded"


class Partition(NamedTuple):
    """A partition of profiles that are all in one segment, each with its flip."""

    core: ProfileCore
    rows: dict[bytes, bytes]
    timers: Timers


def partition(spread: int, profiles: int = PROFILES) -> Partition:
    """The flips lie in `spread` milliseconds after thirty days."""
    published = DefinitionsPublished("main", "v1", "bench", documents_of(QUIET))
    core = ProfileCore(Ids(REPLAY_SECRET)).adopt(in_force(None, published, ()))
    who = (("external_id", "c-1"),)
    order = event_of("Placed Order", "o-1", BEGIN, who, {}, money="10")
    row, _ = core.step(None, "i0", EventResolved(order, who[0]), BEGIN, (BEGIN, 0, 0))
    assert row is not None
    ((key, state),) = row.features.items()
    rows: dict[bytes, bytes] = {}
    timers = Timers()
    for number in range(profiles):
        at = BEGIN + number * 7_919 % spread
        row.id = f"i{number:024x}"
        row.features[key].entries = [Entry(at, state.entries[0].event_id)]
        row.wake_at = row.flips["active"] = at + 30 * DAY
        rows[row.id.encode()] = core.encode(row)
        timers.set(row.id, row.wake_at)
    return Partition(core, rows, timers)


def rounds(of: Partition, first: Instant, count: int) -> Iterator[tuple[float, int]]:
    """(seconds, flips) of each round; what changed is kept, what is said is written out."""
    say = msgspec.json.Encoder().encode
    waiting = Rounds("profile", 1, Position(partitions=1))
    for number in range(count):
        began = time.process_time()
        start, end = first + number * TICK, first + (number + 1) * TICK
        window = Round((start, LATE, ()), (end, LATE, ()), end)
        flips, over = 0, False
        while not over:
            piece = play(of.core, of.rows.get, waiting, of.timers, window)
            window, over = window._replace(start=piece.turn), piece.over
            of.rows.update(piece.rows)
            for emitted in piece.emitted:
                say(emitted.output.record)
            flips += len(piece.rows)
        yield time.process_time() - began, flips


def event_waits(took: Iterable[float]) -> Iterator[float]:
    """How long events wait that come all the time, in seconds: rounds follow on each other."""
    end = 0.0
    for number, seconds in enumerate(took):
        bound = (number + 1) * TICK / 1000
        end = max(end, bound) + seconds
        for late in (0.0, 0.25, 0.5, 0.75, 0.99):
            yield end - bound + late * TICK / 1000


@pytest.mark.parametrize("workers", [1, 2])
def test_a_million_profiles_flip_within_a_minute_while_events_come(
    results: Results, workers: int
) -> None:
    """What one of so many workers has to do, on a core of its own."""
    profiles = PROFILES // workers
    took = list(rounds(partition(MINUTE, profiles), BEGIN + 30 * DAY - TICK, 1 + MINUTE // TICK))
    flips = sum(count for _, count in took)
    assert flips == profiles
    waits = sorted(event_waits([seconds for seconds, _ in took]))
    results.note(
        f"a million flips within a minute, {workers} workers",
        flip_us=sum(seconds for seconds, _ in took) / flips * 1e6,
        round_p99_s=sorted(seconds for seconds, _ in took)[-3],
        event_p99_s=waits[int(len(waits) * 0.99)],
        memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


def test_a_million_profiles_flip_at_the_same_instant(results: Results) -> None:
    took = list(rounds(partition(1), BEGIN + 30 * DAY - TICK, 2))
    flips = sum(count for _, count in took)
    assert flips == PROFILES
    results.note(
        "a million flips at one instant",
        longest_wait_s=max(seconds for seconds, _ in took),
        flips_per_s=flips / sum(seconds for seconds, _ in took),
        memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


# --- new definitions -----------------------------------------------------------------------------

CROWD = 250_000
"""Profiles of one partition: a quarter of a million."""

NEW = QUIET + "---\nsegment: buyers\nwhere: {did: Placed Order}\n"
SWITCHED_AT: Instant = BEGIN + DAY


@pytest.mark.parametrize("spreads", [True, False], ids=["little by little", "at once"])
def test_new_definitions_reach_every_profile_while_events_come(
    results: Results, spreads: bool
) -> None:
    of = partition(MINUTE, CROWD)
    old = DefinitionsPublished("main", "v1", "bench", documents_of(QUIET))
    remember(of.rows, [kept(in_force(None, old, ()))])
    core = ProfileCore(Ids(REPLAY_SECRET))
    intake = RoundIntake(core, 0, Position(partitions=1), of.rows, spreads=spreads)
    new = DefinitionsPublished("main", "v2", "bench", documents_of(NEW))
    origin = (SWITCHED_AT, 0, 0)
    log = [(b"", Passed(INNER_SCHEMA, SWITCHED_AT, RECORD, origin, new))]
    took: list[float] = []
    entered = 0
    while entered < CROWD:
        at = SWITCHED_AT + len(took) * TICK
        log += [(b"", Clock(INNER_SCHEMA, stage, 0, at)) for stage in ("identity", "profile")]
        records = [
            MemoryRecord(3 * len(took) + i, at, key, msgspec.msgpack.encode(value))
            for i, (key, value) in enumerate(log)
        ]
        log = []
        began = time.process_time()
        intake.read(records)
        while (work := intake.next()) is not None:
            remember(of.rows, work.rows)
            entered += sum(write.topic == SEGMENT_CHANGES.name for write in work.writes)
        took.append(time.process_time() - began)
    waits = sorted(event_waits(took))
    results.note(
        f"new definitions, {CROWD:,} profiles of a partition, "
        + ("little by little" if spreads else "at once"),
        visit_us=sum(took) / CROWD * 1e6,
        reached_s=len(took) * TICK / 1000,
        longest_round_s=max(took),
        event_p99_s=waits[int(len(waits) * 0.99)],
    )
    assert not spreads or max(took) < 2, "records hardly wait"
