"""What definitions cost by estimate: features, bytes of a profile's row, timers.

How often a metric happens to a profile is what the timeline says, or ONCE_A_WEEK. An event is
counted for every leaf of its metric, filters aside: so what is said here is rather too much.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from schemas import conditions as c
from streams.definitions.references import walk
from streams.instants import DAY
from streams.segments.features import Feature
from streams.segments.keeping import BUCKETS_MAX, ENTRIES_MAX

ONCE_A_WEEK = 1 / 7
YEAR_DAYS = 365
"""What is kept of any age is estimated for a profile of this age."""

STATE_BYTES = 40
ENTRY_BYTES = 34
AMOUNT_BYTES = 6
KEPT_BYTES = 16
BUCKET_BYTES = 16
"""Of a feature without entries; of an entry; more for its amount and for each property kept; of an
hour of entries beyond the cap.
"""

PEAKS = 5
"""Entries of an extreme: few are outdone by none that is newer (or older)."""


class Traffic(NamedTuple):
    """Events of a metric for a profile and day. daily: by metric, where that is known.

    properties: metric -> the names of all that its events ever had, where that is known.
    """

    daily: Mapping[str, float] = {}
    otherwise: float = ONCE_A_WEEK
    properties: Mapping[str, AbstractSet[str]] = {}

    def of(self, metric: str) -> float:
        return self.daily.get(metric, self.otherwise)


class Cost(NamedTuple):
    """timers: flips to be looked at, for a profile and day."""

    features: int
    bytes: int
    timers: float


def cost_of(conditions: Iterable[c.Condition], features: Iterable[Feature], by: Traffic) -> Cost:
    """The estimate for some conditions that share these features."""
    found = list(features)
    return Cost(
        len(found),
        sum(_bytes(feature, by) for feature in found),
        sum(_timers(part, by) for one in conditions for part, _ in walk(one)),
    )


def _bytes(feature: Feature, by: Traffic) -> int:
    """The state of a feature, for a profile like all others."""
    content = feature.content
    days = YEAR_DAYS if feature.horizon is None else feature.horizon / DAY
    daily = by.of(content.event.metric)
    entry = ENTRY_BYTES + KEPT_BYTES * len(content.kept)
    entry += AMOUNT_BYTES if content.of is not None else 0
    match content.kind:
        case "newest" | "oldest" | "each":
            entries = min(feature.keep, daily * YEAR_DAYS)
        case "recent":
            entries = min(feature.keep, daily * days)
        case "span" | "span-max" | "span-min":
            entries = min(ENTRIES_MAX, daily * days)
            beyond = min(BUCKETS_MAX, max(0.0, daily * days - ENTRIES_MAX))
            return round(STATE_BYTES + entry * entries + BUCKET_BYTES * beyond)
        case _:
            entries = min(PEAKS, daily * days)
    return round(STATE_BYTES + entry * entries)


def _timers(part: object, by: Traffic) -> float:
    """An event flips a leaf when it leaves the window, and when it comes in later."""
    match part:
        case c.Did(event=event, window=window) | c.Measured(event=event, window=window):
            return by.of(event.metric) * _moves(window)
        case c.Sequence(steps=steps, window=window):
            waits = sum(not step.happened and step.within is not None for step in steps)
            return by.of(steps[0].event.metric) * (_moves(window) + waits)
        case c.HasAffinity():
            return by.of("Viewed Product")
        case c.Anniversary(window=c.InNext() | c.InLast()):
            return 2 / YEAR_DAYS
    return 0.0


def _moves(window: c.Window | None) -> int:
    match window:
        case c.InLast() | c.AtLeastAgo():
            return 1
        case c.Ago():
            return 2
    return 0
