"""Memberships against brute force where two people become one, and events are pushed twice."""

from itertools import chain
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.events import Event
from schemas.records import Absorb, DefinitionsPublished, EventResolved
from schemas.rows import ProfileRow
from schemas.values import Instant
from streams.definitions.switch import in_force
from streams.ids import REPLAY_SECRET, Ids
from streams.profile.step import ProfileCore
from tests.streams.segments import brute
from tests.streams.segments.invented import (
    BASE,
    DID,
    HOUR,
    IN_SEGMENTS,
    LIKED,
    MEASURED,
    NEWEST,
    SEQUENCES,
    histories,
)

WINNER, LOSER = "i1", "i2"
RESOLVED_BY = ("external_id", "c-1")
MINUTE = HOUR // 60


OF_EVENTS = st.one_of(DID, MEASURED, SEQUENCES, NEWEST).filter(
    lambda where: "flow_start" not in str(where) and "trigger" not in str(where)
)


class Pair:
    """Two rows, and what came to each, until the one absorbs the other."""

    def __init__(self, conditions: list[dict[str, Any]]) -> None:
        self.conditions = conditions
        segments = tuple({"segment": f"s{i}", "where": one} for i, one in enumerate(conditions))
        published = DefinitionsPublished("main", "v1", "ann", (*segments, {"list": "news"}))
        self.core = ProfileCore(Ids(REPLAY_SECRET)).adopt(in_force(None, published, ()))
        self.rows: dict[str, ProfileRow] = {}
        self.came: dict[str, list[Event]] = {WINNER: [], LOSER: []}
        self.merged = False

    def hear(self, key: str, event: Event, now: Instant) -> None:
        """An event is received; one that was received before is a repeat."""
        key = WINNER if self.merged else key
        known = {one.id for one in self.came[key]}
        if event.id not in known:
            self.came[key].append(event)
        event = msgspec.structs.replace(event, received_at=now)
        body = EventResolved(event, RESOLVED_BY)
        row, _ = self.core.step(self.rows.get(key), key, body, now, (now, 0, 0))
        assert row is not None
        self.rows[key] = row

    def merge(self, now: Instant) -> None:
        lost = self.rows.pop(LOSER, None)
        self.merged = True
        self.came[WINNER] += self.came.pop(LOSER)
        if lost is not None:
            body = Absorb(LOSER, self.core.encode(lost))
            row, _ = self.core.step(self.rows.get(WINNER), WINNER, body, now, (now, 0, 1))
            assert row is not None
            self.rows[WINNER] = row

    def wake(self, now: Instant) -> None:
        for key, row in self.rows.items():
            while (due := self.core.wake_at(row)) is not None and due <= now:
                self.rows[key], _ = self.core.wake(row, key, due, max(due, now))

    def compare(self, now: Instant) -> None:
        for key, row in self.rows.items():
            came = self.came[key]
            for i, where in enumerate(self.conditions):
                membership = row.segments.get(f"s{i}")
                inside = membership is not None and membership.since is not None
                expected = brute.holds(where, came, now, row=row, trigger=None)
                assert inside is expected, (key, i, now - BASE)


@settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    st.lists(st.one_of(OF_EVENTS, OF_EVENTS, IN_SEGMENTS, LIKED), min_size=3, max_size=4),
    histories(4),
    histories(4),
    st.integers(0, 24),
    st.sampled_from([0, MINUTE, 90 * MINUTE]),
)
def test_two_histories_that_become_one_equal_brute_force(
    conditions: list[dict[str, Any]],
    mine: list[Event],
    theirs: list[Event],
    merged_after: int,
    again_after: int,
) -> None:
    """Every event is pushed twice; the merge happens before, between or after them."""
    pair = Pair(conditions)
    theirs = [msgspec.structs.replace(one, id=f"b-{one.id}") for one in theirs]
    told = [
        (event.received_at + later, key, event)
        for key, event in chain(((WINNER, one) for one in mine), ((LOSER, one) for one in theirs))
        for later in (0, again_after)
    ]
    told.sort(key=lambda one: one[:2])
    for half in range(66):
        now = BASE + half * HOUR // 2
        pair.wake(now)
        while told and told[0][0] <= now:
            _, key, event = told.pop(0)
            pair.hear(key, event, now)
        if half == 2 * merged_after:
            pair.merge(now)
        pair.wake(now)
        pair.compare(now)
