"""Events of a file -> `store-events`: checked by the reader of ingest first, then appended.

In: JSON lines, one JSON document, or an array of them; `-` is standard input. Out: what is wrong,
by line; or each event with the partition and offset at which the broker has it. The bytes go as
they were written: money stays as exact as it was.
"""

import asyncio
import codecs
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Literal

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.settings import Settings
from agents.topics import topic_name
from schemas.events import Event, RejectedEvent
from schemas.records import DefinitionsPublished
from schemas.topics import STORE_EVENTS
from schemas.values import EventId, Instant
from streams.definitions.parse import parse
from streams.definitions.problems import near
from streams.definitions.references import metrics_in
from streams.identity.keys import key_of
from streams.ids import DERIVED_EVENT, Ids
from streams.ingest.read import EventReader, read
from streams.ingest.records import Control, Tick
from streams.ingest.second_look import MALFORMED
from streams.ingest.settings import IngestSettings
from streams.intake import partition_of

UNDER_WAY_MAX = 1_000
LIKENESS_MIN = 0.85
"""Of a metric to one that is asked about: a letter or two, or its case, is otherwise."""
CONFIRM_SECONDS_MAX = 60.0
REQUEST_BYTES_MAX = 8 << 20
SPOOLED_BYTES_MAX = 16 << 20
ALIEN_STARTS = {
    b"\x1f\x8b": "it is compressed by gzip: `gunzip -c FILE | tillstream events push -`",
    codecs.BOM_UTF16_LE: "it is UTF-16; events are UTF-8: `iconv -f UTF-16 -t UTF-8`",
    codecs.BOM_UTF16_BE: "it is UTF-16; events are UTF-8: `iconv -f UTF-16 -t UTF-8`",
}
"""How a file begins that holds something else -> what, and what to do."""

_one_document = msgspec.json.Decoder(msgspec.Raw).decode
_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Good(msgspec.Struct, frozen=True):
    """An event that ingest will accept. number: of its line, or of its place in the array.

    id: None, where it will be derived from the instant at which the broker receives the event.
    """

    number: int
    value: bytes
    key: str
    id: EventId | None
    metric: str


class Bad(msgspec.Struct, frozen=True):
    """What ingest would reject, and why. field: a path; position: the byte, from zero."""

    number: int
    reason: str
    detail: str
    field: str | None = None
    position: int | None = None


class Pushed(msgspec.Struct, frozen=True):
    """An event that the broker has, and where."""

    number: int
    id: EventId | None
    metric: str
    partition: int
    offset: int


class Unreadable(Exception):
    """The file holds no JSON text at all, or an array that is broken; the message says why."""


class PushFailed(Exception):
    """Not all events were confirmed; the message says up to where they were."""


