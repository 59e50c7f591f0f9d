"""The timeline sink: what the public topics say becomes rows in ClickHouse, each exactly once.

In: nine public topics, read_committed. Out: rows of the tables in `schemas/clickhouse/tables.py`.
State: the committed offsets of the group `timeline`, and beside them the range being inserted.

One sink owns all partitions (assigned, not subscribed to: no rebalance ever cuts a range in two).
For what it has read of a partition it writes the range into the metadata of the committed offset,
inserts with a token made of that range and its bytes, and commits its end. After a restart it does
exactly that range again, with the same token: what was in is not inserted again. Two sinks by
mistake insert twice; the rows are replaced by id.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from math import inf
from zlib import crc32

import pyarrow as pa
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from agents.admin import committed_offsets
from agents.columns import (
    SHAPES,
    ClockLine,
    ErasedLine,
    EventLine,
    Line,
    Shape,
    SplitLine,
    SwitchedLine,
    UnreadableRecord,
)
from agents.logs import log
from agents.metrics import TIMELINE_RETRIES, TIMELINE_ROWS
from agents.reader import Reader
from agents.redaction import (
    Person,
    TakenAway,
    erase_rows,
    erased_before,
    moved_before,
    take_moved,
    take_words_away,
)
from agents.settings import Settings
from agents.topics import places_of, topic_name
from schemas.clickhouse.tables import SPLITS
from schemas.topics import TOPICS
from schemas.values import Instant
from streams.instants import to_instant

GROUP = "timeline"
INSERTING = "inserting to "
"""Stands in the metadata of an offset, before the end of the range that is being inserted."""
ROWS_MAX = 50_000
BYTES_MAX = 64 << 20
WAIT_SECONDS_MAX = 1.0
COMMIT_SECONDS_MAX = 5.0
"""Where nothing but clocks comes, committed offsets follow too: a restart reads no hour again."""
POLL_MS = 100
FETCH_MS_MAX = 20
"""An idle partition's long poll holds up the busy ones: one request is under way at a time."""
RECORDS_PER_POLL_MAX = 2_000
BACKOFF_SECONDS_MAX = 15.0
LOST_FOR_NOW = frozenset({159, 164, 198, 202, 203, 209, 210, 236, 241, 242, 252, 319, 394, 439})
"""Codes of ClickHouse that pass: too busy, read-only, out of memory, too many parts, timed out."""
INSERT_SETTINGS = {"async_insert": 0, "insert_deduplicate": 1}


class LogRegressed(Exception):
    """A topic ends before what was already read of it: it was made anew, or lost records."""


class RecordsLost(Exception):
    """Retention deleted what was not read yet; the message says how much, and what to do."""


class Waiting:
    """What was read of one partition and is not yet in the database: offsets [start, end).

    taken: keys that were taken away from a compacted topic.
    """

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.lines: list[Line] = []
        self.offsets: list[int] = []
        self.taken: list[TakenAway] = []
        self.bytes = 0
        self.checksum = 0


