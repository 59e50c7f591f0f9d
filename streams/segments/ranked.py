"""The answer of the leaves `top` and `bottom`: a profile against a cut through all of a store's.

The cut is measured elsewhere, now and then, and comes in through the log. Ranked is who has done
the thing in the window at least once. Who has just as much as the last one inside is inside too.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from hashlib import blake2b
from typing import NamedTuple, Protocol

import msgspec

from schemas import conditions as c
from schemas.outputs import Evidence
from schemas.records import Cut
from schemas.rows import ProfileRow
from schemas.values import Instant
from streams.instants import to_timestamp
from streams.money import MICROS, to_money
from streams.segments import windows
from streams.segments.features import Registry
from streams.segments.ground import Ground, extreme_kind, horizon_of, reach_of
from streams.segments.keeping import ENTRIES_MAX
from streams.segments.person import FAILS, Answer, Ask, Compiled, InForce, Needs, Person
from streams.segments.texts import leaf_text
from streams.segments.windows import Reach

MILLIONTHS = 1_000_000


class Figure(NamedTuple):
    """What a profile is ranked by: `total / parts`; `parts` is 1 but for averages."""

    total: int
    parts: int


FigureOf = Callable[[Person, Instant], Figure | None]


class Ranking(NamedTuple):
    """What has to be measured. figure: of one profile; None: it is not ranked."""

    condition: c.Ranked
    figure: FigureOf


class HasRankings(InForce, Protocol):
    """What measuring needs of a program."""

    @property
    def rankings(self) -> Mapping[str, Ranking]: ...


def key_of(condition: c.Ranked) -> str:
    """The same leaf has the same key in every version of the definitions."""
    return blake2b(msgspec.json.encode(condition), digest_size=6).hexdigest()


def place_of(profiles: int, share: int) -> int:
    """How many are inside: rounded up, so of a few it is at least one."""
    return -(-profiles * share // MILLIONTHS)


def cut_of(condition: c.Ranked, figures: Iterable[Figure], at: Instant) -> Cut | None:
    """The cut through these figures; None where nobody is ranked, or nobody is to be inside."""
    found = sorted(figures, key=lambda one: Fraction(*one), reverse=not condition.bottom)
    place = place_of(len(found), condition.share)
    if not found or not place:
        return None
    return Cut(key_of(condition), *found[place - 1], len(found), at)


def measure(program: HasRankings, rows: Iterable[ProfileRow], at: Instant) -> tuple[Cut, ...]:
    """The cuts through these profiles, as they are at `at`."""
    people = [Person(row, program) for row in rows]
    found = (
        cut_of(
            ranking.condition,
            [one for person in people if (one := ranking.figure(person, at)) is not None],
            at,
        )
        for _, ranking in sorted(program.rankings.items())
    )
    return tuple(cut for cut in found if cut is not None)


def mark_of(cuts: Iterable[Cut]) -> str:
    """The same for cuts at the same places, whenever and of how many they were measured."""
    places = sorted((cut.ranking, cut.total, cut.count) for cut in cuts)
    return blake2b(repr(places).encode(), digest_size=6).hexdigest() if places else ""


def ranked(condition: c.Ranked, registry: Registry) -> Compiled:
    """Compile, ask the registry for a feature, and say what has to be measured."""
    if condition.measure in ("min", "max"):
        ask_by, figure, key = _extreme(condition, registry)
    else:
        ask_by, figure, key = _sum(condition, registry)
    name = key_of(condition)
    registry.rankings[name] = Ranking(condition, figure)
    cut = registry.cuts.get(name)
    ask = _outside if cut is None else ask_by(cut)
    text = leaf_text(condition)

    def explain(person: Person, now: Instant) -> tuple[Evidence, ...]:
        holds, flip = ask(person, now)
        found = figure(person, now)
        return (
            Evidence(
                leaf=text,
                holds=holds,
                value="none" if found is None else shown(condition, found),
                next_flip=None if flip is None else to_timestamp(flip),
                note=_note(condition, cut),
            ),
        )

    needs = Needs(frozenset({key}), rankings=frozenset({name}))
    return Compiled(ask, explain, needs)


def _outside(_person: Person, _now: Instant) -> Answer:
    return FAILS


def shown(condition: c.Ranked, figure: Figure) -> str:
    """A figure as people read it."""
    if condition.measure is None:
        return str(figure.total)
    return to_money(figure.total // figure.parts)


def _note(condition: c.Ranked, cut: Cut | None) -> str:
    if cut is None:
        return "not measured yet"
    limit = shown(condition, Figure(cut.total, cut.count))
    return f"the cut is {limit}, of {cut.profiles} profiles at {to_timestamp(cut.at)}"


def _sum(condition: c.Ranked, registry: Registry) -> tuple[Callable[[Cut], Ask], FigureOf, str]:
    """Counts, totals and averages."""
    window, measure = condition.window, condition.measure
    ground, reach = Ground(condition.event, window, condition.of), reach_of(condition.window)
    ever = reach == Reach()
    if ever:
        key = registry.ask(ground.content("newest"), keep=1)
    else:
        horizon = horizon_of(window, compared=False)
        key = registry.ask(ground.content("span"), horizon=horizon)

    def of(count: int, total: int) -> Figure | None:
        if not count:
            return None
        if measure is None:
            return Figure(count, 1)
        return Figure(total, count if measure == "average" else 1)

    def figure(person: Person, now: Instant) -> Figure | None:
        state = person.row.features.get(key)
        if state is None:
            return None
        if ever:
            return of(state.count, state.total)
        count, total, _ = windows.weigh(person, state, reach, None, now)
        return of(count, total)

    def ask_by(cut: Cut) -> Ask:
        sign = -1 if condition.bottom else 1

        def judge(count: int, total: int) -> bool:
            found = of(count, total)
            if found is None:
                return False
            return sign * (found.total * cut.count - cut.total * found.parts) >= 0

        if ever:
            return windows.amount_ever(key, judge)
        if isinstance(window, c.InLast):
            return windows.amount_in_last(key, window.span, judge)
        return windows.swept(key, reach, judge, None)

    return ask_by, figure, key


def _extreme(condition: c.Ranked, registry: Registry) -> tuple[Callable[[Cut], Ask], FigureOf, str]:
    """The largest or the smallest amount."""
    window, measure = condition.window, condition.measure
    assert measure in ("min", "max"), measure
    ground = Ground(condition.event, window, condition.of)
    reach = reach_of(window)._replace(of_all=False)
    key = registry.ask(
        ground.content(extreme_kind(measure, window, compared=False)),
        keep=ENTRIES_MAX if isinstance(window, c.AtLeastAgo) else 1,
        horizon=horizon_of(window, compared=False),
    )

    def figure(person: Person, now: Instant) -> Figure | None:
        state = person.row.features.get(key)
        if state is None:
            return None
        inside = [
            amount
            for enters, leaves, amount in windows.amounts(person, state, reach, None)
            if enters <= now and (leaves is None or now < leaves)
        ]
        return Figure(max(inside) if measure == "max" else min(inside), 1) if inside else None

    def ask_by(cut: Cut) -> Ask:
        limit = c.Compare("<=" if condition.bottom else ">=", Decimal(cut.total) / MICROS)
        return windows.extreme(key, reach, limit, 1 if measure == "max" else -1, None)

    return ask_by, figure, key
