"""Membership: which segments a profile entered or exited, and when time alone will change that.

In: a row that has noted what happened. Out: changes, and the row's `segments` brought up to date.
A row holds a membership only for the segments that it is or was in, and a flip only for those that
time alone may change: what never happens costs nothing.
"""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import Final, Literal, NamedTuple

import msgspec

from schemas.events import Event
from schemas.outputs import Evidence, SegmentChanged
from schemas.rows import Membership, ProfileRow
from schemas.values import Instant, SegmentId
from streams.core import PartRaised
from streams.definitions.program import Program
from streams.ids import Ids
from streams.instants import MINUTE, to_timestamp
from streams.segments.features import LEFT_OUT, SHADOW
from streams.segments.person import Person

DEFINITIONS: Final = "definitions"
"""The leaf of the evidence that names the version which brought a change about."""

POPULATION: Final = "population"
"""The leaf of the evidence that says that new cuts through the population brought a change about,
and for which instant the newest was measured.
"""

LATE: Final = "late"
"""The leaf of the evidence that names an event which came late, and when it happened."""

LATE_AFTER = MINUTE
"""What comes sooner after it happened is not late: things take so long."""


class Change(NamedTuple):
    """What a membership became.

    by_definition: new definitions did it, not the profile: no flow starts.
    """

    segment: SegmentId
    entered: bool
    at: Instant
    by_definition: bool
    output: SegmentChanged


def evaluate(
    row: ProfileRow,
    program: Program,
    segments: Iterable[SegmentId],
    now: Instant,
    *,
    due: Instant | None,
    ids: Ids,
    by_definition: bool = False,
) -> list[Change]:
    """Ask the given segments, those whose own flip is due, and those that depend on what changed.

    due: the instant at which time alone changes something; then this is when it is asked, and the
         `at` of the changes. None: what happened counts from `now`.
    A new row is asked for every segment; one of other definitions has to `adopt` these first.
    """
    queue = {program.segments[name].rank: name for name in segments if name in program.segments}
    if row.definitions != program.mark:
        assert not row.definitions, "a row of other definitions adopts these first"
        queue = {segment.rank: segment.id for segment in program.segments.values()}
        row.definitions = program.mark
    if due is not None:
        for name in [name for name, flip in row.flips.items() if flip <= due]:
            queue[program.segments[name].rank] = name
    at = now if due is None else due
    return _ask_all(row, program, queue, at, now, ids, by_definition=by_definition)


def adopt(row: ProfileRow, program: Program, now: Instant, *, ids: Ids) -> list[Change]:
    """Bring a row of other definitions under these, before anything else happens to it.

    All changes are `by_definition`. Who is in a segment that is gone exits from it; nothing of it
    is left behind. A new row has nothing to adopt.
    """
    if not row.definitions or row.definitions == program.mark:
        return []
    exits = [
        change_of(row, name, membership, False, now, now, True, (), ids)
        for name, membership in row.segments.items()
        if name not in program.segments and membership.since is not None
    ]
    carry_over(row, program)
    queue = {segment.rank: segment.id for segment in program.segments.values()}
    changes = exits + _ask_all(row, program, queue, now, now, ids, by_definition=True)
    because = Evidence(leaf=DEFINITIONS, holds=True, value=program.version)
    return [because_of(change, because) for change in changes]


def is_under(row: ProfileRow, program: Program) -> bool:
    """Has everything in the row been asked under these definitions and these cuts?"""
    return row.definitions == program.mark and row.population == program.population


def ask_ranked(row: ProfileRow, program: Program, now: Instant, *, ids: Ids) -> list[Change]:
    """Ask the segments that rank under new cuts, before anything else happens to the row.

    All changes are `by_definition`: what others did starts no flow. A new row has nothing to ask.
    """
    row.population = program.population
    if not row.definitions:
        return []
    segments = program.segments_for(rankings=program.rankings)
    changes = evaluate(row, program, segments, now, due=None, ids=ids, by_definition=True)
    measured_at = max((cut.at for cut in program.cuts), default=now)
    because = Evidence(leaf=POPULATION, holds=True, value=to_timestamp(measured_at))
    return [because_of(change, because) for change in changes]


