"""How people became one is told as it came to be, whatever the order of arrival."""

import random
from typing import Any

import msgspec
import pytest

from schemas.topics import IDENTITY_CONFLICTS, IDENTITY_MERGES, TIMELINE
from streams.identity.joins import Accepted, Joins, Settled, joins
from streams.identity.rules import rules_in
from streams.ingest.read import EventReader
from streams.instants import to_instant
from streams.intake import Write
from streams.profile.conflicts import SHARED_BY_TOO_MANY
from streams.replay import MemoryRecord
from tests.streams.identity.people import (
    IDS,
    PATH,
    PUBLISHED,
    Ended,
    also,
    ended,
    history,
    world,
)
from tests.streams.identity.test_histories import KINDS
from tests.streams.simulation import replayed

RULES = rules_in(PUBLISHED.published)


def told(seed: str, kind: str) -> tuple[Joins, Ended, list[Write]]:
    """A random history as it ended, and as it is told from its timeline."""
    rng = random.Random(seed)
    partitions = rng.randint(1, 3)
    logs = world(rng, also(rng, history(rng, KINDS[kind])), partitions)
    replay = replayed(PATH, partitions, logs)
    said = replay.run()
    rows = {
        stage: {key: row for _, key, row in replay.rows(stage)}  # type: ignore[arg-type]
        for stage in ("profile", "identity")
    }
    found = joins("main", accepted(said, logs), settled(said), RULES, IDS)
    return found, ended(rows["profile"], rows["identity"]), said


def records(said: list[Write], topic: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(one.value or b"") for one in said if one.topic == topic]


def accepted(said: list[Write], logs: list[list[MemoryRecord]]) -> list[Accepted]:
    """The events as they came out of ingest, with the profile that the timeline has for each."""
    reader = EventReader(IDS)
    events = {
        (one.timestamp, partition, one.offset): reader(one, one.timestamp)[1]
        for partition, log in enumerate(logs)
        for one in log
        if not one.headers
    }
    found = [
        Accepted(events[tuple(one["origin"][:3])], tuple(one["origin"]), one["profile_id"])
        for one in records(said, TIMELINE.name)
    ]
    return sorted(found, key=lambda one: one.origin)


def settled(said: list[Write]) -> list[Settled]:
    merges = [
        Settled(to_instant(one["decided_at"]), one["winner"], one["loser"])
        for one in records(said, IDENTITY_MERGES.name)
    ]
    refusals = [
        Settled(to_instant(one["decided_at"]), *one["profiles"], refused=one["reason"])
        for one in records(said, IDENTITY_CONFLICTS.name)
        if one["reason"] != SHARED_BY_TOO_MANY
    ]
    return merges + refusals


def pointers(end: Ended) -> dict[tuple[str, str], str]:
    """Identifier -> the live profile that it led to."""
    found = {}
    for row in end.identifiers.values():
        if row.profile_id:
            live = end.find(row.profile_id)
            found[row.identifier] = row.profile_id if live is None else live.id
    return found


@pytest.mark.parametrize("seed", range(40))
def test_without_conflicts_every_pointer_and_every_merge_is_accounted_for(seed: int) -> None:
    found, end, said = told(f"joins-{seed}", "clean")
    assert {one.identifier: one.profile_id for one in found.identifiers} == pointers(end)
    merged = [one for one in found.joins if one.rule == "merged"]
    assert len(merged) == len(records(said, IDENTITY_MERGES.name))
    assert all(one.event and one.identifier for one in merged)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "clean"])
def test_with_conflicts_and_shared_devices_hardly_anything_is_told_otherwise(kind: str) -> None:
    """A link that came later than it is told may have met another pointer."""
    pointing = agreeing = uncaused = 0
    for seed in range(12):
        found, end, said = told(f"joins-{kind}-{seed}", kind)
        want = pointers(end)
        pointing += len(found.identifiers)
        agreeing += sum(want[one.identifier] == one.profile_id for one in found.identifiers)
        came_to = [one for one in found.joins if one.rule in ("merged", "refused")]
        assert len(came_to) == len(settled(said)), "what was recorded is told, and no more"
        uncaused += sum(one.event is None for one in came_to)
    assert agreeing >= 0.98 * pointing
    assert uncaused <= 2
