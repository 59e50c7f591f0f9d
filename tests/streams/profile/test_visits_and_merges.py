"""Two profiles become one while rows are still visited for new definitions: whoever was visited by
then, it ends as if everybody had been, at once.
"""

from itertools import product
from typing import Any, NamedTuple

import msgspec
import pytest

from schemas.records import (
    Absorb,
    Accept,
    Backfilled,
    Body,
    DefinitionsFilled,
    DefinitionsPublished,
    EventResolved,
    Merge,
)
from schemas.rows import DefinitionsRow, FeatureState, ProfileRow
from schemas.values import Identifier, Instant, ProfileId
from streams.definitions.switch import in_force
from streams.ids import REPLAY_SECRET, Ids
from streams.profile.step import ProfileCore
from tests.scenarios.play import documents_of, event_of, told_by

WINNER, LOSER = "i0a", "i1b"
MAIL: Identifier = ("email", "ann@example.com")
BEGIN, SWITCH, MEETING, END = 1_000, 10_000, 20_000, 1_000_000_000
FAR = (SWITCH, 10 * END)
"""Visits so spread that nobody's comes before the end."""

STORE = "store: main\naddress: Somewhere 1\nconsent: {email: not_denied}\n"
FLOW = STORE + "---\nflow: story\ntrigger: {did: Began}\n"
SEND = "{send: mail, channel: email, template: t, smart_sending: false}"
TALL = """
---
segment: tall
where: {did: Grew, times: ">= 2"}
---
flow: for-the-tall
trigger: {enters: tall}
steps: [{exit: done}]
"""
ONE_MORE = "---\nsegment: one-more\nwhere: {did: Other}\n"
SENT = "sends mail to ann@example.com"


class Case(NamedTuple):
    """versions: one after the other; what happened did so under the first. told: what flows say
    once the last is in force.
    """

    happened: tuple[tuple[ProfileId, str], ...]
    versions: tuple[str, ...]
    told: list[str]


CASES = {
    "a step was put before the wait": Case(
        ((LOSER, "Began"), (WINNER, "Other")),
        (
            FLOW + f"steps: [{{wait: 1d}}, {SEND}]",
            FLOW + f"steps: [{{set: {{seen: true}}}}, {{wait: 1d}}, {SEND}]",
        ),
        [SENT],
    ),
    "a wait was taken out": Case(
        ((LOSER, "Began"), (WINNER, "Other")),
        (
            FLOW + f"steps: [{{wait: 1d}}, {{wait: 2d}}, {SEND}]",
            FLOW + f"steps: [{{wait: 1d}}, {SEND}]",
        ),
        [SENT],
    ),
    "a flow is not paused any more": Case(
        ((LOSER, "Began"), (WINNER, "Other")),
        (
            FLOW + f"steps: [{{wait: 4s}}, {SEND}]",
            FLOW + f"state: paused\nsteps: [{{wait: 4s}}, {SEND}]",
            FLOW + f"steps: [{{wait: 4s}}, {SEND}]",
        ),
        [SENT],
    ),
    "the loser was in a new segment before": Case(
        ((LOSER, "Grew"), (LOSER, "Grew"), (WINNER, "Other")),
        (STORE + ONE_MORE + TALL.replace("tall", "high"), STORE + ONE_MORE + TALL),
        [],
    ),
    "the winner is in a segment since it was changed": Case(
        ((WINNER, "Grew"), (WINNER, "Grew"), (LOSER, "Other")),
        (STORE + TALL.replace(">= 2", ">= 3"), STORE + TALL),
        [],
    ),
    "only both together are in a segment": Case(
        ((LOSER, "Grew"), (WINNER, "Grew")),
        (STORE + TALL, STORE + TALL + ONE_MORE),
        ["starts for-the-tall"],
    ),
}


