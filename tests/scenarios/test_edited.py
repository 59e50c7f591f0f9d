"""Definitions that change in the middle of the demo: who changes, when, and the same once more."""

import msgspec
import pytest

from schemas.outputs import FlowTriggered, SegmentChanged
from schemas.rows import ProfileRow
from schemas.topics import FLOW_TRIGGERS, SEGMENT_CHANGES
from streams.instants import to_instant
from streams.replay import Replay
from tests.conftest import SECRET
from tests.integration.path.reading import Said, values_of
from tests.integration.path.shop import PARTITIONS, Shop, core_in_memory, play, rows_of, said_by
from tests.scenarios.edited_shop import ADDED_AT, EDITED_AT, REMOVED_AT, open_edited_shop

_read_profile = msgspec.msgpack.Decoder(ProfileRow).decode


@pytest.fixture(scope="module")
def edited() -> Shop:
    return open_edited_shop(SECRET.encode())


def changes(shop: Shop) -> list[SegmentChanged]:
    found = values_of(shop.said, SEGMENT_CHANGES, SegmentChanged)
    return [one for one in found if one.segment == "lookers"]


def by_version(change: SegmentChanged) -> str | None:
    """The version that brought the change about; None: the person itself, or time."""
    first = change.evidence[0] if change.evidence else None
    return first.value if first is not None and first.leaf == "definitions" else None


def test_each_version_changes_members_at_its_instant_and_only_deeds_start_the_flow(
    edited: Shop,
) -> None:
    found = changes(edited)
    said = {(by_version(one), one.change): to_instant(one.at) for one in found if by_version(one)}
    assert said == {
        ("added", "entered"): ADDED_AT,
        ("edited", "entered"): EDITED_AT,
        ("removed", "exited"): REMOVED_AT,
    }
    deeds = [one for one in found if by_version(one) is None]
    assert {one.change for one in deeds} == {"entered", "exited"}
    assert all(ADDED_AT < to_instant(one.at) < REMOVED_AT for one in deeds)
    triggers = values_of(edited.said, FLOW_TRIGGERS, FlowTriggered)
    started = [one.trigger_event_id for one in triggers if one.flow == "looked"]
    assert len(started) == len(set(started)) > 10
    assert set(started) <= {one.id for one in deeds if one.change == "entered"}


def test_who_was_in_is_out_in_the_end_and_nothing_of_it_is_left(edited: Shop) -> None:
    rows = [blob for (stage, _, _), blob in edited.rows.items() if stage == "profile"]
    assert len(rows) > 100
    assert not [blob for blob in rows if b"lookers" in blob]
    living = {row.id for row in map(_read_profile, rows) if row.to is None}
    last = {one.profile_id: one.change for one in changes(edited) if one.profile_id in living}
    assert set(last.values()) == {"exited"}


@pytest.mark.parametrize("at_once", [1, 7, 1_000], ids=lambda rounds: f"{rounds} rounds at once")
def test_the_recorded_log_says_the_same_again_byte_for_byte(edited: Shop, at_once: int) -> None:
    replay: Replay = core_in_memory(SECRET.encode())
    said: Said = {}
    for first in range(0, len(edited.rounds), at_once):
        for piece in edited.rounds[first : first + at_once]:
            play(replay, piece.partitions)
        said_by(replay, said)
    assert said.keys() == edited.said.keys()
    for place, records in edited.said.items():
        assert said[place] == records, place
    assert rows_of(replay) == edited.rows
    assert len({partition for _, partition in said}) == PARTITIONS
