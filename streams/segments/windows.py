"""The answers of leaves that look at features, one function for each form of window.

Each returns a closure over the feature's key. Entries are newest first and never later than `now`.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from schemas.conditions import Compare, Comparison, Range
from schemas.rows import Entry, FeatureState, FlowRun
from schemas.values import EventId, Instant, Micros, Millis
from streams.definitions.comparisons import compile_comparison
from streams.segments.keeping import bucket_at
from streams.segments.person import FAILS, HOLDS, Answer, Ask, Person
from streams.segments.values import is_same

Judge: TypeAlias = Callable[[int, Micros], bool]
"""(count, total) -> does it hold."""

Picks: TypeAlias = Callable[[Person, Entry], bool]
"""Does this entry count for this person: a comparison with the trigger."""

LOOKS_MAX = 16
"""Instants looked at for the flip of an extreme; then an early flip is given."""


# --- counts --------------------------------------------------------------------------------------


def count_ever(key: str, test: Callable[[int], bool]) -> Ask:
    of_nothing = (test(0), None)

    def ask(person: Person, _now: Instant) -> Answer:
        state = person.row.features.get(key)
        if state is None:
            return of_nothing
        return HOLDS if test(state.count) else FAILS

    return ask


def any_in_last(key: str, span: Millis, *, wanted: bool) -> Ask:
    """At least one (wanted), or none at all."""
    nothing = (not wanted, None)

    def ask(person: Person, now: Instant) -> Answer:
        state = person.row.features.get(key)
        if state is None or not state.entries:
            return nothing
        flip = state.entries[0].occurred_at + span
        return (wanted, flip) if flip > now else nothing

    return ask


def count_in_last(key: str, span: Millis, test: Callable[[int], bool], keep: int) -> Ask:
    """The newest `keep` entries decide: that many or more give the same answer."""
    answers = tuple(test(count) for count in range(keep + 1))
    of_nothing = (answers[0], None)

    def ask(person: Person, now: Instant) -> Answer:
        state = person.row.features.get(key)
        if state is None:
            return of_nothing
        entries = state.entries
        edge = now - span
        count = 0
        for entry in entries:
            if count == keep or entry.occurred_at <= edge:
                break
            count += 1
        holds = answers[count]
        for left in range(count - 1, -1, -1):
            leaves_at = entries[left].occurred_at
            together = left and entries[left - 1].occurred_at == leaves_at
            if answers[left] is not holds and not together:
                return holds, leaves_at + span
        return holds, None

    return ask


def count_at_least_ago(key: str, span: Millis, test: Callable[[int], bool], keep: int) -> Ask:
    """The oldest `keep` entries decide: they are counted as they grow old enough."""
    answers = tuple(test(count) for count in range(keep + 1))
    of_nothing = (answers[0], None)

    def ask(person: Person, now: Instant) -> Answer:
        state = person.row.features.get(key)
        if state is None:
            return of_nothing
        ages = [entry.occurred_at for entry in reversed(state.entries)][:keep]
        edge = now - span
        count = sum(1 for at in ages if at <= edge)
        holds = answers[count]
        for reached in range(count + 1, len(ages) + 1):
            enters_at = ages[reached - 1]
            together = reached < len(ages) and ages[reached] == enters_at
            if answers[reached] is not holds and not together:
                return holds, enters_at + span
        return holds, None

    return ask


def flow_start(person: Person) -> Instant | None:
    """The start of the run, or of the run that is about to start."""
    if person.run is not None:
        return person.run.started_at
    return None if person.trigger is None else person.trigger.occurred_at


def trigger_events(person: Person) -> tuple[EventId, ...]:
    """The events that started the run: they do not count since its start."""
    trigger = person.trigger if person.run is None else person.run.trigger
    return () if trigger is None else (trigger.event_id, trigger.begun_by)


def count_since_start(key: str, test: Callable[[int], bool], keep: int) -> Ask:
    """The triggering event itself does not count."""

    def ask(person: Person, _now: Instant) -> Answer:
        start = flow_start(person)
        state = person.row.features.get(key)
        if state is None or start is None:
            return test(0), None
        begun = trigger_events(person)
        count = 0
        for entry in state.entries:
            if count == keep or entry.occurred_at < start:
                break
            if entry.event_id not in begun:
                count += 1
        return test(count), None

    return ask


# --- sums, and everything that needs each entry --------------------------------------------------


class Move(NamedTuple):
    """At this instant so much comes into the window, or leaves it."""

    at: Instant
    many: int
    amount: Micros


class Reach(NamedTuple):
    """near, far: entries are in the window from occurred_at + near until occurred_at + far.

    of_all: begin with count and total of all events (entries cover only the youngest).
    since_start: entries before the start of the flow, and the trigger, do not count.
    """

    near: Millis = 0
    far: Millis | None = None
    of_all: bool = False
    since_start: bool = False


def swept(key: str, reach: Reach, judge: Judge, picks: Picks | None) -> Ask:
    """Count and total of a window, and the first instant at which the judgement changes."""
    of_nothing = (judge(0, 0), None)

    def ask(person: Person, now: Instant) -> Answer:
        state = person.row.features.get(key)
        if state is None:
            return of_nothing
        count, total, moves = weigh(person, state, reach, picks, now)
        holds = judge(count, total)
        if not moves:
            return holds, None
        moves.sort()
        last = len(moves) - 1
        for i, move in enumerate(moves):
            count += move.many
            total += move.amount
            together = i < last and moves[i + 1].at == move.at
            if not together and judge(count, total) is not holds:
                return holds, move.at
        return holds, None

    return ask


def amount_in_last(key: str, span: Millis, judge: Judge) -> Ask:
    """`swept` for the window that is asked for most: entries leave in their order, oldest first."""
    general = swept(key, Reach(0, span), judge, None)
    of_nothing = (judge(0, 0), None)

    def ask(person: Person, now: Instant) -> Answer:
        state = person.row.features.get(key)
        if state is None:
            return of_nothing
        if state.coarse:
            return general(person, now)
        entries = state.entries
        edge = now - span
        inside = count = total = 0
        for entry in entries:
            if entry.occurred_at <= edge:
                break
            inside += 1
            count += entry.times
            total += entry.amount or 0
        holds = judge(count, total)
        for left in range(inside - 1, -1, -1):
            entry = entries[left]
            count -= entry.times
            total -= entry.amount or 0
            if judge(count, total) is not holds:
                together = left and entries[left - 1].occurred_at == entry.occurred_at
                if not together:
                    return holds, entry.occurred_at + span
        return holds, None

    return ask


def weigh(
    person: Person, state: FeatureState, reach: Reach, picks: Picks | None, now: Instant
) -> tuple[int, Micros, list[Move]]:
    """(count, total, what moves later) of the window at `now`."""
    near, far, of_all, since_start = reach
    count, total = (state.count, state.total) if of_all else (0, 0)
    moves: list[Move] = []
    start = flow_start(person) if since_start else None
    begun = trigger_events(person) if since_start else ()
    if since_start and start is None:
        return 0, 0, moves
    for at, weight, amount in weights(person, state, picks, begun):
        if of_all:
            count -= weight
            total -= amount
        if start is not None and at < start:
            continue
        if at + near > now:
            moves.append(Move(at + near, weight, amount))
        elif far is None or at + far > now:
            count += weight
            total += amount
        else:
            continue
        if far is not None:
            moves.append(Move(at + far, -weight, -amount))
    return count, total, moves


def weights(
    person: Person, state: FeatureState, picks: Picks | None, begun: tuple[EventId, ...]
) -> Iterable[tuple[Instant, int, Micros]]:
    """(instant, how many, how much) of each entry that counts, then of each bucket."""
    for entry in state.entries:
        if entry.event_id not in begun and (picks is None or picks(person, entry)):
            yield entry.occurred_at, entry.times, entry.amount or 0
    if state.coarse and picks is None:
        for hour, (count, total) in state.coarse.items():
            yield bucket_at(hour), count, total


def amount_ever(key: str, judge: Judge) -> Ask:
    of_nothing = (judge(0, 0), None)

    def ask(person: Person, _now: Instant) -> Answer:
        state = person.row.features.get(key)
        if state is None:
            return of_nothing
        return HOLDS if judge(state.count, state.total) else FAILS

    return ask


def judge_count(test: Callable[[int], bool]) -> Judge:
    return lambda count, _total: test(count)


def judge_total(comparison: Comparison) -> Judge:
    test = compile_comparison(comparison, 1_000_000)
    return lambda _count, total: test(total)


def judge_average(comparison: Comparison) -> Judge:
    """Exact: the total is compared with so many times the limit. Of nothing there is no average."""

    def scaled(limit: Any) -> Any:
        exact = Fraction(limit) * 1_000_000
        return int(exact) if exact.denominator == 1 else exact

    match comparison:
        case Range(least, most):
            low, high = scaled(least), scaled(most)
            return lambda count, total: count > 0 and low * count <= total <= high * count
        case Compare(operator, to):
            limit, compare = scaled(to), _COMPARE[operator]
            return lambda count, total: count > 0 and compare(total, limit * count)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


# --- extremes ------------------------------------------------------------------------------------


def extreme(key: str, reach: Reach, comparison: Comparison, sign: int, picks: Picks | None) -> Ask:
    """The greatest (sign 1) or least (-1) amount of the window; of nothing there is none."""
    test = compile_comparison(comparison, 1_000_000)

    def judge(stays: Sequence[tuple[Instant, Instant | None, Micros]], at: Instant) -> bool:
        inside = [
            a for enters, leaves, a in stays if enters <= at and (leaves is None or at < leaves)
        ]
        return bool(inside) and test(max(inside) if sign > 0 else min(inside))

    def ask(person: Person, now: Instant) -> Answer:
        state = person.row.features.get(key)
        if state is None:
            return FAILS
        stays = amounts(person, state, reach, picks)
        holds = judge(stays, now)
        later = sorted({at for stay in stays for at in stay[:2] if at is not None and at > now})
        for looked, at in enumerate(later):
            if looked == LOOKS_MAX or judge(stays, at) is not holds:
                return holds, at
        return holds, None

    return ask


def amounts(
    person: Person, state: FeatureState, reach: Reach, picks: Picks | None
) -> list[tuple[Instant, Instant | None, Micros]]:
    """(enters, leaves, amount) of each entry."""
    near, far, _, since_start = reach
    start = flow_start(person) if since_start else None
    begun = trigger_events(person) if since_start else ()
    return [
        (entry.occurred_at + near, None if far is None else entry.occurred_at + far, entry.amount)
        for entry in state.entries
        if entry.amount is not None
        and entry.event_id not in begun
        and (not since_start or (start is not None and entry.occurred_at >= start))
        and (picks is None or picks(person, entry))
    ]


def compile_picks(others: Sequence[Callable[[Any], Any]], *, first: int = 0) -> Picks | None:
    """others: for each kept property from `first` on, what to compare it with in the trigger."""
    if not others:
        return None

    def picks(person: Person, entry: Entry) -> bool:
        run: FlowRun | None = person.run
        trigger = person.trigger if run is None else run.trigger
        return trigger is not None and all(
            is_same(kept, get(trigger))
            for kept, get in zip(entry.kept[first:], others, strict=True)
        )

    return picks