class Source:
    """The documents of a file, as often as they are asked for. counted: in `line`s or `event`s."""

    def __init__(self, file: IO[bytes]) -> None:
        """A byte order mark of UTF-8 in front is passed over, as editors write it.

        Raises: Unreadable.
        """
        self._file = file
        self.counted: Literal["line", "event"] = "line"
        self._whole: list[bytes] | None = None
        head = file.read(len(codecs.BOM_UTF8))
        for start, what in ALIEN_STARTS.items():
            if head.startswith(start):
                raise Unreadable(what)
        self._begin = len(head) if head == codecs.BOM_UTF8 else 0
        file.seek(self._begin)
        first = next((line for line in file if line.strip()), b"")
        if first.lstrip().startswith(b"[") or not _is_whole(first):
            self._whole = self._documents(first)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield each document with its number, from 1; empty lines are counted and left out."""
        if self._whole is not None:
            yield from enumerate(self._whole, 1)
            return
        self._file.seek(self._begin)
        for number, line in enumerate(self._file, 1):
            if document := line.strip():
                yield number, document

    def _documents(self, first: bytes) -> list[bytes] | None:
        """The elements of an array, or one document over several lines; None: neither.

        first: the first line that says something. Raises: Unreadable.
        """
        self._file.seek(self._begin)
        content = self._file.read()
        try:
            found = (
                [bytes(one) for one in _array(content)]
                if content.lstrip().startswith(b"[")
                else [bytes(_one_document(content))]
            )
        except MALFORMED as error:
            if first.lstrip().startswith(b"[") and not _is_whole(first):
                raise Unreadable(f"it begins as an array, and is none: {error}") from error
            return None
        self.counted = "event"
        return found


def _is_whole(line: bytes) -> bool:
    try:
        _one_document(line)
    except MALFORMED:
        return False
    return True


def open_source(name: str) -> Source:
    """Open a file, or standard input (`-`), which is kept aside: it is read twice.

    Raises: OSError; Unreadable.
    """
    if name != "-":
        return Source(Path(name).open("rb"))
    kept: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOLED_BYTES_MAX)  # noqa: SIM115 - it stays
    shutil.copyfileobj(sys.stdin.buffer, kept)
    kept.seek(0)
    return Source(kept)


class Checker:
    """Says of a document what ingest will say of it.

    in_force: the definitions by which ingest reads now; a store's own identifiers come from there.
    """

    def __init__(self, settings: Settings, in_force: Iterable[DefinitionsPublished]) -> None:
        self._ids = Ids(settings.secret_bytes)
        region = IngestSettings(default_region=settings.default_region or None)
        reader = EventReader(self._ids, region)
        self._asked: set[str] = set()
        for published in in_force:
            reader.adopt(published)
            self._asked |= metrics_in(parse(published.documents).definitions)
        self._settings = reader.settings
        self._now: Instant = time.time_ns() // 1_000_000

    def nearly(self, metric: str) -> str | None:
        """A warning about a metric that is asked about only where it is written otherwise."""
        if not self._asked or metric in self._asked:
            return None
        meant = near(metric, self._asked, likeness=LIKENESS_MIN)
        return f"no definition asks about '{metric}'{meant}" if meant else None

    def __call__(self, number: int, value: bytes) -> Good | Bad:
        said = self._read(value, self._now)
        if isinstance(said, RejectedEvent):
            return Bad(number, said.reason, said.detail, said.field, said.position)
        assert isinstance(said, Event), "all else has a header"
        key = key_of(said.store, said.identifiers[0])
        return Good(number, value, key, self._certain_id(value, said), said.metric)

    def _read(self, value: bytes, received_at: Instant) -> Event | RejectedEvent | Tick | Control:
        return read(value, (), received_at=received_at, settings=self._settings, ids=self._ids)

    def _certain_id(self, value: bytes, event: Event) -> EventId | None:
        """The id that it will have whenever the broker receives it, if there is one."""
        if not event.id.startswith(DERIVED_EVENT):
            return event.id
        later = self._read(value, self._now + 1)
        return event.id if isinstance(later, Event) and later.id == event.id else None


async def push(
    settings: Settings, events: Iterable[Good], *, noted: Callable[[Pushed], None]
) -> int:
    """Append events, those of one person to one partition in their order.

    noted: told of each as the broker confirms it. Returns: how many there were.

    Raises: PushFailed.
    """
    topic = topic_name(settings, STORE_EVENTS.name)
    producer = AIOKafkaProducer(
        **settings.kafka_clients(),
        enable_idempotence=True,
        compression_type="zstd",
        max_request_size=REQUEST_BYTES_MAX,
    )
    under_way: deque[tuple[Good, asyncio.Future[object]]] = deque()
    done = 0
    try:
        await producer.start()
        for event in events:
            partition = partition_of(event.key, settings.partitions)
            future = await producer.send(
                topic, event.value, key=event.key.encode(), partition=partition
            )
            under_way.append((event, future))
            while len(under_way) >= UNDER_WAY_MAX:
                await _confirmed(*under_way[0], noted)
                under_way.popleft()
                done += 1
        while under_way:
            await _confirmed(*under_way[0], noted)
            under_way.popleft()
            done += 1
    except (KafkaError, TimeoutError) as error:
        at = under_way[0][0].number if under_way else 1
        raise PushFailed(
            f"the broker confirmed {done:,} events and then no more ({type(error).__name__}); from "
            f"number {at} on nothing is certain. Push those again: an event with an id, or with a "
            "time, is recognised and counted once"
        ) from error
    finally:
        await _stopped(producer, certain=not under_way)
    return done


async def _confirmed(
    event: Good, future: "asyncio.Future[object]", noted: Callable[[Pushed], None]
) -> None:
    """Wait for the broker's word. `wait_for` of Python 3.11 would lose a cancellation (Ctrl-C)
    that comes with the word.
    """
    async with asyncio.timeout(CONFIRM_SECONDS_MAX):
        place = await asyncio.shield(future)
    offset: int = getattr(place, "offset")  # noqa: B009 - the client carries no types
    partition: int = getattr(place, "partition")  # noqa: B009
    noted(Pushed(event.number, event.id, event.metric, partition, offset))


async def _stopped(producer: AIOKafkaProducer, *, certain: bool) -> None:
    """End the producer; what is not certain would be tried for ever."""
    if certain:
        await producer.stop()
        return
    try:
        await asyncio.wait_for(producer.stop(), 1.0)
    except (TimeoutError, KafkaError):
        return
