"""Shadow, then live: in the end it is as if the definitions had been there from the start."""

import random
from collections import defaultdict
from typing import Any

import msgspec
import pytest

from schemas.outputs import (
    DefinitionsSwitched,
    FlowTriggered,
    SegmentChanged,
    TimelineEntry,
)
from schemas.records import Backfilled, DefinitionsFilled, DefinitionsPublished
from schemas.rows import DefinitionsRow, ProfileRow
from schemas.topics import DEAD_LETTERS, FLOW_TRIGGERS, SEGMENT_CHANGES, TIMELINE
from streams.definitions.switch import in_force
from streams.identity.step import IdentityCore
from streams.ids import REPLAY_SECRET
from streams.ingest.control import Headers, backfill, definitions, tick
from streams.ingest.read import EventReader
from streams.intake import Write
from streams.memory_backfill import ROUNDS_MAX_ON_THE_WAY
from streams.profile.step import ProfileCore
from streams.replay import MemoryRecord, Replay
from streams.segments.backfill import Backfill, event_of
from streams.segments.person import Person
from tests.scenarios.play import documents_of
from tests.streams.identity.people import BEGIN, CLOSING, IDS, SPAN, TICK, Kind, also, history
from tests.streams.simulation import Path, Simulation, by_topic

OLD = """
store: main
address: Somewhere 1
---
segment: buyers
where: {did: Placed Order}
---
segment: edited
where: {did: Placed Order, times: ">= 2"}
---
segment: fans-of-edited
where: {all: [{in_segment: edited}, {did: Happened}]}
---
segment: removed
where: {did: Happened}
---
segment: recent
where: {did: Happened, in_last: 100s}
"""
NEW = """
store: main
address: Somewhere 1
---
segment: buyers
where: {did: Placed Order}
---
segment: edited
where: {did: Placed Order, times: ">= 4"}
---
segment: fans-of-edited
where: {all: [{in_segment: edited}, {did: Happened}]}
---
segment: quiet
where: {all: [{did: Happened}, {did_not: Started Checkout}]}
---
segment: recent
where: {did: Happened, times: ">= 3", in_last: 400s}
---
segment: spenders
where: {did: Placed Order, total: {of: value, is: "> 40"}, in_last: 3000d}
---
segment: dear
where: {did: Placed Order, max: {of: value, is: "> 25"}}
---
segment: of-the-newest
where: {of_newest: {count: 3, did: Happened}, where: {weight: 1}, times: ">= 3"}
---
segment: in-order
where: {sequence: [{did: Started Checkout}, {did: Placed Order}]}
---
segment: neither
where: {none: [{in_segment: quiet}, {in_segment: buyers}]}
---
flow: for-new-spenders
trigger: {enters: spenders}
steps: [{exit: done}]
---
flow: for-new-buyers
trigger: {enters: buyers}
filter: {none: [{did: Started Checkout, times: ">= 9"}]}
steps: [{exit: done}]
"""


def published(version: str, text: str, *, fill: bool = False) -> DefinitionsPublished:
    return DefinitionsPublished("main", version, "ann", documents_of(text), fill)