class World:
    """Two profiles and the definitions in force for both."""

    def __init__(self) -> None:
        self.core = ProfileCore(Ids(REPLAY_SECRET))
        self.rows: dict[ProfileId, ProfileRow | None] = {WINNER: None, LOSER: None}
        self.definitions: DefinitionsRow | None = None
        self.told: list[str] = []
        self.now: Instant = 0

    def publish(self, version: str, text: str, *, fill: bool = False, spread: bool = False) -> None:
        said = DefinitionsPublished("main", version, "ann", documents_of(text), fill)
        self.adopt(in_force(self.definitions, said, (SWITCH, 0, 0)), spread=spread)

    def adopt(self, row: DefinitionsRow, *, spread: bool = False) -> None:
        self.definitions = msgspec.structs.replace(row, visits=FAR if spread else (0, 0))
        self.core = self.core.adopt(self.definitions)

    def happen(self, who: ProfileId, metric: str, at: Instant, name: str) -> None:
        event = event_of(metric, name, at, (MAIL,), {})
        self.say(who, EventResolved(event, MAIL), at)

    def say(self, who: ProfileId, body: Body, at: Instant) -> list[Any]:
        self.now = max(at, self.now)
        row, outputs = self.core.step(self.rows[who], who, body, at, (at, 0, 0))
        return self._keep(who, row, outputs)

    def visit(self, who: ProfileId, at: Instant) -> None:
        row = self.rows[who]
        assert row is not None
        self._keep(who, *self.core.wake(row, who, at, at))

    def wake_until(self, until: Instant) -> None:
        for who in self.rows:
            while (row := self.rows[who]) is not None:
                due = self.core.wake_at(row)
                if due is None or due > until:
                    break
                self.now = max(due, self.now)
                self._keep(who, *self.core.wake(row, who, due, self.now))

    def _keep(self, who: ProfileId, row: ProfileRow | None, outputs: list[Any]) -> list[Any]:
        self.rows[who] = None if row is None else self.core.decode(self.core.encode(row))
        self.told += [one for one in told_by(outputs) if not one.startswith(("entered", "exited"))]
        return [one.record for one in outputs]

    def hand_over(self) -> Absorb:
        """The loser goes; what it says to the winner."""
        self.say(LOSER, Merge("main", WINNER, True, MAIL), MEETING)
        loser = self.rows[LOSER]
        assert loser is not None
        assert loser.proposal is not None
        said = self.say(
            LOSER, Accept(WINNER, loser.proposal.attempt, loser.proposal.names), MEETING
        )
        (absorb,) = (one for one in said if isinstance(one, Absorb))
        return absorb

    @property
    def union(self) -> ProfileRow:
        row = self.rows[WINNER]
        assert row is not None
        return row


def lived(case: Case, visited: frozenset[ProfileId], *, on_the_way: bool) -> World:
    """visited: by the time they meet. on_the_way: the loser has left before the switch."""
    world = World()
    first, *rest = case.versions
    world.publish("first", first)
    for number, (who, metric) in enumerate(case.happened):
        world.happen(who, metric, BEGIN + number, f"e{number}")
    for number, text in enumerate(rest):
        is_last = number + 1 == len(rest)
        world.wake_until(SWITCH - 1 if is_last else BEGIN + 1_000)
        absorb = world.hand_over() if on_the_way and is_last else None
        world.told = []
        world.publish(f"version-{number}", text, spread=is_last)
    for who in visited:
        world.visit(who, MEETING)
    world.say(WINNER, absorb or world.hand_over(), MEETING)
    world.wake_until(END)
    return world


@pytest.mark.parametrize("name", CASES)
def test_whoever_was_visited_before_they_merge_it_ends_the_same(name: str) -> None:
    case = CASES[name]
    both = lived(case, frozenset((WINNER, LOSER)), on_the_way=False)
    assert both.told == case.told
    for visited in (frozenset[str](), frozenset((WINNER,)), frozenset((LOSER,))):
        world = lived(case, visited, on_the_way=False)
        assert world.told == case.told, visited
        assert in_the_end(world) == in_the_end(both), visited


@pytest.mark.parametrize("name", CASES)
def test_a_loser_on_the_way_at_the_switch_is_brought_under_the_new_definitions(name: str) -> None:
    case = CASES[name]
    both = lived(case, frozenset((WINNER, LOSER)), on_the_way=False)
    for visited in (frozenset[str](), frozenset((WINNER,))):
        world = lived(case, visited, on_the_way=True)
        assert world.told == case.told, visited
        assert in_the_end(world) == in_the_end(both), visited


def in_the_end(world: World) -> Any:
    row = world.union
    inside = {name for name, one in row.segments.items() if one.since is not None}
    counts = {key: state.count for key, state in row.features.items()}
    return inside, counts, [(run.flow, run.step) for run in row.runs], row.definitions


FILLED = ((LOSER, "Other"), (WINNER, "Other"))


@pytest.mark.parametrize(("winner", "loser"), list(product((False, True), repeat=2)))
def test_what_is_filled_in_before_they_merge_is_kept(winner: bool, loser: bool) -> None:
    world = World()
    world.publish("first", STORE + ONE_MORE)
    for number, (who, metric) in enumerate(FILLED):
        world.happen(who, metric, BEGIN, f"e{number}")
    world.publish("second", STORE + ONE_MORE + TALL, fill=True, spread=True)
    visited = [who for who, there in ((WINNER, winner), (LOSER, loser)) if there]
    assert world.definitions is not None
    features = world.core._stores["main"].program.features
    (key,) = (one.lstrip("^") for one in features if one[0] == "^")
    past = msgspec.msgpack.encode({key: FeatureState(count=1)})
    for who in visited:
        world.happen(who, "Grew", MEETING, f"later {who}")
        world.say(who, Backfilled("main", who, world.definitions.switch, past), MEETING)
    world.say(WINNER, world.hand_over(), MEETING)
    world.wake_until(END)
    world.adopt(
        in_force(world.definitions, DefinitionsFilled("main", world.definitions.switch), ())
    )
    world.wake_until(END)
    assert world.union.definitions == "second"
    kept = world.union.features.get(key)
    assert (0 if kept is None else kept.count) == 2 * len(visited)
    assert len(world.union.filled) == len(visited)
