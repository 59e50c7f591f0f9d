"""What the small histories do not have yet: merges, and records whose step raised."""

from pathlib import Path

import msgspec

from agents.replay.written import FILES, Written
from schemas.outputs import IdentityMerged, TimelineEntry
from schemas.rows import ProfileRow
from schemas.topics import DEAD_LETTERS, IDENTITY_MERGES, TIMELINE
from streams.intake import Write

AT = "2026-03-02T09:00:00.000Z"


def entry(profile: str, event: str, at: int) -> Write:
    said = TimelineEntry(
        event_id=event,
        store="main",
        profile_id=profile,
        metric="Viewed Product",
        occurred_at=AT,
        received_at=AT,
        origin=(at, 0, at),
        trust="server",
        source="",
        backfill=False,
        identifiers=(),
        properties={},
        value=None,
        currency=None,
    )
    return Write(TIMELINE.name, 0, profile.encode(), msgspec.json.encode(said), at)


def lines(path: Path) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def test_the_events_of_a_profile_that_was_merged_away_are_with_the_winner(tmp_path: Path) -> None:
    merged = IdentityMerged(id="m", store="main", winner="i1", loser="n2", decided_at=AT)
    with Written(tmp_path) as written:
        written.hear([entry("n2", "a", 1), entry("i1", "b", 2), entry("n2", "c", 3)])
        written.hear([Write(IDENTITY_MERGES.name, 0, b"n2", msgspec.json.encode(merged), 4)])
        written.hear([entry("i1", "c", 5), entry("i1", "d", 6)])
        rows = (ProfileRow(store="main", id="i1"), ProfileRow(store="main", id="n2", to="i1"))
        written.finish(map(msgspec.msgpack.encode, rows), {})
    (profile,) = lines(tmp_path / "profiles.jsonl")
    assert (profile["profile_id"], profile["events"]) == ("i1", ["a", "b", "c", "d"])
    assert len(lines(tmp_path / "identity-merges.jsonl")) == 1
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)


def test_a_record_whose_step_raised_is_kept(tmp_path: Path) -> None:
    headers = (("station", b"profile"), ("reason", b"KeyError in f:1"), ("offset", b"3"))
    with Written(tmp_path) as written:
        written.hear([Write(DEAD_LETTERS.name, 0, b"i1", b"\x92", 1_772_442_000_000, headers)])
        written.finish([], {})
    assert lines(tmp_path / "dead-letters.jsonl") == [
        {
            "station": "profile",
            "key": "i1",
            "at": AT,
            "reason": "KeyError in f:1",
            "value_base64": "kg==",
        }
    ]
