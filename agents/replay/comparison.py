"""What the path says now beside what it said then: record by record, byte by byte.

Keys, values, timestamps and headers have to be equal, clocks included, in the order of each
partition. Offsets are Kafka's business: transactions leave holes in them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from schemas.topics import DEAD_LETTERS, TOPICS, Topic
from schemas.values import Instant
from streams.intake import LogRecord, Write
from streams.replay import STAGES

SHOWN_BEFORE, SHOWN_AFTER = 24, 56
PUBLIC: Final[tuple[Topic, ...]] = tuple(
    topic for topic in TOPICS if topic.public and set(topic.writers) <= {*STAGES}
)
"""Topics that ingest, identity and profile write for others."""

_COMPACTED = frozenset(topic.name for topic in PUBLIC if topic.compacted)

Headers = tuple[tuple[str, bytes], ...]
Content = tuple[bytes, bytes, Instant, Headers]
"""(key, value, timestamp, headers)."""


class Difference(NamedTuple):
    """The first record of a partition that is not the same.

    offset: of the record then; None where there is none any more.
    then, now: the part that differs, shortened; None where there is no such record.
    """

    offset: int | None
    what: str
    then: str | None
    now: str | None


class Compared(NamedTuple):
    """A partition of a topic. station: of dead letters, which two stations write.

    not_yet: of a log that goes on, records that the path has not said yet.
    """

    topic: str
    partition: int
    station: str
    records: int
    difference: Difference | None
    not_yet: int = 0


class _Lane:
    """One partition of one topic, as one station writes it.

    Compaction may have taken records that a later one with the same key replaced: `replaced` holds
    those keys until that one is met.
    """

    def __init__(self, *, compacted: bool) -> None:
        self.then: deque[tuple[int, Content]] = deque()
        self.now: deque[Content] = deque()
        self.records = 0
        self.difference: Difference | None = None
        self.not_yet = 0
        self._compacted = compacted
        self._replaced: dict[bytes, Content] = {}

    def pair(self) -> None:
        """Compare what is there on both sides."""
        then, now = self.then, self.now
        while then and now and self.difference is None:
            offset, recorded = then[0]
            said = now.popleft()
            if said == recorded:
                then.popleft()
                self.records += 1
                self._replaced.pop(said[0], None)
            elif self._compacted:
                self._replaced[said[0]] = said
            else:
                self.difference = _difference(offset, recorded, said)
        if self.difference is not None:
            then.clear()
            now.clear()

    def end(self, goes_on_from: Instant | None) -> None:
        """Nothing more comes on either side. goes_on_from: up to when the log was replayed, where
        it goes on; then what was said of later was not replayed, and what is missing at the end may
        not have been said yet.
        """
        self.pair()
        if self.difference is not None:
            return
        if goes_on_from is not None:
            self.not_yet = len(self.now) + len(self._replaced)
            if not self.then or self.then[0][1][2] >= goes_on_from:
                return
        missing = next(iter(self._replaced.values()), None) or (self.now[0] if self.now else None)
        if self.then:
            offset, recorded = self.then[0]
            self.difference = Difference(offset, "is not said now", shortened(recorded[1], 0), None)
        elif missing is not None:
            self.difference = Difference(None, "was not said then", None, shortened(missing[1], 0))


class Comparison:
    """Takes both sides as they come and keeps only what has no counterpart yet."""

    def __init__(self, partitions: int) -> None:
        self._lanes: dict[tuple[str, int, str], _Lane] = {
            (topic.name, partition, station): _Lane(compacted=topic.name in _COMPACTED)
            for topic in PUBLIC
            for partition in range(partitions)
            for station in (topic.writers if topic is DEAD_LETTERS else ("",))
        }

    def hear(self, writes: Iterable[Write]) -> None:
        """Take what the path says now."""
        lanes = self._lanes
        for write in writes:
            lane = lanes[write.topic, write.partition, _station(write.topic, write.headers)]
            if lane.difference is None:
                headers = _compared(write.topic, write.headers)
                lane.now.append((write.key, write.value or b"", write.timestamp, headers))

    def read(self, topic: str, partition: int, records: Iterable[LogRecord]) -> None:
        """Take what it said then, and compare."""
        for record in records:
            headers = tuple(record.headers)
            lane = self._lanes[topic, partition, _station(topic, headers)]
            if lane.difference is None:
                content = (
                    record.key or b"",
                    record.value or b"",
                    record.timestamp,
                    _compared(topic, headers),
                )
                lane.then.append((record.offset, content))
                lane.pair()

    def waits_for(self, topic: str, partition: int) -> bool:
        """More was said now than has been read of what was said then."""
        return any(
            lane.now
            for (name, number, _), lane in self._lanes.items()
            if name == topic and number == partition
        )

    def end(self, *, goes_on_from: Instant | None = None) -> list[Compared]:
        """The outcome, once nothing more comes. goes_on_from: see `_Lane.end`."""
        for lane in self._lanes.values():
            lane.end(goes_on_from)
        return [
            Compared(topic, partition, station, lane.records, lane.difference, lane.not_yet)
            for (topic, partition, station), lane in self._lanes.items()
        ]


def _station(topic: str, headers: Headers) -> str:
    """Two stations write dead letters, each in its own order."""
    return dict(headers)["station"].decode() if topic == DEAD_LETTERS.name else ""


def _compared(topic: str, headers: Headers) -> Headers:
    """The headers that have to be equal: not the offset in an inner topic, which has holes."""
    if topic == DEAD_LETTERS.name:
        return tuple(header for header in headers if header[0] != "offset")
    return headers


def _difference(offset: int, then: Content, now: Content) -> Difference:
    parts: Sequence[tuple[str, Callable[[Content], bytes]]] = (
        ("value", lambda content: content[1]),
        ("key", lambda content: content[0]),
        ("timestamp", lambda content: b"%d" % content[2]),
        ("headers", lambda content: repr(content[3]).encode()),
    )
    what, part = next(one for one in parts if one[1](then) != one[1](now))
    before, after = part(then), part(now)
    place = first_difference(before, after)
    return Difference(
        offset, f"{what}, byte {place}", shortened(before, place), shortened(after, place)
    )


def first_difference(one: bytes, other: bytes) -> int:
    """The position of the first byte that is not the same."""
    same = (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(same, min(len(one), len(other)))


def shortened(value: bytes, place: int) -> str:
    """The text around a position."""
    start, end = max(0, place - SHOWN_BEFORE), place + SHOWN_AFTER
    text = value[start:end].decode(errors="backslashreplace")
    return ("…" if start else "") + text + ("…" if end < len(value) else "")
