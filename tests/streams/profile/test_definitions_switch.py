"""New definitions reach every profile at their place in the log, also one that does nothing."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from schemas.outputs import SegmentChanged
from schemas.records import Cut, DefinitionsPublished, PopulationMeasured
from schemas.rows import POSITION_KEY, ProfileRow
from schemas.topics import FLOW_TRIGGERS, SEGMENT_CHANGES
from streams.apply import Timers
from streams.definitions.program import compile_program
from streams.identity.step import IdentityCore
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.control import definitions, population, tick
from streams.ingest.read import EventReader
from streams.intake import RoundIntake
from streams.profile.step import ProfileCore
from streams.replay import Replay
from streams.rounds import load_position
from streams.visits import FEW, Visits, plan_visits

OLD = ({"segment": "s", "where": {"did": "A"}},)
NEW = (
    {"segment": "t", "where": {"did": "A"}},
    {"flow": "f", "trigger": {"enters": "t"}, "steps": [{"exit": "done"}]},
)


class Log:
    """One partition, told in seconds."""

    def __init__(self) -> None:
        ids = Ids(REPLAY_SECRET)
        self.replay = Replay(
            1,
            reader=lambda: EventReader(ids),
            identity=IdentityCore(ids),
            profile=ProfileCore(ids),
        )

    def publish(self, at: int, version: str, documents: Any) -> None:
        published = DefinitionsPublished("main", version, "ann", documents)
        value, headers = definitions(published, REPLAY_SECRET)
        self.replay.append(0, value, at * 1000, headers=headers)

    def measure(self, at: int, cut: Cut) -> None:
        value, headers = population(PopulationMeasured("main", 0, (cut,)), REPLAY_SECRET)
        self.replay.append(0, value, at * 1000, headers=headers)

    def event(self, at: int, metric: str, who: str) -> None:
        value = msgspec.json.encode({"metric": metric, "profile": {"external_id": who}})
        self.replay.append(0, value, at * 1000)

    def tick(self, seconds: range) -> None:
        value, headers = tick()
        for second in seconds:
            self.replay.append(0, value, second * 1000, headers=headers)

    @property
    def rows(self) -> list[ProfileRow]:
        decode = msgspec.msgpack.Decoder(ProfileRow).decode
        return [decode(row) for _, _, row in self.replay.rows("profile")]

    def until(self, at: int) -> list[tuple[str, str, str]]:
        """(segment, change, second) of what changed, after some ticks."""
        self.tick(range(at, at + 4))
        return self.said()

    def said(self) -> list[tuple[str, str, str]]:
        told = []
        for write in self.replay.run():
            assert write.topic != FLOW_TRIGGERS.name, "definitions trigger nothing"
            if write.topic == SEGMENT_CHANGES.name:
                change = msgspec.json.decode(write.value, type=SegmentChanged)
                told.append((change.segment, change.change, change.at[17:]))
        return told


def test_profiles_that_do_nothing_change_segments_at_the_instant_of_the_switch() -> None:
    log = Log()
    log.publish(1, "one", OLD)
    for number in range(3):
        log.event(2, "A", f"c-{number}")
    assert log.until(10) == [("s", "entered", "02.000Z")] * 3
    log.publish(30, "two", NEW)
    log.event(30, "B", "somebody else")
    assert log.until(40) == [("s", "exited", "30.000Z"), ("t", "entered", "30.000Z")] * 3
    assert {row.definitions for row in log.rows} == {"two"}
    assert not any("s" in row.segments for row in log.rows), (
        "a removed segment leaves nothing behind"
    )


# --- many profiles -------------------------------------------------------------------------------

MANY = 210
"""So many as take 2.1 seconds where one is visited in ten milliseconds."""


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Log:
    """Many who have done A, under the old definitions."""
    monkeypatch.setattr("streams.visits.FEW", MANY - 1)
    monkeypatch.setattr("streams.visits.MILLIS_PER_ROW", 10)
    log = Log()
    log.publish(1, "one", OLD)
    for number in range(MANY):
        log.event(2, "A", f"c-{number}")
    assert len(log.until(10)) == MANY
    return log


def test_many_profiles_are_visited_little_by_little_but_who_does_something_at_once(
    crowd: Log,
) -> None:
    crowd.publish(30, "two", NEW)
    busy = "c-7"
    crowd.event(30, "B", busy)
    told = crowd.until(40)
    assert [one[:2] for one in told] == [("s", "exited"), ("t", "entered")] * MANY
    seconds = [float(second.removesuffix("Z")) for _, _, second in told]
    assert seconds == sorted(seconds)
    visited = Counter(int(second * 10) for second in seconds)
    assert set(visited) == set(range(300, 321)), "they take 2.1 s"
    assert max(visited.values()) < MANY / 5
    assert {row.definitions for row in crowd.rows} == {"two"}
    (row,) = [row for row in crowd.rows if busy in row.identifiers["external_id"]]
    assert row.segments["t"].since == 30_000


def test_the_next_definitions_wait_until_everybody_was_visited_for_the_ones_before(
    crowd: Log,
) -> None:
    crowd.publish(30, "two", NEW)
    crowd.publish(31, "three", [*NEW, {"segment": "u", "where": {"did": "A"}}])
    told = crowd.until(40)
    assert len(told) == 3 * MANY
    late = [one for one in told if one[0] != "u" and one[2] > "31.000Z"]
    assert not late
    third = [second for segment, _, second in told if segment == "u"]
    assert (min(third)[:4], max(third)[:4]) == ("31.0", "33.0")
    assert {row.definitions for row in crowd.rows} == {"three"}


def test_a_worker_that_starts_again_visits_who_is_left_at_the_same_instants(crowd: Log) -> None:
    crowd.publish(30, "two", NEW)
    crowd.tick(range(30, 32))
    crowd.replay.run()
    under = Counter(row.definitions for row in crowd.rows)
    assert min(under["one"], under["two"]) > MANY / 5, "in the middle of the visits"
    assert_the_same_when_started_again(crowd)


def test_new_cuts_wait_until_everybody_was_visited_for_the_definitions_before(crowd: Log) -> None:
    ranked = {"segment": "u", "where": {"top": "10%", "by": {"did": "A", "total": "value"}}}
    crowd.publish(30, "two", [*NEW, ranked])
    (ranking,) = compile_program((ranked,), version="").rankings
    crowd.measure(31, Cut(ranking, 1, 1, MANY, 31_000))
    crowd.tick(range(30, 33))
    told = crowd.said()
    visited = [second for segment, _, second in told if segment == "t"]
    assert len(visited) == MANY
    assert max(visited) <= "31.000Z"
    cut = Counter(row.population for row in crowd.rows)
    assert len(cut) == 2
    assert min(cut.values()) > MANY / 5, "in the middle of the visits for the cuts"
    assert_the_same_when_started_again(crowd)


def assert_the_same_when_started_again(log: Log) -> None:
    """A worker that starts with these rows wakes each of them when the one before would have."""
    seat: Any = log.replay._seats["profile", 0]
    position = load_position(seat.rows[POSITION_KEY % 0], 1)
    again = RoundIntake(ProfileCore(Ids(REPLAY_SECRET)), 0, position, seat.rows)
    assert in_order(again.timers) == in_order(seat.intake.timers)


def in_order(timers: Timers) -> list[tuple[int, str]]:
    found = []
    while timers.peek() is not None:
        found.append(timers.pop())
    return found


def test_a_few_profiles_are_visited_at_once() -> None:
    assert plan_visits(7, FEW) == Visits()
    assert plan_visits(7, FEW + 1).until == 7 + FEW + 1


def test_the_first_definitions_start_no_flow_for_those_who_were_there_before() -> None:
    log = Log()
    for number in range(3):
        log.event(2, "Identify", f"c-{number}")
    log.until(3)
    of_all = ({"segment": "s", "where": {"did_not": "A"}}, {**NEW[1], "trigger": {"enters": "s"}})
    log.publish(30, "one", of_all)
    log.tick(range(30, 36))
    written = Counter(write.topic for write in log.replay.run())
    assert written[SEGMENT_CHANGES.name] == 3
    assert written[FLOW_TRIGGERS.name] == 0
