"""Evidence: each leaf as text, what was found, the events behind it. Built only on demand."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import NamedTuple

from schemas import conditions as c
from schemas.outputs import Evidence
from schemas.rows import Entry, FeatureState
from schemas.values import Instant
from streams.definitions.comparisons import show_comparison, show_number
from streams.definitions.durations import to_duration
from streams.instants import to_timestamp
from streams.money import to_money
from streams.segments.features import LEFT_OUT
from streams.segments.person import Ask, Explain, Person
from streams.segments.windows import Picks, Reach, flow_start, trigger_event, weigh

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
    itself = trigger_event(person) if since_start else None
    for entry in state.entries:
        at = entry.occurred_at
        if at + near > now or (far is not None and at + far <= now):
            continue
        if since_start and (start is None or at < start or entry.event_id == itself):
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
    if left_out is not None:
        notes.append(f"{left_out.count} in other currencies left out")
    return "; ".join(notes) or None


# --- leaves as text ------------------------------------------------------------------------------


def leaf_text(condition: c.Condition) -> str:
    """The leaf in the language of definitions: `did Placed Order >= 2 in_last 60d`."""
    match condition:
        case c.Did(event, times, window):
            if times == c.Compare("=", Decimal(0)):
                return f"did_not {_event_text(event)}{_window_text(window)}"
            once = times == c.Compare(">=", Decimal(1))
            many = "" if once else f" {show_comparison(times)}"
            return f"did {_event_text(event)}{many}{_window_text(window)}"
        case c.Measured(event, measure, of, comparison, window):
            compared = f"{measure} of {of} {show_comparison(comparison)}"
            return f"did {_event_text(event)} {compared}{_window_text(window)}"
        case c.TraitIs(trait, tests):
            return f"trait {trait} {' and '.join(map(_test_text, tests))}"
        case c.TraitHeld(trait, value, span):
            return f"trait {trait} held {_scalar_text(value)} for {to_duration(span)}"
        case c.CanReceive(channel, name):
            return f"can_receive {channel}{f' list {name}' if name else ''}"
        case c.ConsentIs(channel, state, method, span):
            by = f" method {method}" if method else ""
            return f"consent {channel} is {state}{by}{_span_text('in_last', span)}"
        case c.InList(name, span):
            return f"in_list {name}{_span_text('joined_in_last', span)}"
        case c.InSegment(name, span):
            return f"in_segment {name}{_span_text('for', span)}"
        case c.InCountry(countries):
            return f"country {', '.join(countries)}"
        case c.InRegion(region):
            return f"region {region}"
        case c.Sampled(share, seed):
            return f"sample {share / 10_000:g}%{f' seed {seed}' if seed else ''}"
        case c.TriggerPasses(where):
            return f"trigger {_filters_text(where)}"
        case c.InFlow(name):
            return f"in_flow {name}"
        case _:
            return str(condition.__struct_config__.tag)


def _event_text(event: c.EventFilter) -> str:
    return f"{event.metric} where {_filters_text(event.where)}" if event.where else event.metric


def _filters_text(filters: tuple[c.Filter, ...]) -> str:
    return " and ".join(f"{f.path} {' and '.join(map(_test_text, f.tests))}" for f in filters)


def _test_text(test: c.ValueTest) -> str:
    match test:
        case c.IsOneOf(values):
            return f"is {', '.join(map(_scalar_text, values))}"
        case c.IsNoneOf(values):
            return f"is_not {', '.join(map(_scalar_text, values))}"
        case c.IsCompared(comparison):
            return show_comparison(comparison)
        case c.Contains(_, text):
            return f"contains {text}"
        case c.StartsWith(text):
            return f"starts_with {text}"
        case c.EndsWith(text):
            return f"ends_with {text}"
        case c.Matches(pattern):
            return f"matches {pattern}"
        case c.IsSet(wanted):
            return "is_set" if wanted else "is not set"
        case c.HasLength(comparison):
            return f"length {show_comparison(comparison)}"
        case c.SameAsTrigger(path):
            return f"is the trigger's {path}"


def _scalar_text(value: c.Scalar) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case _:
            return show_number(value)


def _span_text(word: str, span: int | None) -> str:
    return "" if span is None else f" {word} {to_duration(span)}"


def _window_text(window: c.Window | None) -> str:
    match window:
        case None:
            return ""
        case c.InLast(span):
            return f" in_last {to_duration(span)}"
        case c.AtLeastAgo(span):
            return f" at_least_ago {to_duration(span)}"
        case c.Ago(near, far):
            return f" ago {to_duration(near)}..{to_duration(far)}"
        case c.Before(at):
            return f" before {to_timestamp(at)}"
        case c.After(at):
            return f" after {to_timestamp(at)}"
        case c.Between(start, end):
            return f" between {to_timestamp(start)} and {to_timestamp(end)}"
        case c.SinceFlowStart():
            return " since flow_start"
