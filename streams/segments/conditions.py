"""A condition -> closures, once: no definition is looked at again while events come in.

Every leaf answers (holds, next flip). A tree's flip is never too late: while `all` holds, it fails
with the first of its conditions; while it fails, it cannot hold before the last of those that fail
has flipped, and never where one of them does not flip at all. That may be too early (another may
fail meanwhile), so at a flip the condition is asked again. `any` is the mirror image.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import assert_never

from schemas import conditions as c
from schemas.outputs import Evidence
from schemas.values import Instant
from streams.consent.statements import TITLES
from streams.definitions.comparisons import bounds, compile_comparison
from streams.segments import dates, leaves, places, windows
from streams.segments.affinity import affinity
from streams.segments.evidence import Describe, explain_feature, explain_leaf
from streams.segments.features import Registry
from streams.segments.ground import Ground, extreme_kind, horizon_of, reach_of
from streams.segments.keeping import ENTRIES_MAX
from streams.segments.newest import of_newest
from streams.segments.person import FAILS, HOLDS, Answer, Ask, Compiled, Needs, Person
from streams.segments.ranked import ranked
from streams.segments.rfm import GROUPS
from streams.segments.sequences import sequence
from streams.segments.texts import leaf_text
from streams.segments.windows import Reach

COUNT_MAX = 400
"""Counts up to this are decided by the newest (or oldest) entries; above, by all of the window."""


def compile_condition(condition: c.Condition, registry: Registry) -> Compiled:
    """Compile, and ask the registry for the features that are needed."""
    match condition:
        case c.AllOf(parts) | c.AnyOf(parts) | c.NoneOf(parts):
            return _compile_tree(condition, [compile_condition(p, registry) for p in parts])
        case c.Did():
            return _compile_did(condition, registry)
        case c.Measured():
            return _compile_measured(condition, registry)
        case c.OfNewest():
            return of_newest(condition, registry)
        case c.Sequence():
            return sequence(condition, registry)
        case c.HasAffinity():
            return affinity(condition, registry)
        case c.Ranked():
            return ranked(condition, registry)
        case c.RfmIs(groups):
            return compile_condition(c.AnyOf(tuple(GROUPS[one] for one in groups)), registry)
        case c.Received(channel, window):
            event = c.EventFilter(f"Received {TITLES[channel]}")
            once = c.Did(event, c.Compare(">=", Decimal(1)), window)
            return _compile_did(once, registry)
        case _:
            return _compile_plain(condition)


# --- trees ---------------------------------------------------------------------------------------


def _compile_tree(tree: c.AllOf | c.AnyOf | c.NoneOf, parts: Sequence[Compiled]) -> Compiled:
    asks = tuple(part.ask for part in parts)
    match tree:
        case c.AllOf():
            ask = asks[0] if len(asks) == 1 else _all(asks)
        case c.AnyOf():
            ask = asks[0] if len(asks) == 1 else _any(asks)
        case _:
            ask = _none(asks[0] if len(asks) == 1 else _any(asks))
    needs = Needs()
    for part in parts:
        needs = needs.joined(part.needs)

    def explain(person: Person, now: Instant) -> tuple[Evidence, ...]:
        return tuple(evidence for part in parts for evidence in part.explain(person, now))

    return Compiled(ask, explain, needs)


def _all(asks: tuple[Ask, ...]) -> Ask:
    def ask(person: Person, now: Instant) -> Answer:
        soonest: Instant | None = None
        last: Instant | None = None
        for one in asks:
            holds, flip = one(person, now)
            if holds:
                if flip is not None and (soonest is None or flip < soonest):
                    soonest = flip
            elif flip is None:
                return FAILS
            elif last is None or flip > last:
                last = flip
        return (False, last) if last is not None else (True, soonest)

    return ask


def _any(asks: tuple[Ask, ...]) -> Ask:
    def ask(person: Person, now: Instant) -> Answer:
        soonest: Instant | None = None
        last: Instant | None = None
        for one in asks:
            holds, flip = one(person, now)
            if not holds:
                if flip is not None and (soonest is None or flip < soonest):
                    soonest = flip
            elif flip is None:
                return HOLDS
            elif last is None or flip > last:
                last = flip
        return (True, last) if last is not None else (False, soonest)

    return ask


def _none(ask_any: Ask) -> Ask:
    def ask(person: Person, now: Instant) -> Answer:
        holds, flip = ask_any(person, now)
        return not holds, flip

    return ask


# --- leaves over features ------------------------------------------------------------------------


def _compile_did(condition: c.Did, registry: Registry) -> Compiled:
    ground = Ground(condition.event, condition.window, None)
    test: Callable[[int], bool] = compile_comparison(condition.times)
    most = int(max(bounds(condition.times)))
    keep = max(1, most if test(most) is test(most + 1) else most + 1)
    window = condition.window
    if (
        ground.picks is not None
        or isinstance(window, c.Ago)
        or (most > COUNT_MAX and reach_of(window) != Reach())
    ):
        key = registry.ask(
            ground.content("span"), horizon=horizon_of(window, compared=ground.picks is not None)
        )
        reach = reach_of(window)
        if ground.picks is not None:
            reach = reach._replace(of_all=False)
        ask = windows.swept(key, reach, windows.judge_count(test), ground.picks)
        return _over_feature(ask, key, condition, ground)
    match window:
        case c.InLast(span):
            key = registry.ask(ground.content("newest"), keep=keep)
            if not test(0) and all(test(count) for count in range(1, keep + 1)):
                ask = windows.any_in_last(key, span, wanted=True)
            elif test(0) and not any(test(count) for count in range(1, keep + 1)):
                ask = windows.any_in_last(key, span, wanted=False)
            else:
                ask = windows.count_in_last(key, span, test, keep)
        case c.AtLeastAgo(span):
            key = registry.ask(ground.content("oldest"), keep=keep)
            ask = windows.count_at_least_ago(key, span, test, keep)
        case c.SinceFlowStart():
            key = registry.ask(ground.content("newest"), keep=keep + 1)
            ask = windows.count_since_start(key, test, keep)
        case _:
            key = registry.ask(ground.content("newest"), keep=max(1, min(most, 3)))
            ask = windows.count_ever(key, test)
    return _over_feature(ask, key, condition, ground)


def _compile_measured(condition: c.Measured, registry: Registry) -> Compiled:
    window = condition.window
    ground = Ground(condition.event, window, condition.of)
    picks = ground.picks
    reach = reach_of(window)
    horizon = horizon_of(window, compared=picks is not None)
    measure = condition.measure
    if measure in ("max", "min"):
        sign = 1 if measure == "max" else -1
        key = registry.ask(
            ground.content(extreme_kind(measure, window, compared=picks is not None)),
            keep=ENTRIES_MAX if isinstance(window, c.AtLeastAgo) else 1,
            horizon=horizon,
        )
        reach = reach._replace(of_all=False)
        ask = windows.extreme(key, reach, condition.comparison, sign, picks)
        return _over_feature(ask, key, condition, ground)
    judge = (
        windows.judge_total(condition.comparison)
        if measure == "total"
        else windows.judge_average(condition.comparison)
    )
    if picks is None and reach == Reach():
        key = registry.ask(ground.content("newest"), keep=1)
        return _over_feature(windows.amount_ever(key, judge), key, condition, ground)
    key = registry.ask(ground.content("span"), horizon=horizon)
    if picks is not None:
        reach = reach._replace(of_all=False)
    ask = (
        windows.amount_in_last(key, window.span, judge)
        if isinstance(window, c.InLast) and picks is None
        else windows.swept(key, reach, judge, picks)
    )
    return _over_feature(ask, key, condition, ground)


def _over_feature(ask: Ask, key: str, condition: c.Did | c.Measured, ground: Ground) -> Compiled:
    describe = Describe(leaf_text(condition), key, reach_of(condition.window), ground.picks)
    return Compiled(ask, explain_feature(ask, describe, condition), Needs(frozenset({key})))


# --- all other leaves ----------------------------------------------------------------------------


def _compile_plain(condition: c.Condition) -> Compiled:
    needs = Needs()
    match condition:
        case c.TraitIs(trait=name):
            leaf, needs = leaves.trait_is(condition), Needs(traits=frozenset({name}))
        case c.TraitDate(trait=name):
            leaf, needs = dates.trait_date(condition), Needs(traits=frozenset({name}))
        case c.Anniversary(trait=name):
            leaf, needs = dates.anniversary(condition), Needs(traits=frozenset({name}))
        case c.TraitHeld(trait=name):
            leaf, needs = leaves.trait_held(condition), Needs(traits=frozenset({name}))
        case c.InCountry(countries):
            leaf, needs = places.in_country(countries), Needs(traits=frozenset({"country"}))
        case c.InRegion(region):
            leaf = places.in_country(places.REGIONS[region])
            needs = Needs(traits=frozenset({"country"}))
        case c.CanReceive(channel, on):
            leaf = leaves.can_receive(condition)
            lists = frozenset() if on is None else frozenset({on})
            needs = Needs(channels=frozenset({channel}), lists=lists)
        case c.ConsentIs(channel=channel):
            leaf, needs = leaves.consent_is(condition), Needs(channels=frozenset({channel}))
        case c.InList(name):
            leaf, needs = leaves.in_list(condition), Needs(lists=frozenset({name}))
        case c.InSegment(name):
            leaf, needs = leaves.in_segment(condition), Needs(segments=frozenset({name}))
        case c.Sampled():
            leaf = leaves.sampled(condition)
        case c.TriggerPasses():
            leaf = leaves.trigger_passes(condition)
        case c.InFlow():
            leaf = leaves.in_flow(condition)
        case c.Near():
            leaf, needs = places.near(condition), Needs(traits=places.PLACE_TRAITS)
        case c.Predicted():
            raise AssertionError(f"{type(condition).__name__} is refused when it is read")
        case (
            c.AllOf()
            | c.AnyOf()
            | c.NoneOf()
            | c.Did()
            | c.Measured()
            | c.OfNewest()
            | c.Sequence()
            | c.HasAffinity()
            | c.Ranked()
            | c.RfmIs()
            | c.Received()
        ):
            raise AssertionError("compiled elsewhere")
        case _:
            assert_never(condition)
    ask, find = leaf
    return Compiled(ask, explain_leaf(ask, leaf_text(condition), find), needs)
