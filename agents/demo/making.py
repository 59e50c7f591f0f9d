"""The demo's log, made round by round with the core in memory (agents/demo/log.py), and a digest of
all that the core said: the live path must come to exactly the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from agents.definitions import load
from agents.demo.log import SINCE, LogRecord, Round, prepare, rounds
from schemas.definitions import StoreSettings
from schemas.records import DefinitionsPublished
from schemas.values import Instant
from streams.definitions.program import compile_program
from streams.identity.step import IdentityCore
from streams.ids import Ids
from streams.ingest.control import definitions, tick
from streams.ingest.read import EventReader
from streams.profile.step import ProfileCore
from streams.replay import Replay

STORE = "main"
VERSION = "demo-1"
DEFINITIONS = Path(__file__).parents[2] / "deploy" / "demo" / "definitions"

Place = tuple[str, int]
"""(topic as declared, partition)."""


class Digest:
    """How many records a partition of a topic holds, and a hash over their keys and values."""

    def __init__(self) -> None:
        self.records = 0
        self._hash = blake2b(digest_size=16)

    def add(self, key: bytes, value: bytes) -> None:
        self.records += 1
        self._hash.update(b"%d:%d:" % (len(key), len(value)))
        self._hash.update(key)
        self._hash.update(value)

    def seen(self) -> tuple[int, str]:
        return self.records, self._hash.hexdigest()


class Digests:
    """Digests of all partitions of the public topics."""

    def __init__(self) -> None:
        self._of: dict[Place, Digest] = {}

    def add(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        digest = self._of.get((topic, partition))
        if digest is None:
            digest = self._of[topic, partition] = Digest()
        digest.add(key, value)

    def seen(self) -> Mapping[Place, tuple[int, str]]:
        return {place: digest.seen() for place, digest in self._of.items()}

    def records(self) -> Mapping[str, int]:
        """topic -> records in it."""
        counts: dict[str, int] = {}
        for (topic, _), digest in self._of.items():
            counts[topic] = counts.get(topic, 0) + digest.records
        return counts


class Made(NamedTuple):
    """A log in the making: iterate `rounds`; `digests` grows with it."""

    rounds: Iterator[Round]
    digests: Digests


def make(until: Instant, *, partitions: int, secret: bytes) -> Made:
    """Make the log of the demo up to `until`."""
    ids = Ids(secret)
    replay = Replay(
        partitions,
        reader=lambda: EventReader(ids),
        identity=IdentityCore(ids),
        profile=ProfileCore(ids),
    )
    records, recipients = prepare(until)
    documents = tuple(load(DEFINITIONS).documents)
    published = DefinitionsPublished(STORE, VERSION, "demo", documents)
    value, headers = definitions(published, secret)
    tick_value, tick_headers = tick()
    made = rounds(
        replay,
        recipients,
        records,
        partitions=partitions,
        since=SINCE,
        until=until,
        tick=LogRecord(0, b"", tick_value, tick_headers),
        published=[LogRecord(SINCE, b"", value, headers)],
    )
    digests = Digests()
    return Made(_noted(made, digests), digests)


def _noted(made: Iterable[Round], digests: Digests) -> Iterator[Round]:
    for piece in made:
        for write in piece.writes:
            digests.add(write.topic, write.partition, write.key, write.value or b"")
        yield piece


def store_settings() -> StoreSettings:
    """What the demo's store has written down about itself."""
    return compile_program(load(DEFINITIONS).documents, version=VERSION).settings