def next_flip(row: ProfileRow) -> Instant | None:
    """When time alone may next change a membership."""
    return min(row.flips.values(), default=None)


def carry_over(row: ProfileRow, program: Program) -> None:
    """Bring the state of a row of other definitions here: nothing of what is gone is left behind.

    No segment is asked.
    """
    for name in [name for name in row.segments if name not in program.segments]:
        del row.segments[name]
    row.flips = {name: flip for name, flip in row.flips.items() if name in program.segments}
    row.disabled = {part: mark for part, mark in row.disabled.items() if mark == program.mark}
    carry_features(row, program)
    if program.past.shadow:
        row.filled = []
    row.definitions = program.mark


def carry_features(row: ProfileRow, program: Program) -> None:
    """Keep the features that are still asked for. Those whose shadow goes live are what was noted
    in it; what another switch has left in shadow is dropped.
    """
    features = row.features
    goes_live = row.definitions == program.version + SHADOW
    for key in program.past.unready if not program.past.shadow else ():
        for one in (key, key + LEFT_OUT):
            features.pop(one, None)
            if goes_live and (noted := features.pop(SHADOW + one, None)) is not None:
                features[one] = noted
    for key in [
        key
        for key in features
        if key.startswith(SHADOW) or key.rstrip(LEFT_OUT) not in program.features
    ]:
        del features[key]


def _ask_all(
    row: ProfileRow,
    program: Program,
    queue: dict[int, SegmentId],
    at: Instant,
    now: Instant,
    ids: Ids,
    *,
    by_definition: bool,
) -> list[Change]:
    """Ask in the order of ranks; who depends on a change is asked after it."""
    person = Person(row, program)
    changes: list[Change] = []
    ranks = list(queue)
    heapify(ranks)
    memberships, flips = row.segments, row.flips
    while ranks:
        name = queue[heappop(ranks)]
        segment = program.segments[name]
        if row.disabled and row.disabled.get(f"segment/{name}") == program.mark:
            flips.pop(name, None)
            continue
        try:
            holds, flip = segment.condition.ask(person, at)
            assert flip is None or flip > at, "a flip is always later"
            had = memberships.get(name)
            changed = holds is not (had is not None and had.since is not None)
            evidence = segment.condition.explain(person, at) if changed else ()
        except Exception as error:
            raise PartRaised(f"segment/{name}") from error
        if flip is not None:
            flips[name] = flip
        elif name in flips:
            del flips[name]
        if not changed:
            continue
        if had is None:
            had = memberships[name] = Membership()
        changes.append(change_of(row, name, had, holds, at, now, by_definition, evidence, ids))
        for other in program.segments_for(segments=(name,)):
            rank = program.segments[other].rank
            if rank not in queue:
                queue[rank] = other
                heappush(ranks, rank)
    return changes


def change_of(
    row: ProfileRow,
    segment: SegmentId,
    membership: Membership,
    entered: bool,
    at: Instant,
    now: Instant,
    by_definition: bool,
    evidence: tuple[Evidence, ...],
    ids: Ids,
) -> Change:
    """Write the change into the membership, which counts them, so that ids are unique."""
    before = membership.changes
    membership.since = at if entered else None
    membership.changes = before + 1
    word: Literal["entered", "exited"] = "entered" if entered else "exited"
    output = SegmentChanged(
        id="c" + ids.derive("segment-change", row.store, row.id, segment, word, at, before),
        store=row.store,
        profile_id=row.id,
        segment=segment,
        change=word,
        at=to_timestamp(at),
        decided_at=to_timestamp(now),
        evidence=evidence,
    )
    return Change(segment, entered, at, by_definition, output)


def because_of(change: Change, reason: Evidence) -> Change:
    """The change with what brought it about, before the leaves of the condition."""
    output = change.output
    explained = msgspec.structs.replace(output, evidence=(reason, *output.evidence))
    return change._replace(output=explained)


def because_late(changes: list[Change], event: Event | None) -> list[Change]:
    """Changes by an event that came late say so: it would have changed the membership before."""
    if event is None or event.received_at - event.occurred_at <= LATE_AFTER:
        return changes
    at = to_timestamp(event.occurred_at)
    late = Evidence(leaf=LATE, holds=True, value=at, events=(event.id,))
    return [because_of(change, late) for change in changes]
