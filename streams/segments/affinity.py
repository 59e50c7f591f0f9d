"""The answer of the leaf that asks what a profile is drawn to.

What it looked at, put into its cart and ordered earns points for the values that each event names
(one or several), for a time. A value counts where its points are enough, and a good part of all.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from schemas import conditions as c
from schemas.rows import Entry
from schemas.values import Instant
from streams.instants import DAY
from streams.segments.evidence import Found, explain_events
from streams.segments.features import Content, Registry
from streams.segments.person import Answer, Compiled, Needs, Person
from streams.segments.texts import leaf_text
from streams.segments.values import compile_tests

WEIGHTS = {"Viewed Product": 1, "Added to Cart": 3, "Placed Order": 5}
"""Points of an event, by its metric."""

WITHIN = 90 * DAY
NEWEST_MAX = 50
"""Events earn points for so long, and of each metric only the newest so many."""

POINTS_MIN = 3
SHARE_PERCENT_MIN = 30
"""What the wanted values must have: so many points, and so much of those of all values."""


class _Earned(NamedTuple):
    """An event's points: until when, for the wanted values, for any. entry: the event."""

    until: Instant
    wanted: int
    points: int
    entry: Entry


def affinity(condition: c.HasAffinity, registry: Registry) -> Compiled:
    """Compile, and ask the registry for a feature a metric; all leaves of a path share them."""
    passes = compile_tests(condition.tests, many=True)
    paths = (condition.path, f"items[].{condition.path}")
    keys = {
        registry.ask(
            Content(c.EventFilter(metric), "recent", kept=paths), keep=NEWEST_MAX, horizon=WITHIN
        ): points
        for metric, points in WEIGHTS.items()
    }

    def ask(person: Person, now: Instant) -> Answer:
        return _answer(_earned(person, keys, passes, now), now)

    def find(person: Person, now: Instant) -> Found:
        earned = _earned(person, keys, passes, now)
        wanted = [one for one in reversed(earned) if one.wanted]
        points, of_all = sum(one.wanted for one in wanted), sum(one.points for one in earned)
        return Found(f"{points} of {of_all} points", [one.entry for one in wanted])

    explain = explain_events(ask, leaf_text(condition), find)
    return Compiled(ask, explain, Needs(frozenset(keys)))


def _earned(
    person: Person, keys: dict[str, int], passes: Callable[[Any], bool], now: Instant
) -> list[_Earned]:
    """What still has points, the first to lose them first."""
    earned = []
    for key, points in keys.items():
        state = person.row.features.get(key)
        for entry in () if state is None else state.entries[:NEWEST_MAX]:
            named = _named(entry)
            until = entry.occurred_at + WITHIN
            if named and until > now:
                earned.append(_Earned(until, points if passes(named) else 0, points, entry))
    return sorted(earned, key=lambda one: (one.until, one.entry.event_id))


def _named(entry: Entry) -> list[Any]:
    """The values that the event names, of itself and of its items."""
    own, of_items = entry.kept
    values = [*(own if isinstance(own, list) else [own])]
    values += of_items if isinstance(of_items, list) else []
    return [value for value in values if value is not None]


def _answer(earned: list[_Earned], now: Instant) -> Answer:
    """At `now`, and from when on time alone makes it otherwise."""
    wanted, points = sum(one.wanted for one in earned), sum(one.points for one in earned)
    holds = _is_enough(wanted, points)
    for i, one in enumerate(earned):
        wanted -= one.wanted
        points -= one.points
        together = i + 1 < len(earned) and earned[i + 1].until == one.until
        if not together and _is_enough(wanted, points) is not holds:
            return holds, one.until
    assert not holds, f"nothing earned is not enough, at {now}"
    return False, None


def _is_enough(wanted: int, points: int) -> bool:
    return wanted >= POINTS_MIN and 100 * wanted >= SHARE_PERCENT_MIN * points
