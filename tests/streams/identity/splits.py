"""Random histories in which support splits identifiers off, while all goes on; and what is true."""

import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from schemas.outputs import DefinitionsSwitched, ProfileSplit, TimelineEntry
from schemas.rows import ProfileRow
from schemas.splits import EventTold, SplitAsked
from schemas.topics import DEAD_LETTERS, TIMELINE
from schemas.values import EventId, Instant, ProfileId
from streams.flows.moment import Moment
from streams.flows.plan import plan_flows
from streams.ids import REPLAY_SECRET
from streams.ingest.control import split
from streams.intake import Write
from streams.profile.split import note_facts
from streams.profile.split_history import counted_once, events_in, parts
from streams.replay import MemoryRecord, Replay
from streams.segments.backfill import event_of
from tests.streams.identity.people import (
    BEGIN,
    CORE,
    IDS,
    PATH,
    SPAN,
    STRENGTH,
    TICK,
    Ended,
    Event,
    check_rows,
    ended,
    events_of,
    world,
)
from tests.streams.simulation import replayed

_read_line = msgspec.json.Decoder(TimelineEntry | ProfileSplit | DefinitionsSwitched).decode
Place = tuple[ProfileId, str, EventId, tuple[int, ...]]


class Timeline:
    """What the database would hold: an entry that says where it moved from replaces that one."""

    def __init__(self) -> None:
        self.entries: dict[Place, TimelineEntry] = {}
        self.moved: set[Place] = set()

    def hear(self, said: Iterable[Write]) -> list[tuple[ProfileSplit, list[EventTold]]]:
        """Returns: the splits that were made, and what stood under the profile before the mark."""
        lines = (_read_line(one.value or b"") for one in said if one.topic == TIMELINE.name)
        return self.take(lines)

    def take(self, lines: Iterable[Any]) -> list[tuple[ProfileSplit, list[EventTold]]]:
        """Returns: as `hear`."""
        found = []
        for line in lines:
            if isinstance(line, ProfileSplit):
                found.append((line, self.told(line.known_as)))
            elif isinstance(line, TimelineEntry):
                here = line.metric, line.event_id, line.origin
                if line.moved_from is not None:
                    self.moved.add((line.moved_from, *here))
                self.entries[(line.profile_id, *here)] = line
        return [(done, [one for one in told if self._is_there(one)]) for done, told in found]

    def _is_there(self, told: EventTold) -> bool:
        """Not so where it moved in the same round: who reads waits for all that was written."""
        event = told.event
        return (told.profile_id, event.metric, event.id, told.origin) not in self.moved

    def told(self, known_as: Sequence[ProfileId]) -> list[EventTold]:
        return [
            EventTold(place[0], entry.origin, event_of(entry))
            for place, entry in self.entries.items()
            if place[0] in known_as and place not in self.moved
        ]


class Made(NamedTuple):
    """A split, and the events that went and stayed."""

    done: ProfileSplit
    moved: set[EventId]
    stayed: set[EventId]


def made_of(done: ProfileSplit, told: Sequence[EventTold]) -> Made:
    going = [part for part in parts(done, told) if part.profile_id == done.new]
    moved = {one.event.id for part in going for one in events_in(part)}
    return Made(done, moved, {one.event.id for one in told} - moved)


class Played(NamedTuple):
    """source: the log as it came to be."""

    end: Ended
    replay: Replay
    said: list[Write]
    source: list[list[MemoryRecord]]
    timeline: Timeline
    made: list[Made]


def asked(rng: random.Random, events: Sequence[Event], number: int) -> SplitAsked:
    """A split of what an event names; often with something weak that came along."""
    named = [one for one in rng.choice(events)["profile"].items() if one[0] in STRENGTH]
    first = rng.choice(named)
    weak = [one for one in named if one[0] in STRENGTH[3:] and one != first]
    chosen = (first, *weak) if rng.random() < 0.5 else (first,)
    return SplitAsked("main", chosen, f"split-{number}", "sue", "a mistake")


