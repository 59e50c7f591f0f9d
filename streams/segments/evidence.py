"""Evidence: what each leaf found, the events behind it. Built only on demand."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from schemas import conditions as c
from schemas.outputs import Evidence
from schemas.rows import Entry, FeatureState
from schemas.values import Instant
from streams.instants import to_timestamp
from streams.money import to_money
from streams.segments.features import LEFT_OUT
from streams.segments.person import Ask, Explain, Person
from streams.segments.windows import Picks, Reach, flow_start, trigger_events, weigh

EVENTS_MAX = 10


class Describe(NamedTuple):
    text: str
    key: str
    reach: Reach
    picks: Picks | None


def explain_leaf(ask: Ask, text: str, find: Callable[[Person], str | None]) -> Explain:
    def explain(person: Person, now: Instant) -> tuple[Evidence, ...]:
        holds, flip = ask(person, now)
        return (Evidence(leaf=text, holds=holds, value=find(person), next_flip=_shown(flip)),)

    return explain


class Found(NamedTuple):
    """entries: the deciding events, newest first."""

    value: str
    entries: list[Entry]
    note: str | None = None


def explain_events(ask: Ask, text: str, find: Callable[[Person, Instant], Found]) -> Explain:
    def explain(person: Person, now: Instant) -> tuple[Evidence, ...]:
        holds, flip = ask(person, now)
        found = find(person, now)
        return (
            Evidence(
                leaf=text,
                holds=holds,
                value=found.value,
                events=tuple(entry.event_id for entry in found.entries[:EVENTS_MAX]),
                next_flip=_shown(flip),
                note=found.note,
            ),
        )

    return explain


def explain_feature(ask: Ask, describe: Describe, condition: c.Did | c.Measured) -> Explain:
    def explain(person: Person, now: Instant) -> tuple[Evidence, ...]:
        holds, flip = ask(person, now)
        state = person.row.features.get(describe.key)
        inside = [] if state is None else list(_inside(person, state, describe, now))
        return (
            Evidence(
                leaf=describe.text,
                holds=holds,
                value=_value(person, state, inside, describe, condition, now),
                events=tuple(entry.event_id for entry in inside[:EVENTS_MAX]),
                next_flip=_shown(flip),
                note=_note(person, state, describe.key),
            ),
        )

    return explain


def _shown(flip: Instant | None) -> str | None:
    return None if flip is None else to_timestamp(flip)


def _inside(
    person: Person, state: FeatureState, describe: Describe, now: Instant
) -> Iterator[Entry]:
    near, far, _, since_start = describe.reach
    start = flow_start(person) if since_start else None
    begun = trigger_events(person) if since_start else ()
    for entry in state.entries:
        at = entry.occurred_at
        if at + near > now or (far is not None and at + far <= now):
            continue
        if since_start and (start is None or at < start or entry.event_id in begun):
            continue
        if describe.picks is None or describe.picks(person, entry):
            yield entry


def _value(
    person: Person,
    state: FeatureState | None,
    inside: list[Entry],
    describe: Describe,
    condition: c.Did | c.Measured,
    now: Instant,
) -> str:
    """What the comparison was made with; `3+` where more events than were kept may be inside."""
    if state is None:
        return "0" if isinstance(condition, c.Did) else "none"
    ever = describe.reach == Reach() and describe.picks is None
    match condition:
        case c.Did():
            if ever:
                return str(state.count)
            many = len(inside) == len(state.entries) < state.count
            return f"{len(inside)}{'+' if many and not state.coarse else ''}"
        case c.Measured(measure="max" | "min" as measure):
            found = [entry.amount for entry in inside if entry.amount is not None]
            return to_money(max(found) if measure == "max" else min(found)) if found else "none"
        case c.Measured(measure=measure):
            count, total = state.count, state.total
            if not ever:
                count, total, _ = weigh(person, state, describe.reach, describe.picks, now)
            if measure == "total":
                return to_money(total)
            return to_money(total // count) if count else "none"


def _note(person: Person, state: FeatureState | None, key: str) -> str | None:
    notes = []
    if state is not None and state.coarse:
        notes.append("older events are counted by the hour")
    left_out = person.row.features.get(key + LEFT_OUT)
    if left_out is not None and left_out.count:
        notes.append(f"{left_out.count} in other currencies left out")
    if left_out is not None and left_out.total:
        notes.append(f"{left_out.total} left out: finer than a millionth, or above 9.2e12")
    return "; ".join(notes) or None
