"""The whole library at work for eight months: the same is said however the log is read."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import pytest

from agents.demo.log import Headed, Round
from schemas.definitions import Flow, Send
from schemas.topics import FLOW_TRIGGERS, SEND_COMMANDS, SEND_DECISIONS
from streams.definitions.references import walk
from streams.ids import REPLAY_SECRET
from streams.replay import Replay
from tests.scenarios.library import FLOWS, definitions
from tests.scenarios.library_shop import core, fed, library_rounds

PEOPLE = 24


class Played(NamedTuple):
    """The log, and the core that was in the loop while it was made."""

    rounds: list[Round]
    core: Replay

    def said(self) -> list[Headed]:
        return [write for piece in self.rounds for write in piece.writes]


@pytest.fixture(scope="module")
def played() -> Played:
    replay = core(REPLAY_SECRET)
    return Played(library_rounds(replay, REPLAY_SECRET, people=PEOPLE), replay)


def by_place(said: Iterable[Headed]) -> dict[tuple[str, int], list[tuple[bytes, bytes]]]:
    places: dict[tuple[str, int], list[tuple[bytes, bytes]]] = {}
    for write in said:
        places.setdefault((write.topic, write.partition), []).append((write.key, write.value))
    return places


def records(played: Played, topic: str) -> list[dict[str, Any]]:
    values = [write.value for write in played.said() if write.topic == topic]
    return [msgspec.json.decode(value) for value in values]


def test_every_flow_of_the_library_runs_and_each_of_its_messages_is_sent(played: Played) -> None:
    triggered = {one["flow"] for one in records(played, FLOW_TRIGGERS.name)}
    assert triggered == set(FLOWS)
    sends = {
        (flow.id, part.message)
        for flow in definitions().values()
        if isinstance(flow, Flow)
        for part, _ in walk(flow)
        if isinstance(part, Send)
    }
    decided = records(played, SEND_DECISIONS.name)
    assert {(one["flow"], one["message"]) for one in decided if one["outcome"] == "sent"} == sends
    assert {"held", "dropped", "skipped", "refused"} <= {one["outcome"] for one in decided}


def test_forty_rounds_at_a_time_and_hardly_any_room_say_the_same_bytes(played: Played) -> None:
    narrow = core(REPLAY_SECRET, waiting_max=40)
    said = fed(narrow, played.rounds, at_once=40)
    assert by_place(said) == by_place(played.said())
    for stage in ("identity", "profile"):
        assert sorted(narrow.rows(stage)) == sorted(played.core.rows(stage))


def test_every_decision_to_send_has_one_command_and_no_other_has_any(played: Played) -> None:
    commands = [
        one["id"] for one in records(played, SEND_COMMANDS.name) if one["type"] == "send-command"
    ]
    decided = [one for one in records(played, SEND_DECISIONS.name) if one["outcome"] == "sent"]
    assert len(commands) == len(set(commands)) == len(decided)
    assert set(commands) == {one["send_id"] for one in decided}
