"""Many random histories of people at once: merges, refusals, aliases, shared devices, clients,
erasures, repeats; and what the path in memory makes of them.
"""

import random
from collections.abc import Iterable
from typing import Any

import msgspec

from agents.demo.log import LogRecord, Round
from schemas.records import DefinitionsPublished
from schemas.topics import IDENTITY_CONFLICTS, IDENTITY_ERASURES, IDENTITY_MERGES
from schemas.values import Instant
from streams.ingest.control import definitions, erasure
from streams.instants import SECOND
from tests.integration.path.shop import (
    PARTITIONS,
    Shop,
    a_tick,
    core_in_memory,
    play,
    rows_of,
    said_by,
)
from tests.scenarios.play import documents_of
from tests.streams.identity.people import BEGIN, DEFINITIONS, STRENGTH, Event, also, history
from tests.streams.identity.test_histories import KINDS

HISTORIES_OF_A_KIND = 10
SPAN = 120 * SECOND
CLOSING = 30
REPEATED_SHARE = 0.1
ERASURES = 12
MERGES_MIN = 100


def crowd(secret: bytes, seed: int) -> Shop:
    """The log of a crowd by rounds of a second, and what must come of it."""
    rng = random.Random(f"crowd {seed}")
    events = [
        _apart(event, f"{place:02}")
        for place, kind in enumerate([*KINDS.values()] * HISTORIES_OF_A_KIND)
        for event in also(rng, history(rng, kind))
    ]
    made = _rounds(rng, events, secret)
    replay = core_in_memory(secret)
    for piece in made:
        play(replay, piece.partitions)
    said = said_by(replay)
    told = {
        topic.name: sum(len(records) for (name, _), records in said.items() if name == topic.name)
        for topic in (IDENTITY_MERGES, IDENTITY_CONFLICTS, IDENTITY_ERASURES)
    }
    assert told[IDENTITY_MERGES.name] >= MERGES_MIN, told
    assert told[IDENTITY_CONFLICTS.name], told
    assert told[IDENTITY_ERASURES.name], told
    return Shop(made, said, rows_of(replay))


def _apart(event: Event, place: str) -> Event:
    """The event with ids and identifiers of its own history: no two histories meet."""
    profile = {
        kind: _named(kind, value, place) if kind in STRENGTH else value
        for kind, value in event["profile"].items()
    }
    properties = event["properties"]
    if "previous" in properties:
        before = properties["previous"].items()
        properties = {"previous": {kind: _named(kind, value, place) for kind, value in before}}
    return {**event, "id": f"{event['id']}-{place}", "profile": profile, "properties": properties}


def _named(kind: str, value: Any, place: str) -> str:
    match kind:
        case "email":
            return str(value).replace("@", f"-{place}@")
        case "phone":
            return str(value).replace("+49301234", f"+493012{place}4")
        case _:
            return f"{value}-{place}"


def _rounds(rng: random.Random, events: Iterable[Event], secret: bytes) -> list[Round]:
    """Events at random instants in random partitions, some twice; a tick a second."""
    raw: list[list[LogRecord]] = [[] for _ in range(PARTITIONS)]
    named = []
    for event in events:
        named += [one for one in event["profile"].items() if one[0] in STRENGTH]
        for _ in range(2 if rng.random() < REPEATED_SHARE else 1):
            rng.choice(raw).append(_record(rng, msgspec.json.encode(event)))
    for number, identifier in enumerate(rng.sample(named, ERASURES)):
        value, headers = erasure("main", identifier, f"r{number}", secret)
        rng.choice(raw).append(_record(rng, value, headers))
    published = DefinitionsPublished("main", "v1", "ann", documents_of(DEFINITIONS))
    opening = LogRecord(BEGIN, b"", *definitions(published, secret))
    logs = [[opening, *sorted(records)] for records in raw]
    ends = [BEGIN + SECOND * (number + 1) for number in range(SPAN // SECOND + CLOSING)]
    return [Round(end, tuple([*_in(log, end), a_tick(end)] for log in logs), []) for end in ends]


def _record(
    rng: random.Random, value: bytes, headers: tuple[tuple[str, bytes], ...] = ()
) -> LogRecord:
    return LogRecord(BEGIN + 1 + rng.randrange(SPAN - 1), b"", value, headers)


def _in(log: list[LogRecord], end: Instant) -> list[LogRecord]:
    """What is received in the second before `end`."""
    return [one for one in log if end - SECOND <= one.received_at < end]
