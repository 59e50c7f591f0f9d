"""Cuts through the population, as records of the log: every partition adopts them at one place."""

from typing import Any

import msgspec

from schemas.records import Cut, DefinitionsPublished, PopulationMeasured
from streams.definitions.program import compile_program
from streams.identity.step import IdentityCore
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.control import definitions, population, tick
from streams.ingest.read import EventReader
from streams.instants import SECOND
from streams.intake import Write
from streams.profile.step import ProfileCore
from streams.published import InForce
from streams.replay import Replay
from streams.segments.ranked import key_of

START = 1_767_225_600_000
PARTITIONS = 2
BEST = {"segment": "best", "where": {"top": "25%", "by": {"did": "Placed Order", "total": "value"}}}
DOCUMENTS = (BEST, {"flow": "thanks", "trigger": {"enters": "best"}, "steps": []})
PROGRAM = compile_program(DOCUMENTS, version="v1")
(RANKING,) = PROGRAM.rankings


class Path:
    """The path in memory, in two partitions, with a tick of both after everything that is told."""

    def __init__(self) -> None:
        ids = Ids(REPLAY_SECRET)
        self.replay = Replay(
            PARTITIONS,
            reader=lambda: EventReader(ids),
            identity=IdentityCore(ids),
            profile=ProfileCore(ids),
        )
        self.now = START
        published = DefinitionsPublished("main", "v1", "ann", DOCUMENTS, number=1)
        self.everywhere(*definitions(published, REPLAY_SECRET))

    def everywhere(self, value: bytes, headers: Any) -> list[Write]:
        for partition in range(PARTITIONS):
            self.replay.append(partition, value, self.now, headers=headers)
        return self.pass_time()

    def orders(self, *amounts: tuple[int, int]) -> list[Write]:
        """(customer, amount) of each order."""
        for who, amount in amounts:
            said = {
                "metric": "Placed Order",
                "profile": {"external_id": f"c-{who}"},
                "value": amount,
                "currency": "EUR",
            }
            self.replay.append(who % PARTITIONS, msgspec.json.encode(said), self.now)
        return self.pass_time()

    def pass_time(self) -> list[Write]:
        said: list[Write] = []
        for _ in range(4):
            self.now += SECOND
            value, headers = tick()
            for partition in range(PARTITIONS):
                self.replay.append(partition, value, self.now, headers=headers)
            said += self.replay.run()
        return said


def cuts(limit: int, number: int) -> tuple[bytes, Any]:
    cut = Cut(RANKING, limit * 1_000_000, 1, 8, START)
    return population(PopulationMeasured("main", number, (cut,)), REPLAY_SECRET)


def changes(said: list[Write]) -> list[str]:
    found = [msgspec.json.decode(one.value) for one in said if one.topic == "segment-changes"]
    return sorted(one["change"] for one in found)


def test_every_partition_adopts_the_cut_and_flows_start_only_for_ones_own_deeds() -> None:
    path = Path()
    assert changes(path.orders(*((who, 10 * who) for who in range(1, 9)))) == []
    said = path.everywhere(*cuts(20, 2))
    assert changes(said) == ["entered"] * 7, "c-2 to c-8"
    assert {one.partition for one in said if one.topic == "segment-changes"} == {0, 1}
    assert not [one for one in said if one.topic == "flow-triggers"]
    said = path.orders((1, 45))
    assert changes(said) == ["entered"]
    assert len([one for one in said if one.topic == "flow-triggers"]) == 1
    assert changes(path.everywhere(*cuts(75, 3))) == ["exited"] * 7, "all but c-8"


def test_an_old_cut_and_a_forged_one_change_nothing() -> None:
    path = Path()
    path.orders(*((who, 10 * who) for who in range(1, 9)))
    path.everywhere(*cuts(75, 2))
    for value, headers in (cuts(5, 2), (cuts(5, 3)[0], cuts(6, 3)[1])):
        said = path.everywhere(value, headers)
        assert changes(said) == []
        reasons = [
            dict(one.headers)["reason"] for one in said if one.topic == "store-events-rejected"
        ]
        assert reasons in ([b"out-of-sequence"] * 2, [b"not-authentic"] * 2)


def test_a_worker_that_starts_again_knows_the_cuts() -> None:
    path = Path()
    path.everywhere(*cuts(75, 2))
    for stage in ("ingest", "identity", "profile"):
        seat: Any = path.replay._seats[stage, 1]
        kept = InForce(seat.rows.items()).definitions["main"]
        assert [cut.total for cut in kept.cuts] == [75_000_000], stage
    assert key_of(PROGRAM.rankings[RANKING].condition) == RANKING
