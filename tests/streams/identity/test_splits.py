"""Support splits people apart at any moment, whatever else is going on."""

import random

import msgspec
import pytest

from schemas.records import Body, EventArrived
from schemas.splits import EventsTold
from streams.core import Output
from streams.ingest.read import EventReader
from streams.profile import split_history
from streams.profile.split_history import parts
from streams.replay import STAGES, MemoryRecord
from tests.streams.identity.people import BEGIN, IDS, PATH, SPAN, also, check, ended, history
from tests.streams.identity.splits import (
    Made,
    Played,
    Timeline,
    asked,
    check_erased,
    check_splits,
    check_told,
    made_of,
    play_splits,
)
from tests.streams.identity.test_any_order import Chaos
from tests.streams.identity.test_histories import KINDS
from tests.streams.simulation import Simulation, by_topic


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Histories here are short: so are the parts in which they are told again."""
    monkeypatch.setattr(split_history, "PART_EVENTS_MAX", 3)


def play(kind: str, seed: int, *, repeats: float = 0.0) -> Played:
    rng = random.Random(f"split-{kind}-{seed}")
    events = also(rng, history(rng, KINDS[kind]))
    played = play_splits(rng, events, rng.randint(1, 3), repeats=repeats, splits=3)
    check(played.end, events, once=not repeats, circles=True)
    check_splits(played.end, played.made)
    if not repeats:
        check_told(played)
    return played


def splits(kind: str, seeds: range) -> tuple[int, int]:
    """Returns: how many splits were made, and how many events moved."""
    made = [one for seed in seeds for one in play(kind, seed).made]
    return len(made), sum(len(one.moved) for one in made)


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_split_at_any_moment_is_never_one_again_and_each_has_what_is_theirs(
    kind: str,
) -> None:
    made, moved = splits(kind, range(12))
    assert made > 5
    assert moved > 10


def test_repeated_events_change_nothing_about_who_was_split() -> None:
    for seed in range(8):
        play("conflicts", seed, repeats=0.3)


def erasing(kind: str, seeds: range) -> int:
    """Returns: how many profiles were erased."""
    erased = 0
    for seed in seeds:
        rng = random.Random(f"se-{kind}-{seed}")
        events = also(rng, history(rng, KINDS[kind]))
        end = play_splits(rng, events, rng.randint(1, 3), splits=3, erasures=2).end
        check_erased(end)
        erased += sum(1 for row in end.profiles.values() if row.gone_at)
    return erased


@pytest.mark.parametrize("kind", ["shared", "circles"])
def test_who_is_split_and_erased_at_any_moment_leaves_nobody_waiting(kind: str) -> None:
    assert erasing(kind, range(32, 40)) > 5


class SplitChaos(Chaos):
    """Messages as late and as often as it gets; history is told when nothing is on its way."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.timeline = Timeline()
        self.made: dict[str, Made] = {}
        self.to_tell: list[EventsTold] = []

    def serve(self) -> None:
        super().serve()
        if self.rng.random() < 0.5:
            self.tell()

    def tell(self) -> None:
        while self.to_tell:
            told, self.to_tell = self.to_tell, []
            for part in told:
                self.send("identity", part.profile_id, part, BEGIN + SPAN)
            super().serve()

    def _step(self, station: str, key: str, body: Body, now: int, *, keep: bool) -> list[Output]:
        outputs = super()._step(station, key, body, now, keep=keep)
        lines = [one.record for one in outputs if one.to == "timeline"]
        for done, told in self.timeline.take(lines):
            self.made[done.split] = made_of(done, told)
            self.to_tell += parts(done, told)
        return outputs


def chaos(seed: int, kind: str) -> int:
    """Returns: how many splits were made."""
    rng = random.Random(f"split-chaos-{seed}")
    events = also(rng, history(rng, KINDS[kind]))
    rng.shuffle(events)
    world, reader = SplitChaos(rng), EventReader(IDS)
    splits = [asked(rng, events, number) for number in range(3)]
    at_events = {rng.randrange(len(events)): one for one in splits}
    for number, event in enumerate(events):
        at = BEGIN + rng.randint(0, SPAN)
        said = reader(MemoryRecord(0, at, None, msgspec.json.encode(event)), at)
        assert isinstance(said, tuple)
        world.send("identity", said[0], EventArrived(said[1]), at)  # type: ignore[arg-type]
        if number in at_events:
            one = at_events[number]
            kind_, value = one.identifiers[0]
            world.send("identity", f"main/{kind_}/{value}", one, at)
        if rng.random() < 0.2:
            world.serve()
    world.serve()
    world.tell()
    profiles, identifiers = (
        {key.encode(): row for key, row in world.rows[station].items()}
        for station in ("profile", "identity")
    )
    end = ended(profiles, identifiers)
    check(end, events, once=not world.repeat, at_once=False, circles=True)
    check_splits(end, list(world.made.values()))
    return len(world.made)


def test_in_any_order_and_however_often_splits_end_well() -> None:
    made = sum(chaos(seed, kind) for kind in KINDS for seed in range(15))
    assert made > 50


def test_any_schedule_with_stalls_and_crashes_equals_the_replay() -> None:
    crashes(range(5))


def crashes(seeds: range) -> None:
    for seed in seeds:
        played = play(list(KINDS)[seed % len(KINDS)], seed, repeats=0.1)
        sim = Simulation(PATH, len(played.source), played.source, seed)
        assert {k: v for k, v in sim.said.items() if v} == by_topic(played.said), seed
        for stage in STAGES[1:]:
            rows = {key: row for _, key, row in played.replay.rows(stage)}
            assert sim.rows(stage) == rows, (seed, stage)


@pytest.mark.prove
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_splits(kind: str) -> None:
    splits(kind, range(12, 1500))


@pytest.mark.prove
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_splits_end_well_in_any_order(kind: str) -> None:
    for seed in range(15, 3000):
        chaos(seed, kind)


@pytest.mark.prove
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_splits_and_erasures_leave_nobody_waiting(kind: str) -> None:
    erasing(kind, range(40, 1500))


@pytest.mark.prove
def test_thousands_of_schedules_with_splits_equal_the_replay() -> None:
    crashes(range(5, 500))