def play_splits(
    rng: random.Random,
    events: list[Event],
    partitions: int,
    *,
    repeats: float = 0.0,
    splits: int = 2,
    erasures: int = 0,
) -> Played:
    """Tick by tick: what support asks comes in between, what the timeline answers some ticks later,
    sometimes twice.
    """
    plan = world(rng, events, partitions, repeats=repeats, erasures=erasures)
    replay = replayed(PATH, partitions, [[] for _ in plan])
    source: list[list[MemoryRecord]] = [[] for _ in plan]
    timeline, said = Timeline(), []
    made: list[Made] = []
    due: list[tuple[Instant, int, bytes, Any]] = []
    for number in range(splits):
        value, headers = split(asked(rng, events, number), REPLAY_SECRET)
        for _ in range(rng.choice((1, 1, 2))):
            at = BEGIN + rng.randrange(SPAN // TICK + 12) * TICK
            due.append((at, rng.randrange(partitions), value, headers))

    def append(partition: int, record: MemoryRecord) -> None:
        record = record._replace(offset=len(source[partition]))
        source[partition].append(record)
        replay.append(partition, record.value, record.timestamp, headers=record.headers)

    ticks = sorted({one.timestamp for one in plan[0] if one.headers})
    reading = [0] * partitions
    for now in ticks:
        for at, partition, value, headers in [one for one in due if one[0] == now]:
            append(partition, MemoryRecord(0, at, None, value, headers))
        for partition, log in enumerate(plan):
            while reading[partition] < len(log) and log[reading[partition]].timestamp <= now:
                append(partition, log[reading[partition]])
                reading[partition] += 1
        heard = replay.run()
        said += heard
        for done, told in timeline.hear(heard):
            made.append(made_of(done, told))
            at, partition = now + rng.choice((1, 2, 5)) * TICK, rng.randrange(partitions)
            records = [split(part, REPLAY_SECRET) for part in parts(done, told)]
            if rng.random() < 0.5:
                records += records
            due += [(at, partition, *record) for record in records]
    assert not [one for one in said if one.topic == DEAD_LETTERS.name]
    rows = {
        stage: {key: row for _, key, row in replay.rows(stage)}  # type: ignore[arg-type]
        for stage in ("profile", "identity")
    }
    end = ended(rows["profile"], rows["identity"])
    return Played(end, replay, said, source, timeline, made)


# --- what must be true ---------------------------------------------------------------------------


def check_splits(end: Ended, made: Sequence[Made]) -> None:
    """Who was split is never one again, and each has what is theirs."""
    for done, moved, stayed in made:
        old, new = end.find(done.old), end.find(done.new)
        assert old is not None
        assert new is not None
        assert old.id != new.id, "a split pair is never one profile again"
        again = {one for other, gone, _ in made if other is not done for one in gone}
        happened = events_of(old) | events_of(new)
        assert (moved - again) & happened <= events_of(new), "what goes is there"
        assert (stayed - again) & happened <= events_of(old), "what stays is there"
    for row in end.live:
        assert row.retold is None
        for kind, value in [one for side in row.sides for one in side.identifiers]:
            assert value not in row.identifiers.get(kind, ()), "what was split off is not claimed"
        assert all(side.next is None for side in row.sides), "nothing is pending"


def check_erased(end: Ended) -> None:
    """Whoever is gone is gone whole; the others have all that is theirs, and await nothing."""
    check_rows(end, circles=True)
    for row in end.profiles.values():
        if row.gone_at:
            assert row == ProfileRow(
                store="main", id=row.id, gone_at=row.gone_at, gone_by=row.gone_by
            )
    for row in end.live:
        assert row.retold is None
        assert all(side.next is None for side in row.sides), "nobody waits for ever"


def check_told(played: Played) -> None:
    """Every profile is what its timeline says: traits, lists, features, figures, counts."""
    end = played.end
    known: dict[ProfileId, list[ProfileId]] = {}
    for profile_id in end.profiles:
        live = end.find(profile_id)
        if live is not None:
            known.setdefault(live.id, []).append(profile_id)
    for row in end.live:
        again = ProfileRow(store="main", id=row.id)
        store = CORE._stores["main"]
        moment = Moment(again, store.program, plan_flows({}, store.program.condition), IDS, BEGIN)
        for told in counted_once(played.timeline.told(known[row.id])):
            note_facts(moment, told.event, store.rules)
        assert facts(again) == facts(row)


def facts(row: ProfileRow) -> Any:
    return (
        row.events,
        sorted((name, repr(t.value), t.occurred_at, t.once) for name, t in row.traits.items()),
        sorted(row.lists.items()),
        {key: (one.count, one.total, one.entries) for key, one in row.features.items()},
        (row.figures.orders, row.figures.revenue),
        (row.figures.first_order_at, row.figures.last_order_at),
        row.last_seen_at,
    )
