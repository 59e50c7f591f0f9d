# ruff: noqa: ARG002 - the toy fulfils the whole shape of a core
"""A small path of two stages for tests of rounds: who is it (smallest wins), and a reminder.

The same people and rules as in the model the design was tried with: `start` plans a reminder,
`order` cancels it, `stop` forbids it; a link joins two profiles, whose states then unite.
"""

from typing import Any, Self

import msgspec

from schemas.events import EVENT_SCHEMA, Event
from schemas.outputs import FlowTriggered
from schemas.records import (
    Absorb,
    Body,
    DefinitionsPublished,
    EventArrived,
    EventResolved,
    Linked,
    Merge,
    Repoint,
)
from schemas.rows import DefinitionsRow, StopsRow
from schemas.values import Instant, Origin, Row, Stage
from streams.core import BACK, NEXT, PEER, Output
from streams.ingest.records import Tick
from streams.instants import to_timestamp

STORE = "toy"


class Pointer(Row):
    profile: str


class Person(Row):
    seen: list[str] = []
    ids: list[str] = []
    ordered: int = 0
    stopped: bool = False
    started: int | None = None
    due: int | None = None
    to: str | None = None


def toy_event(what: str, person: str, other: str | None, number: int, at: Instant) -> Event:
    """`number` is unique and grows with time: the later of two events has the larger one."""
    return Event(
        EVENT_SCHEMA, str(number), what, at, at, STORE, "server", (("external_id", person),),
        {}, {}, {"other": other}, None, None, "", False,
    )  # fmt: skip


class ToyReader:
    """Reads `[what, person, other, number]`; a record without a value is a tick."""

    def __call__(self, record: Any, received_at: Instant) -> Any:
        if record.value is None:
            return Tick()
        what, person, other, number = msgspec.json.decode(record.value)
        return person, toy_event(what, person, other, number, received_at)

    def adopt(self, published: DefinitionsPublished) -> None:
        raise NotImplementedError


class ToyIdentity:
    """Which profile is this identifier? Pointers only move down."""

    stage: Stage = "identity"
    has_timers = False

    visits_until: Instant = 0

    def hastened(self) -> Self:
        return self

    def decode(self, blob: bytes) -> Pointer:
        return msgspec.msgpack.decode(blob, type=Pointer)

    def encode(self, row: Pointer) -> bytes:
        return msgspec.msgpack.encode(row)

    def lessened(self, row: Pointer) -> Pointer:
        return row

    def step(
        self, row: Pointer | None, key: str, body: Body, now: Instant, origin: Origin
    ) -> tuple[Pointer, list[Output]]:
        pointer = row or Pointer(key)
        if isinstance(body, EventArrived):
            said = [Output(NEXT, pointer.profile, EventResolved(body.event, ("id", key)))]
            other = body.event.properties["other"]
            if other is not None:
                link = Linked(STORE, ("id", other), pointer.profile, ("id", key), True, True)
                said.append(Output(PEER, other, link))
            return pointer, said
        assert isinstance(body, Linked | Repoint)
        towards = body.profile_id if isinstance(body, Linked) else body.new
        low, high = sorted((pointer.profile, towards))
        said = []
        if isinstance(body, Linked) and low != high:
            said.append(Output(NEXT, high, Merge(STORE, low, True, ("id", key))))
        return Pointer(low), said

    def wake(self, row: Pointer, key: str, due: Instant, now: Instant) -> Any:
        raise AssertionError("nothing is due here")

    def veiled(self, _key: str) -> None: ...

    def is_veiled(self, _row: Pointer) -> bool:
        return False

    def wake_at(self, row: Pointer) -> None:
        return None

    def asleep(self, row: Pointer) -> Pointer:
        return row

    def without(self, parts: frozenset[str]) -> Self:
        return self

    def adopt(self, row: DefinitionsRow | StopsRow) -> Self:
        return self


class ToyProfile:
    """The reminder: planned, cancelled, forbidden, united."""

    stage: Stage = "profile"
    has_timers = True

    visits_until: Instant = 0

    def hastened(self) -> Self:
        return self

    def decode(self, blob: bytes) -> Person:
        return msgspec.msgpack.decode(blob, type=Person)

    def encode(self, row: Person) -> bytes:
        return msgspec.msgpack.encode(row)

    def lessened(self, row: Person) -> Person:
        return row

    def step(
        self, row: Person | None, key: str, body: Body, now: Instant, origin: Origin
    ) -> tuple[Person, list[Output]]:
        person = row or Person()
        if isinstance(body, Merge):
            return self._merge(person, key, body)
        if person.to is not None:
            said = [Output(PEER, person.to, body)]
            if isinstance(body, EventResolved):
                repoint = Repoint(STORE, body.resolved_by, key, person.to)
                said.append(Output(BACK, body.resolved_by[1], repoint))
            return person, said
        if isinstance(body, Absorb):
            return self._absorb(person, key, body)
        assert isinstance(body, EventResolved)
        return self._event(person, body), []

    def _merge(self, person: Person, key: str, body: Merge) -> tuple[Person, list[Output]]:
        low, high = sorted((person.to or key, body.into))
        if low == high:
            return person, []
        if person.to is not None:
            return Person(to=low), [Output(PEER, high, Merge(STORE, low, True, None))]
        return Person(to=low), [Output(PEER, low, Absorb(key, self.encode(person)))]

    def _absorb(self, person: Person, key: str, body: Absorb) -> tuple[Person, list[Output]]:
        lost = self.decode(body.row)
        ordered = max(person.ordered, lost.ordered)
        plans = [
            (each.due, each.started)
            for each in (person, lost)
            if each.due is not None and each.started is not None and each.started > ordered
        ]
        stopped = person.stopped or lost.stopped
        due, started = min(plans, default=(None, None))
        united = Person(
            [*person.seen, *lost.seen], sorted({*person.ids, *lost.ids}), ordered, stopped,
            started, None if stopped else due,
        )  # fmt: skip
        said = [Output(BACK, i, Repoint(STORE, ("id", i), body.loser, key)) for i in lost.ids]
        return united, said

    def _event(self, person: Person, body: EventResolved) -> Person:
        event, number = body.event, int(body.event.id)
        person.seen.append(event.id)
        person.ids = sorted({*person.ids, body.resolved_by[1]})
        person.stopped = person.stopped or event.metric == "stop"
        if event.metric == "order":
            person.ordered = max(person.ordered, number)
        if event.metric == "start" and person.due is None and number > person.ordered:
            person.started = number
            person.due = event.received_at + (5, 60, 300)[number % 3]
        if person.due is not None and (person.stopped or (person.started or 0) < person.ordered):
            person.due = None
        return person

    def wake(self, row: Person, key: str, due: Instant, now: Instant) -> Any:
        sent = FlowTriggered(
            id=f"{key}-{row.started}",
            store=STORE,
            profile_id=key,
            flow="reminder",
            version="1",
            trigger="start",
            trigger_event_id=str(row.started),
            started_at=to_timestamp(due),
            decided_at=to_timestamp(now),
        )
        row.due = None
        return row, [Output("flow-triggers", key, sent)]

    def veiled(self, _key: str) -> None: ...

    def is_veiled(self, _row: Person) -> bool:
        return False

    def wake_at(self, row: Person) -> Instant | None:
        return row.due

    def asleep(self, row: Person) -> Person:
        row.due = None
        return row

    def without(self, parts: frozenset[str]) -> Self:
        return self

    def adopt(self, row: DefinitionsRow | StopsRow) -> Self:
        return self