class TimelineSink:
    """Reads, batches by rows, bytes and time, inserts. `run` until `stop`; `drained` in between.

    client: of the namespace's database, with its migrations applied; used in one thread at a time.
    inserted: rows by table since the start. stored: per partition, up to where all is in.
    away_since: since when the database takes nothing, by `time.monotonic`; None: it does.
    """

    def __init__(
        self,
        settings: Settings,
        client: Client,
        *,
        rows_max: int = ROWS_MAX,
        wait_seconds_max: float = WAIT_SECONDS_MAX,
    ) -> None:
        self._settings = settings
        self._client = client
        self._rows_max = rows_max
        self._wait_seconds_max = wait_seconds_max
        self._group = topic_name(settings, GROUP)
        self._shapes: dict[TopicPartition, Shape] = {
            place: SHAPES[topic.name]
            for topic in TOPICS
            if topic.name in SHAPES
            for place in places_of(settings, topic)
        }
        self._waiting: dict[TopicPartition, Waiting] = {}
        self._waits_since: float | None = None
        self._moved_since: float | None = None
        self.away_since: float | None = None
        self._drains = 0
        self._moved = asyncio.Condition()
        self._stopping = asyncio.Event()
        self._ended: asyncio.Event = asyncio.Event()
        self._failure: BaseException | None = None
        self._clocks: dict[TopicPartition, Instant] = {}
        self._erased: set[Person] | None = None
        self._moved_from: set[Person] | None = None
        self.inserted: Counter[str] = Counter()
        self.stored: dict[TopicPartition, int] = {}

    async def run(self) -> None:
        """Sink until `stop`.

        Raises: UnreadableRecord, LogRegressed, RecordsLost; what Kafka and ClickHouse raise for
                good.
        """
        self._consumer = Reader(
            group_id=self._group,
            fetch_max_wait_ms=FETCH_MS_MAX,
            **self._settings.kafka_readers(),
        )
        self._consumer.assign(list(self._shapes))
        try:
            await self._consumer.start()
            begun = await self._begin()
            while not self._stopping.is_set():
                await self._poll()
                if self._due():
                    await self._flush()
            if begun:
                await self._flush()
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self._ended.set()
            async with self._moved:
                self._moved.notify_all()
            await self._consumer.stop()

    async def stop(self) -> None:
        """End `run` after what was read has been inserted, if the database can be reached."""
        self._stopping.set()
        await self._ended.wait()

    async def drained(self, ends: Mapping[TopicPartition, int]) -> None:
        """Wait until all before `ends` (end offsets, markers counted) is in the database.

        Raises: RuntimeError where the sink ends before.
        """
        unknown = [tp for tp in ends if tp not in self._shapes]
        assert not unknown, f"not read by the timeline: {unknown}"
        self._drains += 1
        try:
            async with self._moved:
                await self._moved.wait_for(lambda: self._ended.is_set() or self._has_all(ends))
        finally:
            self._drains -= 1
        if not self._has_all(ends):
            raise RuntimeError("the timeline ended before all was in") from self._failure

    @property
    def waiting(self) -> int:
        """Records that are read and not yet in the database."""
        return sum(len(one.lines) for one in self._waiting.values())

    def clocks(self) -> dict[str, Instant]:
        """Say per topic up to when all partitions that strike a clock have been read."""
        least: dict[str, Instant] = {}
        for tp, at in self._clocks.items():
            least[tp.topic] = min(at, least.get(tp.topic, at))
        return least

    def _has_all(self, ends: Mapping[TopicPartition, int]) -> bool:
        return all(self.stored.get(tp, -1) >= end for tp, end in ends.items())

    async def _begin(self) -> bool:
        """Start where the committed offsets say; do again what was being inserted.

        Returns: False where `stop` came before a range had been read again: nothing may be
                 inserted or committed then, or the range would be cut in two.
        """
        partitions = list(self._shapes)
        committed = await self._committed()
        first = await self._consumer.beginning_offsets(partitions)
        last = await self._consumer.end_offsets(partitions)
        limits: dict[TopicPartition, int] = {}
        for tp in partitions:
            offset, metadata = committed.get(tp, (-1, ""))
            start = self._start_of(tp, offset, first[tp])
            if metadata.startswith(INSERTING):
                limits[tp] = int(metadata.removeprefix(INSERTING))
            known = max(start, limits.get(tp, start))
            if known > last[tp]:
                raise LogRegressed(
                    f"{tp.topic}/{tp.partition} ends at {last[tp]}, but was read up to {known}: it "
                    "was made anew or lost records. Take another TILLSTREAM_NAMESPACE"
                )
            self._consumer.seek(tp, start)
            self._waiting[tp] = Waiting(start)
        if limits and not await self._redo(limits):
            return False
        async with self._moved:
            self.stored |= {tp: waiting.start for tp, waiting in self._waiting.items()}
            self._moved.notify_all()
        return True

    def _start_of(self, tp: TopicPartition, committed: int, first: int) -> int:
        """Where to begin reading. committed: -1 where nothing was.

        A log that begins later than that has lost what lies between: a sink that had begun refuses
        to leave it out; a new one has no more than what is there.

        Raises: RecordsLost.
        """
        gap = first - max(committed, 0)
        if gap <= 0:
            return committed if committed >= 0 else first
        log.error(
            "records were deleted before the timeline had read them",
            topic=tp.topic,
            partition=tp.partition,
            offsets=gap,
            begins_at=first,
        )
        if committed >= 0:
            raise RecordsLost(
                f"{tp.topic}/{tp.partition} was read up to {committed}, but begins at {first}: "
                f"{gap} offsets were deleted unread, retention was too short. To go on without "
                f"them: kafka-consumer-groups.sh --group {self._group} --topic "
                f"{tp.topic}:{tp.partition} --reset-offsets --to-offset {first} --execute"
            )
        return first

    async def _committed(self) -> Mapping[TopicPartition, OffsetAndMetadata]:
        """Ask for the committed offsets with their metadata, which the consumer does not tell."""
        await self._consumer.committed(next(iter(self._shapes)))  # waits for the coordinator
        return await committed_offsets(self._settings, self._group)

    async def _redo(self, limits: Mapping[TopicPartition, int]) -> bool:
        """Insert exactly the ranges again that may or may not have come in before the end."""
        log.info("inserting again what was under way", ranges=len(limits))
        others = [tp for tp in self._shapes if tp not in limits]
        self._consumer.pause(*others)
        unread = set(limits)
        while unread:
            if self._stopping.is_set():
                return False
            found = await self._consumer.getmany(*unread, timeout_ms=POLL_MS)
            for tp, records in found.items():
                self._take(tp, (one for one in records if one.offset < limits[tp]))
            for tp in list(unread):
                if await self._consumer.position(tp) >= limits[tp]:
                    self._consumer.seek(tp, limits[tp])
                    self._waiting[tp].end = limits[tp]
                    unread.remove(tp)
        await self._flush()
        self._consumer.resume(*others)
        return True

    async def _poll(self) -> None:
        """Read once; what is no row is done with at once."""
        found = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL_MAX)
        for tp, records in found.items():
            self._take(tp, records)
        moved = False
        for tp, waiting in self._waiting.items():
            position = await self._consumer.position(tp)
            if position < waiting.end:
                raise LogRegressed(
                    f"{tp.topic}/{tp.partition} went from {waiting.end} to {position}"
                )
            waiting.end = position
            if not (waiting.lines or waiting.taken) and waiting.end > waiting.start:
                self.stored[tp] = waiting.start = waiting.end
                moved = True
                if self._moved_since is None:
                    self._moved_since = asyncio.get_running_loop().time()
        if moved:
            async with self._moved:
                self._moved.notify_all()
        if self._drains and not found and self._waits_since is not None:
            self._waits_since = -inf  # somebody waits, and nothing more is on its way

    def _take(self, tp: TopicPartition, records: Iterable[ConsumerRecord]) -> None:
        shape, waiting = self._shapes[tp], self._waiting[tp]
        lines, offsets = waiting.lines, waiting.offsets
        marked = False  # who has set a mark waits until the offset after it is committed
        for record in records:
            if record.value is None:
                key = (record.key or b"").decode()
                waiting.taken.append(TakenAway(key, tp.partition, record.offset))
                continue
            value = record.value
            try:
                line = shape.decode(value)
            except UnreadableRecord as error:
                raise UnreadableRecord(
                    f"{tp.topic}/{tp.partition} offset {record.offset}: {error}"
                ) from None
            if isinstance(line, ClockLine):
                self._clocks[tp] = to_instant(line.at)
            elif is_mark(shape, line):
                marked = True
            else:
                lines.append(line)
                offsets.append(record.offset)
                waiting.bytes += len(value)
                waiting.checksum = crc32(value, waiting.checksum)
        if (lines or marked or waiting.taken) and self._waits_since is None:
            self._waits_since = asyncio.get_running_loop().time()

    def _due(self) -> bool:
        """Say whether enough waits, or long enough; or long enough that nothing but clocks came."""
        now = asyncio.get_running_loop().time()
        if self._moved_since is not None and now - self._moved_since >= COMMIT_SECONDS_MAX:
            return True
        if self._waits_since is None:
            return False
        if now - self._waits_since >= self._wait_seconds_max:
            return True
        rows = sum(len(waiting.lines) for waiting in self._waiting.values())
        return (
            rows >= self._rows_max
            or sum(waiting.bytes for waiting in self._waiting.values()) >= BYTES_MAX
        )

    async def _flush(self) -> None:
        """Say what is going to be inserted, insert it, say that it is in. Where `stop` comes and
        somebody is away, the next start looks at what was under way, as after a crash.
        """
        filled = {tp: one for tp, one in self._waiting.items() if one.lines or one.taken}
        if filled:
            begins = {tp: (one.start, f"{INSERTING}{one.end}") for tp, one in filled.items()}
            if not await self._consumer.commit_unless(self._stopping, begins):
                return
            for tp, waiting in filled.items():
                if not await self._insert(tp, waiting):
                    return
            if not await self._persist(lambda: self._redact(filled.values()), "redaction", 0):
                return
        ends = {tp: (one.end, "") for tp, one in self._waiting.items()}
        if not await self._consumer.commit_unless(self._stopping, ends):
            return
        self._waits_since = self._moved_since = None
        for tp, waiting in filled.items():
            self._waiting[tp] = Waiting(waiting.end)
            table = self._shapes[tp].table.name
            self.inserted[table] += len(waiting.lines)
            TIMELINE_ROWS.labels(table).inc(len(waiting.lines))
        async with self._moved:
            self.stored |= {tp: waiting.end for tp, waiting in filled.items()}
            self._moved.notify_all()

    async def _insert(self, tp: TopicPartition, waiting: Waiting) -> bool:
        """Insert one range; False where `stop` came first."""
        if not waiting.lines:
            return True
        shape = self._shapes[tp]
        token = f"{tp.topic}-{tp.partition}-{waiting.start}-{waiting.end}-{waiting.checksum:08x}"
        return await self._persist(
            lambda: self._insert_now(shape, tp.partition, waiting, token),
            shape.table.name,
            len(waiting.lines),
        )

    async def _persist(self, do: Callable[[], None], table: str, rows: int) -> bool:
        """Do something to the database, however long it is away; False where `stop` came first.

        Nothing is read meanwhile: the client holds at most one fetch of each partition.
        """
        backoff = 0.25
        while True:
            try:
                await asyncio.to_thread(do)
            except (DatabaseError, OSError) as error:
                if not passes(error):
                    raise
                TIMELINE_RETRIES.inc()
                self.away_since = self.away_since or time.monotonic()
                log.warning(
                    "the database is away, trying again",
                    table=table,
                    rows=rows,
                    wait_seconds=backoff,
                    error=type(error).__name__,
                )
            else:
                self.away_since = None
                return True
            try:
                await asyncio.wait_for(self._stopping.wait(), backoff)
            except TimeoutError:
                backoff = min(2 * backoff, BACKOFF_SECONDS_MAX)
            else:
                return False

    def _redact(self, filled: Iterable[Waiting]) -> None:
        """Take away what was erased, also where its rows come in after the word about it."""
        lines = [line for one in filled for line in one.lines]
        taken = [one for waiting in filled for one in waiting.taken]
        if self._erased is None:
            self._erased = erased_before(self._client)
        erased = {
            (line.store, profile_id)
            for line in lines
            if isinstance(line, ErasedLine)
            for profile_id in line.profile_ids
        }
        self._erased |= erased
        if self._erased:
            erased |= {who for who in map(_whose, lines) if who in self._erased}
        self._take_moved(lines)
        if erased:
            erase_rows(self._client, erased)
        take_words_away(self._client, taken)

    def _take_moved(self, lines: Iterable[Line]) -> None:
        """Delete what stands under another profile by now, whichever of the two rows came first."""
        if self._moved_from is None:
            self._moved_from = moved_before(self._client)
        events = [line for line in lines if isinstance(line, EventLine)]
        self._moved_from |= {(one.store, one.moved_from) for one in events if one.moved_from}
        if not self._moved_from:
            return
        left = {(one.store, one.moved_from) for one in events if one.moved_from}
        left |= {who for who in map(_whose, events) if who in self._moved_from}
        if left:
            take_moved(self._client, left)

    def _insert_now(self, shape: Shape, partition: int, waiting: Waiting, token: str) -> None:
        rows: pa.Table = shape.rows(waiting.lines, partition, waiting.offsets)
        self._client.insert_arrow(
            shape.table.name,
            rows,
            settings={**INSERT_SETTINGS, "insert_deduplication_token": token},
        )


def is_mark(shape: Shape, line: Line) -> bool:
    """Does this stand here for its place alone? A split has a topic of its own."""
    return isinstance(line, SwitchedLine) or (
        isinstance(line, SplitLine) and shape.table is not SPLITS
    )


def _whose(line: Line) -> Person:
    """Whose row a line is; nobody's where it names no profile."""
    return getattr(line, "store", ""), getattr(line, "profile_id", "")


def passes(error: Exception) -> bool:
    """Say whether an error of the database may be gone when the same is tried again."""
    if isinstance(error, OperationalError | OSError):
        return True
    code = getattr(error, "code", None)
    return code is None or code in LOST_FOR_NOW
