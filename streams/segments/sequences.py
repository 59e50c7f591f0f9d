"""The answers of leaves that ask for events in an order: exact for the newest 500 of each step.

The search runs backwards. For each event that may take a step it says from when on (`ready_at`)
the rest of the sequence holds: an event that did happen is there at once, a `did_not` when its time
is over. Of two events the later one is never ready sooner, so the first that fits is the best.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from schemas import conditions as c
from schemas.rows import Entry
from schemas.values import Instant, Millis
from streams.segments.evidence import Found, explain_events
from streams.segments.features import Registry
from streams.segments.ground import Ground, horizon_of, reach_of
from streams.segments.keeping import ENTRIES_MAX
from streams.segments.person import FAILS, HOLDS, Answer, Compiled, Needs, Person
from streams.segments.texts import leaf_text
from streams.segments.windows import Picks, Reach, flow_start, trigger_events


class Absent(NamedTuple):
    """What must not have happened. within: None until the next step that did, or until now."""

    key: str
    picks: Picks | None
    within: Millis | None


class Step(NamedTuple):
    """What did happen, after it what did not. within: counted from the end of what was before."""

    key: str
    picks: Picks | None
    within: Millis | None
    absent: tuple[Absent, ...]


class Place(NamedTuple):
    """An event that takes a step, when the sequence holds from there on, and the next event."""

    entry: Entry
    ready_at: Instant
    follows: "Place | None"


class _Gap(NamedTuple):
    """end: of what was waited for. over: some of it was. open: (instants, from when) of what must
    not happen before the next step.
    """

    end: Instant
    over: bool
    open: tuple[tuple[list[Entry], Instant], ...]


def sequence(condition: c.Sequence, registry: Registry) -> Compiled:
    """Compile, and ask the registry for a feature a step."""
    reach = reach_of(condition.window)._replace(of_all=False)
    plans = [
        _plan(condition.steps[:many], condition.window, registry)
        for many in range(1, len(condition.steps) + 1)
    ]
    steps = plans[-1]
    total = len(condition.steps)
    keys = frozenset(step.key for step in steps)
    keys |= {absent.key for step in steps for absent in step.absent}

    def ask(person: Person, now: Instant) -> Answer:
        return _answer(search(person, steps, reach), reach, now)[0]

    def find(person: Person, now: Instant) -> Found:
        """The longest beginning of the sequence that is there, and its events."""
        cut = [key for key in keys if _is_cut(person, key)]
        note = f"only the newest {ENTRIES_MAX} events of each step count" if cut else None
        for many in range(total, 0, -1):
            (holds, _), place = _answer(search(person, plans[many - 1], reach), reach, now)
            if holds:
                entries = []
                while place is not None:
                    entries.append(place.entry)
                    place = place.follows
                return Found(f"{many} of {total} steps", entries[::-1], note)
        return Found(f"0 of {total} steps", [], note)

    explain = explain_events(ask, leaf_text(condition), find)
    return Compiled(ask, explain, Needs(keys))


def _is_cut(person: Person, key: str) -> bool:
    state = person.row.features.get(key)
    return state is not None and len(state.entries) == ENTRIES_MAX < state.count


def _plan(
    steps: Sequence[c.SequenceStep], window: c.Window | None, registry: Registry
) -> tuple[Step, ...]:
    """What did not happen is put after what did; a static window is for what did."""
    plan: list[Step] = []
    horizon = horizon_of(window, compared=True)
    for step in steps:
        ground = Ground(step.event, window if step.happened else None, None)
        key = registry.ask(ground.content("recent"), keep=ENTRIES_MAX, horizon=horizon)
        if step.happened:
            plan.append(Step(key, ground.picks, step.within, ()))
        else:
            absent = Absent(key, ground.picks, step.within)
            plan[-1] = plan[-1]._replace(absent=(*plan[-1].absent, absent))
    return tuple(plan)


def _answer(places: Sequence[Place], reach: Reach, now: Instant) -> tuple[Answer, Place | None]:
    """The first event leaves the window first: the newest that is ready holds longest."""
    soonest: Instant | None = None
    for place in reversed(places):
        leaves_at = None if reach.far is None else place.entry.occurred_at + reach.far
        if place.ready_at <= now:
            if leaves_at is None:
                return HOLDS, place
            if now < leaves_at:
                return (True, leaves_at), place
        elif leaves_at is None or place.ready_at < leaves_at:
            soonest = place.ready_at
    return (FAILS if soonest is None else (False, soonest)), None


def search(person: Person, steps: Sequence[Step], reach: Reach) -> list[Place]:
    """Every event from which the whole sequence holds sooner or later, oldest first."""
    places: list[Place] = []
    for number in range(len(steps) - 1, -1, -1):
        step = steps[number]
        following = steps[number + 1] if number + 1 < len(steps) else None
        absent = [(entries_of(person, one), one.within) for one in step.absent]
        found: list[Place] = []
        for entry in entries_of(person, step):
            if reach.since_start and not _counts(person, entry):
                continue
            gap = _pass_over(entry, absent)
            if gap is None:
                continue
            if following is None:
                if not any(_happened(others, since, None, entry) for others, since in gap.open):
                    found.append(Place(entry, max(entry.occurred_at + reach.near, gap.end), None))
                continue
            place = _first_after(entry, gap, following.within, places)
            if place is not None:
                found.append(Place(entry, place.ready_at, place))
        places = found
        if not places:
            break
    return places


def entries_of(person: Person, part: Step | Absent) -> list[Entry]:
    """Oldest first."""
    state = person.row.features.get(part.key)
    if state is None:
        return []
    picks = part.picks
    return [one for one in reversed(state.entries) if picks is None or picks(person, one)]


def _counts(person: Person, entry: Entry) -> bool:
    start = flow_start(person)
    if start is None or entry.occurred_at < start:
        return False
    return entry.event_id not in trigger_events(person)


def _pass_over(entry: Entry, absent: Sequence[tuple[list[Entry], Millis | None]]) -> _Gap | None:
    """What must not happen after the entry; None where it did."""
    end, over = entry.occurred_at, False
    still_open = []
    for others, within in absent:
        if within is None:
            still_open.append((others, end))
            continue
        if _happened(others, end, end + within, entry):
            return None
        end, over = end + within, True
    return _Gap(end, over, tuple(still_open))


def _happened(others: list[Entry], start: Instant, end: Instant | None, itself: Entry) -> bool:
    """Did one of the others happen from `start` to before `end`? The event itself is no other."""
    first = bisect_left(others, start, key=_occurred_at)
    for other in others[first : first + 2]:
        if end is not None and other.occurred_at >= end:
            return False
        if other.event_id != itself.event_id:
            return True
    return False


def _first_after(
    entry: Entry, gap: _Gap, within: Millis | None, places: Sequence[Place]
) -> Place | None:
    """The first place for the next step: later than the event, or from the end of a gap on."""
    find = bisect_left if gap.over else bisect_right
    first = find(places, gap.end, key=_taken_at)
    if first == len(places):
        return None
    place = places[first]
    at = place.entry.occurred_at
    if within is not None and at >= gap.end + within:
        return None
    if any(_happened(others, since, at, entry) for others, since in gap.open):
        return None
    return place


def _occurred_at(entry: Entry) -> Instant:
    return entry.occurred_at


def _taken_at(place: Place) -> Instant:
    return place.entry.occurred_at
