"""New definitions reach every profile at their place in the log, also one that does nothing."""

from typing import Any

import msgspec

from schemas.outputs import SegmentChanged
from schemas.records import DefinitionsPublished
from schemas.rows import ProfileRow
from schemas.topics import FLOW_TRIGGERS, SEGMENT_CHANGES
from streams.identity.step import IdentityCore
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.control import definitions, tick
from streams.ingest.read import EventReader
from streams.profile.step import ProfileCore
from streams.replay import Replay

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

    def event(self, at: int, metric: str, who: str) -> None:
        value = msgspec.json.encode({"metric": metric, "profile": {"external_id": who}})
        self.replay.append(0, value, at * 1000)

    def until(self, at: int) -> list[tuple[str, str, str]]:
        """(segment, change, second) of what changed, after some ticks."""
        value, headers = tick()
        for second in range(at, at + 4):
            self.replay.append(0, value, second * 1000, headers=headers)
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
    rows = [
        msgspec.msgpack.decode(row, type=ProfileRow) for _, _, row in log.replay.rows("profile")
    ]
    assert {row.definitions for row in rows} == {"two"}
    assert not any("s" in row.segments for row in rows), "a removed segment leaves nothing behind"
