"""A small shop: the first days of the demo's log, and what the path in memory makes of it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from agents.definitions import load
from agents.demo.log import SINCE, LogRecord, Round, prepare, rounds
from agents.demo.making import DEFINITIONS, STORE
from schemas.outputs import SendCommand
from schemas.records import DefinitionsPublished
from schemas.rows import ProfileRow
from schemas.topics import SEND_COMMANDS
from schemas.values import Identifier, Instant, Stage
from streams.identity.step import IdentityCore
from streams.ids import Ids
from streams.ingest.control import definitions, tick
from streams.ingest.identifiers import KINDS
from streams.ingest.read import EventReader
from streams.instants import DAY, HOUR
from streams.profile.step import ProfileCore
from streams.replay import Replay
from tests.integration.path.reading import ROWS_OF, Place, Rows, Said, values_of

PARTITIONS = 2
DAYS = 8
SPAN = 3 * HOUR
CLOSING = 8
"""Rounds in which nothing comes any more: every merge comes to its end."""

QUIET: tuple[dict[str, Any], ...] = (
    {
        "segment": "quiet-30h",
        "where": {"all": [{"did": "Placed Order"}, {"did_not": "Placed Order", "in_last": "30h"}]},
    },
    {
        "flow": "quiet",
        "trigger": {"enters": "quiet-30h"},
        "steps": [{"wait": "1h"}, {"send": "quiet-1", "channel": "email", "template": "winback"}],
    },
)

_read_profile = msgspec.msgpack.Decoder(ProfileRow).decode


class Shop(NamedTuple):
    """A log by rounds, and what must come of it whatever happens to the workers."""

    rounds: Sequence[Round]
    said: Said
    rows: Rows

    @property
    def end(self) -> Instant:
        """The timestamp of the last ticks."""
        return self.rounds[-1].end

    def commands(self) -> list[SendCommand]:
        """All sends, of all partitions."""
        return values_of(self.said, SEND_COMMANDS, SendCommand)

    def recount(self) -> Counter[Identifier]:
        """Events per person by the source alone; who is one person, `people` says."""
        people, seen = self.people(), set()
        counts: Counter[Identifier] = Counter()
        for event in self.events():
            if (event["metric"], event["id"]) not in seen:
                seen.add((event["metric"], event["id"]))
                counts[people[identifiers_of(event)[0]]] += 1
        return counts

    def counted(self, rows: Rows) -> Counter[Identifier]:
        """Events per person by the rows of `profile`."""
        people = self.people()
        counts: Counter[Identifier] = Counter()
        for (stage, _, _), row in rows.items():
            if stage == "profile":
                profile = _read_profile(row)
                if profile.to is not None:
                    continue  # became part of another
                first = next((kind, next(iter(v))) for kind, v in profile.identifiers.items() if v)
                counts[people[first]] += profile.events
        return counts

    def people(self) -> Mapping[Identifier, Identifier]:
        """identifier -> the least of all that were ever seen together, over any number of hands."""
        people: dict[Identifier, Identifier] = {}
        for event in self.events():
            together = {people.get(one, one) for one in identifiers_of(event)}
            least = min(together)
            people |= dict.fromkeys(identifiers_of(event), least)
            if len(together) > 1:
                people = {one: least if of in together else of for one, of in people.items()}
        return people

    def events(self) -> Iterator[dict[str, Any]]:
        """All store events in the log."""
        for record in self.records():
            if not record.headers:
                yield msgspec.json.decode(record.value)

    def records(self) -> Iterator[LogRecord]:
        """All that is in the log."""
        for piece in self.rounds:
            for records in piece.partitions:
                yield from records


def identifiers_of(event: Mapping[str, Any]) -> list[Identifier]:
    """The identifiers of an event; the log has them as they are normalised."""
    profile = event["profile"]
    return [(kind, profile[kind]) for kind in KINDS if kind in profile]


def core_in_memory(secret: bytes, partitions: int = PARTITIONS) -> Replay:
    """The path in memory, with the ids of a deployment."""
    ids = Ids(secret)
    return Replay(
        partitions,
        reader=lambda: EventReader(ids),
        identity=IdentityCore(ids),
        profile=ProfileCore(ids),
    )


def a_tick(at: Instant) -> LogRecord:
    value, headers = tick()
    return LogRecord(at, b"", value, headers)


def the_definitions(
    secret: bytes, at: Instant, version: str = "shop-1", others: Sequence[dict[str, Any]] = ()
) -> LogRecord:
    """The demo's segments and flows as they are published, one that time alone changes, others."""
    documents = (*load(DEFINITIONS).documents, *QUIET, *others)
    published = DefinitionsPublished(STORE, version, "test", documents)
    return LogRecord(at, b"", *definitions(published, secret))


def play(replay: Replay, pieces: Sequence[Sequence[LogRecord]]) -> None:
    """Give each partition of the replay its records."""
    for partition, piece in enumerate(pieces):
        for record in piece:
            replay.append(
                partition,
                record.value,
                record.received_at,
                key=record.key,
                headers=record.headers,
            )


def said_by(replay: Replay, said: Said | None = None) -> Said:
    """What the replay says now, by place; added to `said`."""
    found: Said = {} if said is None else said
    for write in replay.run():
        place: Place = (write.topic, write.partition)
        found.setdefault(place, []).append((write.key, write.value))
    return found


def rows_of(replay: Replay) -> Rows:
    stages: tuple[Stage, ...] = tuple(ROWS_OF)
    return {
        (stage, partition, key): row
        for stage in stages
        for partition, key, row in replay.rows(stage)
    }


def open_shop(secret: bytes, edits: Sequence[LogRecord] = (), days: int = DAYS) -> Shop:
    """Make the log, with the core in memory in the loop. edits: definitions that come later."""
    replay = core_in_memory(secret)
    records, recipients = prepare(SINCE + days * DAY)
    made = list(
        rounds(
            replay,
            recipients,
            records,
            partitions=PARTITIONS,
            since=SINCE,
            until=SINCE + days * DAY,
            tick=a_tick(0),
            published=[the_definitions(secret, SINCE), *edits],
            span=SPAN,
        )
    )
    said: Said = {}
    for piece in made:
        for write in piece.writes:
            said.setdefault((write.topic, write.partition), []).append((write.key, write.value))
    ends = [made[-1].end + SPAN * number for number in range(1, CLOSING + 1)]
    closing = [Round(end, ([a_tick(end)],) * PARTITIONS, []) for end in ends]
    for piece in closing:
        play(replay, piece.partitions)
        said_by(replay, said)
    made += closing
    return Shop(made, said, rows_of(replay))
