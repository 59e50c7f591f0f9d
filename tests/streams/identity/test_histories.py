"""Every history ends well: real cores, random orders of arrival, partitions, repeats, crashes."""

import random

import pytest

from schemas.topics import DEAD_LETTERS, IDENTITY_CONFLICTS
from streams.replay import STAGES
from tests.streams.identity.people import (
    PATH,
    Ended,
    Event,
    Kind,
    also,
    check,
    check_erased,
    ended,
    events_of,
    groups,
    history,
    summary,
    told_events,
    world,
)
from tests.streams.simulation import Simulation, by_topic, replayed

KINDS = {
    "clean": Kind(),
    "conflicts": Kind(conflicts=True),
    "dense": Kind(conflicts=True, dense=True),
    "shared": Kind(conflicts=True, shared=True),
    "client": Kind(conflicts=True, shared=True, client=True),
    "alias": Kind(conflicts=True, shared=True, client=True, alias=True),
    "circles": Kind(conflicts=True, shared=True, client=True, alias=True, circles=True),
}


def play(
    rng: random.Random, events: list[Event], partitions: int, kind: Kind, repeats: float
) -> Ended:
    """Let the events arrive at random, some of them twice; check the end, return it."""
    alone = not (kind.shared or kind.conflicts or kind.alias)
    replay = replayed(PATH, partitions, world(rng, events, partitions, repeats=repeats))
    said = replay.run()
    assert not [one for one in said if one.topic == DEAD_LETTERS.name]
    profiles, identifiers = (
        {key: row for _, key, row in replay.rows(stage)}
        for stage in ("profile", "identity")  # type: ignore[arg-type]
    )
    end = ended(profiles, identifiers)
    check(end, events, once=alone or not repeats, circles=kind.circles)
    return end


def histories(kind: str, seeds: range) -> None:
    for seed in seeds:
        rng = random.Random(f"{kind}-{seed}")
        events = also(rng, history(rng, KINDS[kind]))
        play(rng, events, rng.randint(1, 3), KINDS[kind], rng.choice((0.0, 0.2)))


def clean(seeds: range) -> None:
    """Without conflicts and shared devices the end does not depend on the order of arrival."""
    for seed in seeds:
        rng = random.Random(f"order-{seed}")
        kind = Kind(client=seed % 2 == 0)
        events = also(rng, history(rng, kind), grants_alone=True)
        repeats = rng.choice((0.0, 0.2))
        ends = [play(rng, events, rng.randint(1, 3), kind, repeats) for _ in range(3)]
        first = summary(ends[0], counts=not repeats)
        for other in ends[1:]:
            assert summary(other, counts=not repeats) == first, seed
        want = {
            frozenset(one for one in group if one.startswith("e"))
            for group in groups(events).values()
        }
        assert {frozenset(events_of(row)) for row in ends[0].live if row.events} == want


def erasures(seeds: range) -> tuple[int, int]:
    """People are erased at any moment. Returns: how many were, how many events were theirs."""
    erased = lost = 0
    for seed in seeds:
        rng = random.Random(f"erased-{seed}")
        events = also(rng, history(rng, list(KINDS.values())[seed % len(KINDS)]))
        partitions = rng.randint(1, 3)
        source = world(rng, events, partitions, repeats=0.1, erasures=rng.randint(1, 3))
        replay = replayed(PATH, partitions, source)
        said = replay.run()
        assert not [one for one in said if one.topic == DEAD_LETTERS.name]
        rows = {stage: {key: row for _, key, row in replay.rows(stage)} for stage in STAGES[1:]}
        end = ended(rows["profile"], rows["identity"])
        check_erased(end, source)
        erased += sum(1 for row in end.profiles.values() if row.gone_at)
        lost += len(events) - sum(row.events for row in end.live)
    return erased, lost


def crashes(seeds: range) -> int:
    """With crashes, stalls and small slices: the bytes are those of the replay."""
    conflicts = 0
    for seed in seeds:
        rng = random.Random(f"crash-{seed}")
        events = also(rng, history(rng, list(KINDS.values())[seed % len(KINDS)]))
        partitions = rng.randint(1, 3)
        erasing = seed % 3 == 0
        source = world(rng, events, partitions, repeats=0.2, erasures=2 * erasing)
        replay = replayed(PATH, partitions, source)
        said = replay.run()
        if not erasing:
            assert set(told_events(said)) == {event["id"] for event in events}
        want = by_topic(said)
        conflicts += sum(len(v) for (t, _), v in want.items() if t == IDENTITY_CONFLICTS.name)
        sim = Simulation(PATH, partitions, source, seed)
        assert {k: v for k, v in sim.said.items() if v} == want, seed
        for stage in ("identity", "profile"):
            rows = {key: row for _, key, row in replay.rows(stage)}  # type: ignore[arg-type]
            assert sim.rows(stage) == rows, (seed, stage)
        end = ended(sim.rows("profile"), sim.rows("identity"))
        if erasing:
            check_erased(end, source)
        else:
            check(end, events, once=False, circles=True)
    return conflicts


@pytest.mark.parametrize("kind", KINDS)
def test_every_history_ends_well(kind: str) -> None:
    histories(kind, range(60))


@pytest.mark.parametrize(("kind", "seed"), [("alias", 698), ("circles", 2678)])
def test_a_name_retired_just_after_its_profile_was_merged_is_pointed_on(
    kind: str, seed: int
) -> None:
    histories(kind, range(seed, seed + 1))


def test_the_order_of_arrival_changes_nothing_where_nobody_shares_and_nothing_conflicts() -> None:
    clean(range(41))


def test_who_is_erased_at_any_moment_leaves_nothing_and_what_comes_later_is_somebodys() -> None:
    erased, lost = erasures(range(70))
    assert erased > 50
    assert lost > 200


def test_any_schedule_with_stalls_and_crashes_equals_the_replay() -> None:
    assert crashes(range(25)) > 0


@pytest.mark.prove
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_histories_end_well(kind: str) -> None:
    histories(kind, range(60, 4000))


@pytest.mark.prove
def test_thousands_of_orders_of_arrival_change_nothing() -> None:
    clean(range(41, 2000))


@pytest.mark.prove
def test_thousands_of_erasures_leave_nothing() -> None:
    erasures(range(70, 6000))


@pytest.mark.prove
def test_thousands_of_schedules_equal_the_replay() -> None:
    crashes(range(25, 2000))
