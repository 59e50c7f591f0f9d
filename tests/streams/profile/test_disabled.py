"""A segment, a flow or a feature that raises is left out for that profile; the event counts."""

from typing import Any

import msgspec
import pytest

from schemas.events import Event
from schemas.records import DefinitionsPublished
from schemas.topics import DEAD_LETTERS, SEGMENT_CHANGES, SEND_DECISIONS, TIMELINE
from schemas.values import Instant
from streams.definitions import program
from streams.identity.step import IdentityCore
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.control import definitions, tick
from streams.ingest.read import EventReader
from streams.intake import Write
from streams.profile.step import ProfileCore
from streams.replay import MemoryRecord, Replay
from streams.segments import features
from streams.segments.person import Answer, Compiled, Person
from tests.scenarios.play import documents_of
from tests.streams.simulation import Path, Simulation, replayed
from tests.streams.test_rounds import by_topic

SEGMENTS = """
segment: buyers
where: {did: Placed Order}
---
segment: fragile
where: {all: [{did: Placed Order}, {none: [{trait: fragile, is: never}]}]}
---
segment: upon-fragile
where: {in_segment: fragile}
"""
FLOWS = """
flow: careful
trigger: {did: Placed Order}
steps:
  - {send: careful-1, channel: email, template: t, transactional: true}
---
flow: reckless
trigger: {did: Placed Order}
steps:
  - {send: reckless-1, channel: email, template: t, transactional: true}
  - wait: 5s
  - split: {where: {trait: fragile, is: never}, then: [{exit: a}], else: [{exit: b}]}
"""
COUNTED = """
segment: buyers
where: {did: Placed Order}
---
segment: fragile
where: {did: Placed Order, where: {brittle: 1}}
---
flow: reckless
trigger: {did: Placed Order}
filter: {did: Placed Order, where: {brittle: 1}}
steps:
  - {send: reckless-1, channel: email, template: t, transactional: true}
"""