class World:
    """A log in several partitions with a ticker, played tick by tick."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.replay = Replay(
            partitions,
            reader=lambda: EventReader(IDS),
            identity=IdentityCore(IDS),
            profile=ProfileCore(IDS),
        )
        self.now = BEGIN
        self.said: list[Write] = []
        self.log: list[list[MemoryRecord]] = [[] for _ in range(partitions)]

    def append(self, partition: int, at: int, value: bytes, headers: Headers = ()) -> None:
        log = self.log[partition]
        log.append(MemoryRecord(len(log), at, None, value, headers))
        self.replay.append(partition, value, at, headers=headers)

    def publish(self, said: DefinitionsPublished) -> None:
        value, headers = definitions(said, REPLAY_SECRET)
        for partition in range(self.partitions):
            self.append(partition, self.now, value, headers)

    def fill(self, partition: int, said: Backfilled | DefinitionsFilled) -> None:
        value, headers = backfill(said, IDS)
        self.append(partition, self.now, value, headers)

    def end_filling(self, said: DefinitionsFilled) -> None:
        for partition in range(self.partitions):
            self.fill(partition, said)

    def tick(self) -> None:
        value, headers = tick()
        self.now += TICK
        for partition in range(self.partitions):
            self.append(partition, self.now, value, headers)
        self.said += self.replay.run()

    def rows(self) -> list[ProfileRow]:
        found = [
            msgspec.msgpack.decode(row, type=ProfileRow)
            for _, _, row in self.replay.rows("profile")
        ]
        return sorted((row for row in found if row.to is None), key=lambda row: row.id)

    def told(self, topic: str, kind: type[Any]) -> list[Any]:
        return [
            msgspec.json.decode(write.value, type=kind)
            for write in self.said
            if write.topic == topic
        ]

    def before_the_marker(self, version: str) -> dict[str, list[TimelineEntry]]:
        """Profile -> its entries before the marker in its partition; all markers must be there."""
        found: dict[str, list[TimelineEntry]] = defaultdict(list)
        marked: set[int] = set()
        for write in self.said:
            if write.topic != TIMELINE.name or write.partition in marked:
                continue
            said = msgspec.json.decode(write.value, type=DefinitionsSwitched | TimelineEntry)
            if isinstance(said, TimelineEntry):
                found[said.profile_id].append(said)
            elif said.version == version:
                marked.add(write.partition)
        assert marked == set(range(self.partitions)), "every partition marks its place"
        return found


def state_of(version: str, said: DefinitionsPublished, world: World) -> DefinitionsRow:
    """The definitions in shadow, as a worker would keep them."""
    marker = next(
        one
        for one in world.told(TIMELINE.name, DefinitionsSwitched | TimelineEntry)
        if isinstance(one, DefinitionsSwitched) and one.version == version
    )
    return in_force(in_force(None, published("old", OLD), ()), said, marker.switch)


def arrivals(rng: random.Random, events: list[dict[str, Any]]) -> list[tuple[int, int, bytes]]:
    """(instant, number of a partition, value), in order."""
    return sorted(
        (BEGIN + rng.randint(0, SPAN), rng.randrange(3), msgspec.json.encode(event))
        for event in events
    )


def play(
    coming: list[tuple[int, int, bytes]], partitions: int, *, switch_at: int | None, seed: int
) -> World:
    """Play all; where there is a switch, old definitions are in force before it."""
    rng = random.Random(seed)
    world = World(partitions)
    world.publish(published("old", OLD) if switch_at is not None else published("new", NEW))
    new = published("new", NEW, fill=True)
    to_fill: list[Backfilled] | None = None
    queue = list(coming)
    closing, on_the_way = 0, ROUNDS_MAX_ON_THE_WAY
    while closing < CLOSING:
        until = world.now + TICK
        if switch_at is not None and world.now <= switch_at < until:
            while queue and queue[0][0] <= switch_at:
                at, partition, value = queue.pop(0)
                world.append(partition % partitions, at, value)
            world.now, now = switch_at, world.now
            world.publish(new)
            world.now = now
        while queue and queue[0][0] < until:
            at, partition, value = queue.pop(0)
            world.append(partition % partitions, at, value)
        world.tick()
        closing += not queue
        if switch_at is None or world.now <= switch_at + 4 * TICK:
            continue
        job = Backfill(state_of("new", new, world)) if to_fill is None else None
        if job is not None:
            entries = world.before_the_marker("new").items()
            found = [job.of(who, map(event_of, one)) for who, one in entries]
            to_fill = [one for one in found if one is not None]
            rng.shuffle(to_fill)
            to_fill += rng.sample(to_fill, len(to_fill) // 3)  # some come twice
            end = job.end()
        assert to_fill is not None
        for _ in range(rng.randint(0, 4)):
            if to_fill:
                world.fill(rng.randrange(partitions), to_fill.pop())
        if not to_fill and end is not None:
            on_the_way -= 1
            if not on_the_way:
                world.end_filling(end)
                end = None  # type: ignore[assignment]
    return world


def answers(world: World) -> dict[str, Any]:
    """What is kept of everybody: memberships, and what every segment would say for a while."""
    core = ProfileCore(IDS).adopt(in_force(None, published("new", NEW), ()))
    program = core._stores["main"].program
    found: dict[str, Any] = {}
    for row in world.rows():
        if not row.events:
            continue
        assert row.definitions == "new"
        assert {key.rstrip("~") for key in row.features} <= set(program.features)
        assert not {"removed"} & {*row.segments, *row.flips}
        inside = sorted(name for name, one in row.segments.items() if one.since is not None)
        asked = {
            (name, after): segment.condition.ask(Person(row, program), world.now + after)
            for name, segment in program.segments.items()
            for after in (0, 60_000, 500_000)
        }
        counts = {key: (state.count, state.total) for key, state in row.features.items()}
        found[row.id] = (inside, asked, counts, dict(row.flips))
    return found


KINDS = {
    "one person": Kind(),
    "merging": Kind(conflicts=True, dense=True),
    "shared": Kind(conflicts=True, shared=True, client=True, alias=True),
}


def shadow_then_live(kind: str, seed: int) -> None:
    rng = random.Random(f"{kind}-{seed}")
    coming = arrivals(rng, also(rng, history(rng, KINDS[kind])))
    partitions = rng.randint(1, 3)
    switch_at = BEGIN + rng.randint(0, SPAN)
    start = play(coming, partitions, switch_at=None, seed=seed)
    later = play(coming, partitions, switch_at=switch_at, seed=seed)
    for world in (start, later):
        assert not [one for one in world.said if one.topic == DEAD_LETTERS.name]
    assert answers(later) == answers(start)
    triggered = {run.id: run for run in start.told(FLOW_TRIGGERS.name, FlowTriggered)}
    for run in later.told(FLOW_TRIGGERS.name, FlowTriggered):
        entry = run.flow, run.started_at
        assert run.flow == "for-new-buyers" or entry in {
            (one.flow, one.started_at) for one in triggered.values()
        }, "whoever was inside already triggers nothing"


@pytest.fixture(params=["at once", "little by little"])
def visits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How rows are visited: the few of these histories all at once, or as if they were many, so
    that much happens to them meanwhile.
    """
    if request.param == "little by little":
        monkeypatch.setattr("streams.visits.FEW", 1)
        monkeypatch.setattr("streams.visits.MILLIS_PER_ROW", 2 * TICK)
    return str(request.param)


