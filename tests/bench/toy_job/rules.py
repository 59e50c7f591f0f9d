"""The toy job: what every contender has to make of an event, and what must come out.

1. Read an event, drop it if it is not valid or its id was seen before (remembered in memory only).
2. Look up whose browser it is; the first event of a browser says it for good.
3. Count it in the row of that profile; when the membership in three segments changes, say so and
   say a command with it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

DAY_MS = 86_400_000
REMEMBERED_MAX = 200_000
"""Ids of a generation; two generations are remembered."""

Change = tuple[str, tuple[str, ...]]
"""A profile and the segments that it is in from now on."""


class ToyEvent(msgspec.Struct, frozen=True):
    """An event of the toy job. at: when it happened, milliseconds."""

    id: str
    metric: str
    browser: str
    customer: str
    at: int
    properties: dict[str, Any]


class MembershipChanged(msgspec.Struct, frozen=True, tag="membership-changed"):
    """`id` is made of what caused it."""

    id: str
    profile: str
    segments: list[str]


class ToyCommand(msgspec.Struct, frozen=True, tag="toy-command"):
    """One for each change."""

    id: str
    profile: str


class Remembered:
    """Ids that were seen, in two generations: the older one is forgotten when the newer is full."""

    def __init__(self) -> None:
        self._newer: set[str] = set()
        self._older: set[str] = set()

    def is_new(self, event_id: str) -> bool:
        """Was this id not seen before? Now it was."""
        if event_id in self._newer or event_id in self._older:
            return False
        self._newer.add(event_id)
        if len(self._newer) >= REMEMBERED_MAX:
            self._newer, self._older = set(), self._newer
        return True


def profile_of(customer: str) -> str:
    return f"P{customer}"


def memberships(
    counts: Mapping[str, int],
    days: Mapping[str, int] | Mapping[int, int],
    traits: Mapping[str, Any],
    today: int,
) -> list[str]:
    """The segments that a profile is in.

    counts: metric -> events. days: day -> events. traits: newest value of each property.
    """
    segments = []
    if counts.get("Viewed Product", 0) >= 10:
        segments.append("viewers")
    if traits.get("price", 0) > 150:
        segments.append("spenders")
    if sum(n for day, n in days.items() if today - 7 < int(day) <= today) >= 8:
        segments.append("active")
    return segments


def changes_in(events: Iterable[ToyEvent]) -> list[Change]:
    """What must be said of valid events, each given once, in the order of their browser."""
    seen: dict[str, list[ToyEvent]] = defaultdict(list)
    changes = []
    for event in events:
        seen[event.browser].append(event)
    for past in seen.values():
        profile, before = profile_of(past[0].customer), []
        counts: dict[str, int] = defaultdict(int)
        days: dict[int, int] = defaultdict(int)
        traits: dict[str, Any] = {}
        for event in past:
            counts[event.metric] += 1
            days[event.at // DAY_MS] += 1
            traits.update(event.properties)
            now = memberships(counts, days, traits, event.at // DAY_MS)
            if now != before:
                changes.append((profile, tuple(now)))
                before = now
    return changes