@pytest.fixture(autouse=True)
def _some_conditions_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A condition about the trait `fragile` raises where the profile has it, a filter where the
    event has the property `brittle`.
    """
    compile_condition, compile_filters = program.compile_condition, features.compile_filters

    def condition(wanted: Any, registry: Any) -> Compiled:
        compiled = compile_condition(wanted, registry)
        ask = compiled.ask

        def raising(person: Person, now: Instant) -> Answer:
            if "fragile" in compiled.needs.traits and "fragile" in person.row.traits:
                raise ZeroDivisionError("personal data")
            return ask(person, now)

        compiled.ask = raising
        return compiled

    def filters(where: Any) -> Any:
        passes = compile_filters(where)

        def raising(event: Event) -> bool:
            if "brittle" in event.properties:
                raise ZeroDivisionError("personal data")
            return bool(passes(event)) if passes else True

        return raising if where else passes

    monkeypatch.setattr(program, "compile_condition", condition)
    monkeypatch.setattr(features, "compile_filters", filters)


class Log:
    """Two partitions, told in seconds; what it says of each topic."""

    def __init__(self, wanted: str) -> None:
        self.source: list[list[MemoryRecord]] = [[], []]
        self.version = 0
        self.publish(0, wanted)

    def publish(self, at: int, wanted: str) -> None:
        self.version += 1
        said = DefinitionsPublished(
            "main", f"v{self.version}", "ann", documents_of(wanted), number=self.version
        )
        value, headers = definitions(said, REPLAY_SECRET)
        for partition in range(2):
            self.append(partition, at, value, headers)

    def order(self, at: int, who: str, *, fragile: bool, **properties: Any) -> None:
        profile = {"email": f"{who}@example.com", "traits": {"fragile": "yes"} if fragile else {}}
        event = {"metric": "Placed Order", "id": f"{who}-{at}", "profile": profile}
        value = msgspec.json.encode(event | {"properties": properties})
        self.append(len(who) % 2, at, value)

    def append(self, partition: int, at: int, value: bytes, headers: Any = ()) -> None:
        log = self.source[partition]
        log.append(MemoryRecord(len(log), at * 1000, None, value, headers))

    def until(self, at: int) -> None:
        """Ticks, a second apart, where nothing was said yet."""
        value, headers = tick()
        for partition in range(2):
            told = self.source[partition]
            begin = max((record.timestamp // 1000 for record in told), default=0)
            for second in range(begin + 1, at + 1):
                self.append(partition, second, value, headers)

    def said(self) -> list[Write]:
        return replayed(PATH, 2, self.source).run()

    def told(self, topic: str) -> list[dict[str, Any]]:
        return [msgspec.json.decode(one.value) for one in self.said() if one.topic == topic]

    def dead_letters(self) -> list[str]:
        found = [one for one in self.said() if one.topic == DEAD_LETTERS.name]
        assert {one.value for one in found} <= {b""}, "the event is not set aside"
        return sorted(dict(one.headers)["reason"].decode() for one in found)

    def changes(self) -> list[tuple[str, str]]:
        return sorted((one["segment"], one["change"]) for one in self.told(SEGMENT_CHANGES.name))

    def decisions(self) -> list[tuple[str, str, str | None]]:
        found = self.told(SEND_DECISIONS.name)
        return sorted(
            (one["message"] or one["flow"], one["outcome"], one["reason"]) for one in found
        )


IDS = Ids(REPLAY_SECRET)
PATH = Path(lambda: EventReader(IDS), IdentityCore(IDS), ProfileCore(IDS))


def test_a_segment_that_raises_is_left_out_for_that_profile_alone() -> None:
    log = Log(SEGMENTS)
    log.order(1, "ann", fragile=True)
    log.order(2, "bert", fragile=False)
    log.order(3, "ann", fragile=True)
    log.until(6)
    assert len(log.told(TIMELINE.name)) == 3, "no event is lost"
    assert log.changes() == [
        ("buyers", "entered"),
        ("buyers", "entered"),
        ("fragile", "entered"),
        ("upon-fragile", "entered"),
    ]
    (reason,) = log.dead_letters()
    assert reason.startswith("segment fragile: ZeroDivisionError in raising:")
    assert "personal" not in reason


def test_the_next_version_of_the_definitions_is_tried_again() -> None:
    log = Log(SEGMENTS)
    log.order(1, "ann", fragile=True)
    log.until(3)
    log.publish(4, SEGMENTS.replace("trait: fragile", "trait: other"))
    log.until(8)
    assert len(log.dead_letters()) == 1
    assert ("fragile", "entered") in log.changes()


def test_a_flow_that_raises_ends_its_run_and_takes_no_other_with_it() -> None:
    log = Log(FLOWS)
    log.order(1, "ann", fragile=True)
    log.order(2, "bert", fragile=False)
    log.until(9)
    log.order(10, "ann", fragile=True)
    log.until(14)
    assert log.decisions() == [
        ("careful-1", "sent", None),
        ("careful-1", "sent", None),
        ("careful-1", "sent", None),
        ("reckless", "skipped", "flow-raised"),
        ("reckless-1", "sent", None),
        ("reckless-1", "sent", None),
    ]
    (reason,) = log.dead_letters()
    assert reason.startswith("flow reckless: ZeroDivisionError in raising:")


def test_a_feature_that_raises_takes_with_it_what_asks_for_it() -> None:
    log = Log(COUNTED)
    log.order(1, "ann", fragile=False)
    log.order(2, "ann", fragile=False, brittle=1)
    log.order(3, "ann", fragile=False)
    log.until(6)
    assert log.changes() == [("buyers", "entered")]
    assert log.decisions() == [("reckless", "refused", "flow-filter")]
    (reason,) = log.dead_letters()
    assert reason.startswith("feature ")


def test_a_whole_path_with_raising_parts_is_the_same_however_it_is_run() -> None:
    log = Log(SEGMENTS + "---" + FLOWS)
    for number in range(12):
        log.order(1 + number // 2, f"p{number % 5}" + "x" * (number % 2), fragile=number % 3 == 0)
    log.publish(8, SEGMENTS.replace("is: never", "is: ever") + "---" + FLOWS)
    log.order(9, "p0", fragile=True)
    log.until(16)
    want = by_topic(log.said())
    assert log.dead_letters()
    rows = {key: row for _, key, row in _ended(log).rows("profile")}
    for seed in range(12):
        source = [list(part) for part in log.source]
        sim = Simulation(PATH, 2, source, seed)
        assert {topic: said for topic, said in sim.said.items() if said} == want, seed
        assert sim.rows("profile") == rows, seed


def _ended(log: Log) -> Replay:
    replay = replayed(PATH, 2, log.source)
    replay.run()
    return replay