@pytest.mark.usefixtures("visits")
@pytest.mark.parametrize("kind", KINDS)
def test_shadow_then_live_equals_live_from_the_start(kind: str) -> None:
    for seed in range(4):
        shadow_then_live(kind, seed)


def test_nothing_starts_for_whoever_was_on_the_way_to_be_merged_when_the_shadow_went_live() -> None:
    shadow_then_live("merging", 425)


@pytest.mark.prove
@pytest.mark.parametrize("kind", KINDS)
def test_shadow_then_live_equals_live_from_the_start_at_length(kind: str, visits: str) -> None:
    for seed in range(100, 1_600 if visits == "at once" else 600):
        shadow_then_live(kind, seed)


@pytest.mark.parametrize("kind", KINDS)
def test_any_schedule_with_stalls_and_crashes_says_the_same_byte_for_byte(
    kind: str, visits: str
) -> None:
    """A log with a segment added, edited and removed in it, and its back-fill."""
    path = Path(lambda: EventReader(IDS), IdentityCore(IDS), ProfileCore(IDS))
    for seed in range(2 if visits == "at once" else 1):
        rng = random.Random(f"{kind}-{seed}")
        coming = arrivals(rng, also(rng, history(rng, KINDS[kind]))[:25])
        partitions = rng.randint(1, 2)
        world = play(coming, partitions, switch_at=BEGIN + SPAN // 2, seed=seed)
        simulation = Simulation(path, partitions, world.log, seed)
        assert simulation.said == by_topic(world.said)
        rows = {key: row for _, key, row in world.replay.rows("profile")}
        assert simulation.rows("profile") == rows


def test_whoever_is_in_a_removed_segment_exits_at_the_switch() -> None:
    world = World(2)
    world.publish(published("old", OLD))
    world.append(0, BEGIN, b'{"metric": "Happened", "profile": {"external_id": "c-1"}}')
    world.tick()
    world.publish(published("new", NEW, fill=True))
    world.tick()
    world.tick()
    changes = world.told(SEGMENT_CHANGES.name, SegmentChanged)
    removed = [one for one in changes if one.segment == "removed"]
    assert [one.change for one in removed] == ["entered", "exited"]
    assert (removed[1].evidence[0].leaf, removed[1].evidence[0].value) == ("definitions", "new")
    assert not [one for one in changes if one.segment == "quiet"], "in shadow nothing is said"
