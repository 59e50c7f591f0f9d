"""The toy job on the station loop: a reader and two cores, exactly once.

python -m tests.bench.toy_job.ours
"""

import asyncio
import gc
import os
from typing import Any, Self

import faust
import msgspec

from agents.app import MakeIntake, StageApp, rounds_of
from agents.rows import Rows
from agents.settings import Settings
from agents.worker import GC_THRESHOLDS
from schemas.events import EVENT_SCHEMA, Event, RejectedEvent
from schemas.records import Body, DefinitionsPublished, EventArrived, EventResolved
from schemas.rows import DefinitionsRow, Position, StopsRow
from schemas.topics import (
    IDENTITY_ROWS,
    INGEST_ROWS,
    PROFILE_ROWS,
    SEGMENT_CHANGES,
    SEND_COMMANDS,
    Topic,
)
from schemas.values import Instant, Origin, Row, Stage
from streams.core import NEXT, Output
from streams.ingest.records import Tick
from streams.intake import LogRecord
from streams.passing import PassIntake
from tests.bench.toy_job.rules import (
    DAY_MS,
    MembershipChanged,
    Remembered,
    ToyCommand,
    ToyEvent,
    memberships,
    profile_of,
)

STORE = "toy"

_read_event = msgspec.json.Decoder(ToyEvent).decode
_pack = msgspec.msgpack.Encoder().encode


class Pointer(Row):
    """Whose browser it is."""

    profile: str


class Person(Row):
    """counts: metric -> events. days: day -> events. traits: newest value of each property."""

    events: int = 0
    first_at: Instant = 0
    last_at: Instant = 0
    counts: dict[str, int] = {}
    days: dict[int, int] = {}
    traits: dict[str, Any] = {}
    segments: list[str] = []


class ToyReader:
    """Validates and drops what was seen before. A record with headers is a tick."""

    def __init__(self) -> None:
        self._remembered = Remembered()

    def __call__(
        self, record: LogRecord, received_at: Instant
    ) -> tuple[str, Event] | RejectedEvent | Tick:
        if record.headers:
            return Tick()
        try:
            sent = _read_event(record.value or b"")
        except msgspec.ValidationError:
            return RejectedEvent(reason="not-valid", detail="not a toy event")
        if not self._remembered.is_new(sent.id):
            return RejectedEvent(reason="repeated", detail="its id was seen before")
        event = Event(
            EVENT_SCHEMA, sent.id, sent.metric, sent.at, received_at, STORE, "server",
            (("external_id", sent.customer),), {}, {}, sent.properties, None, None, "", False,
        )  # fmt: skip
        return sent.browser, event

    def adopt(self, published: DefinitionsPublished) -> None:
        raise NotImplementedError


class ToyCore:
    """What both stations have in common: no timers, no definitions, no erasures."""

    has_timers = False
    visits_until: Instant = 0

    def hastened(self) -> Self:
        return self

    def encode(self, row: Row) -> bytes:
        return _pack(row)

    def lessened(self, row: Row) -> Row:
        return row

    def veiled(self, _key: str) -> None:
        return None

    def is_veiled(self, _row: Row) -> bool:
        return False

    def wake(self, _row: Row, _key: str, _due: Instant, _now: Instant) -> Any:
        raise AssertionError("nothing is due here")

    def wake_at(self, _row: Row) -> None:
        return None

    def asleep(self, row: Row) -> Row:
        return row

    def without(self, _parts: frozenset[str]) -> Self:
        return self

    def adopt(self, _row: DefinitionsRow | StopsRow) -> Self:
        return self


class ToyIdentity(ToyCore):
    """Whose browser is it? Rows are keyed by browser."""

    stage: Stage = "identity"
    decode = msgspec.msgpack.Decoder(Pointer).decode

    def step(
        self, row: Pointer | None, _key: str, body: Body, _now: Instant, _origin: Origin
    ) -> tuple[Pointer, list[Output]]:
        assert isinstance(body, EventArrived)
        event = body.event
        by = event.identifiers[0]
        pointer = row or Pointer(profile_of(by[1]))
        return pointer, [Output(NEXT, pointer.profile, EventResolved(event, by))]


class ToyProfile(ToyCore):
    """Counts and segments. Rows are keyed by profile."""

    stage: Stage = "profile"
    decode = msgspec.msgpack.Decoder(Person).decode

    def step(
        self, row: Person | None, key: str, body: Body, _now: Instant, origin: Origin
    ) -> tuple[Person, list[Output]]:
        assert isinstance(body, EventResolved)
        event = body.event
        person = row or Person(first_at=event.occurred_at)
        today = event.occurred_at // DAY_MS
        person.events += 1
        person.last_at = event.occurred_at
        person.counts[event.metric] = person.counts.get(event.metric, 0) + 1
        person.days[today] = person.days.get(today, 0) + 1
        person.traits.update(event.properties)
        before = person.segments
        person.segments = memberships(person.counts, person.days, person.traits, today)
        if person.segments == before:
            return person, []
        cause = "-".join(map(str, origin))
        return person, [
            Output(SEGMENT_CHANGES.name, key, MembershipChanged(cause, key, person.segments)),
            Output(SEND_COMMANDS.name, key, ToyCommand(f"{cause}-c", key)),
        ]


def stages_of(settings: Settings) -> list[StageApp]:
    """The three stages of the job."""

    def pass_on(partition: int, position: Position, _rows: Rows) -> PassIntake:
        return PassIntake(ToyReader(), partition, position)

    return [
        _stage("ingest", settings, INGEST_ROWS, pass_on),
        _stage("identity", settings, IDENTITY_ROWS, rounds_of(ToyIdentity())),
        _stage("profile", settings, PROFILE_ROWS, rounds_of(ToyProfile())),
    ]


def _stage(name: Stage, settings: Settings, rows: Topic, make_intake: MakeIntake) -> StageApp:
    stage = StageApp(name, settings, rows_topic=rows, make_intake=make_intake)
    stage.app.agent(stage.channel, name=name)(stage.run)
    return stage


def main() -> None:
    """Work until told to stop."""
    gc.set_threshold(*GC_THRESHOLDS)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    apps = [stage.app for stage in stages_of(Settings.from_environ(os.environ))]
    worker = faust.Worker(*apps, loop=loop, loglevel="warn", override_logging=False)
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
