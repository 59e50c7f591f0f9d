"""The merge protocol without the help of rounds: messages as late and as often as it gets.

Every partition is a queue; which one is served next is chance. A crash lets out what a step says,
and takes its row back; then the record is applied again. The same invariants must hold in the end.
"""

import random
from collections import defaultdict, deque
from typing import Any

import msgspec
import pytest

from schemas.records import Body, EventArrived
from streams.core import BACK, NEXT, PEER, Output
from streams.ingest.read import EventReader
from streams.intake import partition_of
from streams.replay import MemoryRecord
from tests.streams.identity.people import (
    BEGIN,
    IDS,
    PATH,
    SPAN,
    UNRANKED,
    Event,
    Kind,
    also,
    check,
    ended,
    history,
)
from tests.streams.identity.test_histories import KINDS

PARTITIONS = 4
MESSAGES_MAX = 20_000


class Chaos:
    """Both stations, their rows, and what is on its way."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.crash, self.repeat = rng.choice((0, 0.1, 0.3)), rng.choice((0, 0.2))
        identity = rng.choice((PATH.identity, UNRANKED))
        self.cores: dict[str, Any] = {"identity": identity, "profile": PATH.profile}
        self.rows: dict[str, dict[str, bytes]] = {"identity": {}, "profile": {}}
        self.queues: dict[tuple[str, int], deque[tuple[str, Body, int]]] = defaultdict(deque)
        self.steps = 0

    def send(self, station: str, key: str, body: Body, now: int) -> None:
        """As the log does: the encoded record, sometimes twice."""
        for _ in range(2 if self.rng.random() < self.repeat else 1):
            queue = self.queues[station, partition_of(key, PARTITIONS)]
            queue.append((key, _through_the_log(body), now))

    def serve(self) -> None:
        """Until nothing is on its way."""
        while waiting := [place for place, queue in self.queues.items() if queue]:
            place = self.rng.choice(waiting)
            key, body, now = self.queues[place][0]
            crashes = self.rng.random() < self.crash
            for output in self._step(place[0], key, body, now, keep=not crashes):
                to = {NEXT: "profile", PEER: place[0], BACK: "identity"}.get(output.to)
                if to is not None:
                    self.send(to, output.key, output.record, now)  # type: ignore[arg-type]
            if not crashes:
                self.queues[place].popleft()
            self.steps += 1
            assert self.steps < MESSAGES_MAX, "they talk for ever"

    def _step(self, station: str, key: str, body: Body, now: int, *, keep: bool) -> list[Output]:
        core, rows = self.cores[station], self.rows[station]
        blob = rows.get(key)
        row, outputs = core.step(None if blob is None else core.decode(blob), key, body, now, ())
        while row is not None and core.wake_at(row) == 0:
            row, more = core.wake(row, key, 0, now)
            outputs = [*outputs, *more]
        if keep and row is not None:
            rows[key] = core.encode(row)
        return list(outputs)


def _through_the_log(body: Body) -> Body:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(body), type=Body)


def chaos(seed: int, kind: Kind) -> None:
    rng = random.Random(f"chaos-{seed}")
    events: list[Event] = also(rng, history(rng, kind))
    rng.shuffle(events)
    world = Chaos(rng)
    calm = rng.choice((0.0, 0.1, 0.4))
    reader = EventReader(IDS)
    for event in events:
        at = BEGIN + rng.randint(0, SPAN)
        said = reader(MemoryRecord(0, at, None, msgspec.json.encode(event)), at)
        assert isinstance(said, tuple)
        world.send("identity", said[0], EventArrived(said[1]), at)  # type: ignore[arg-type]
        if rng.random() < calm:
            world.serve()
    world.serve()
    profiles, identifiers = (
        {key.encode(): row for key, row in world.rows[station].items()}
        for station in ("profile", "identity")
    )
    once = not (world.repeat and (kind.shared or kind.conflicts or kind.alias))
    check(ended(profiles, identifiers), events, once=once, at_once=False, circles=kind.circles)


@pytest.mark.parametrize("kind", KINDS)
def test_in_any_order_and_however_often_every_history_ends_well(kind: str) -> None:
    for seed in range(60):
        chaos(seed, KINDS[kind])


def test_two_names_that_each_took_the_others_place_stay_two_where_a_third_is_promised() -> None:
    chaos(5249, KINDS["circles"])


@pytest.mark.prove
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_histories_end_well_in_any_order(kind: str) -> None:
    for seed in range(60, 6000):
        chaos(seed, KINDS[kind])
