"""The log of the demo: `store-events` as it would have been, made once with the core in the loop.

Reactions depend on sends and sends on reactions, so neither can be written down beforehand. The
log is made round by round: what arrives in a round is appended to every partition and closed with
a tick, the core runs as far as the tick permits, the seeded recipients answer the sends that were
decided, and their answers arrive in later rounds. Then the log goes through the live pipeline.

A reaction never arrives in the round in which its send was decided: that part of the log is closed
by then. It arrives when it happened, but not before the round's end and a few seconds. So no
reaction is known sooner than live, some are up to one round later.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush, merge
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, Protocol
from zlib import crc32

import msgspec
import orjson

from agents.demo.chance import between
from agents.demo.recipients import Recipients, recipients_of
from agents.demo.shop import DATA, Invoice, StoreEvent, read_invoices, to_event
from agents.demo.synthetic import arrives, invent
from schemas.outputs import ClockStruck, SendCommand
from schemas.topics import SEND_COMMANDS
from schemas.values import Instant, Millis
from streams.instants import DAY, HOUR, SECOND, to_instant

SINCE: Instant = to_instant("2010-12-01T00:00:00Z")
UNTIL: Instant = to_instant("2011-12-10T00:00:00Z")
"""The data end on 2011-12-09 at 12:50."""
UNTIL_QUICK: Instant = to_instant("2011-01-01T00:00:00Z")
ROUND: Millis = 6 * HOUR
AHEAD: Millis = 21 * DAY
"""Who signs up early does so at most 20 days before the first invoice: read that much further."""

_received_at = attrgetter("received_at")
_read_command = msgspec.json.Decoder(SendCommand | ClockStruck).decode


class Headed(Protocol):
    """What the core says: enough of it to find the commands."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes | None: ...


class Core(Protocol):
    """The path in memory (`streams.replay.Replay`)."""

    def append(
        self,
        partition: int,
        value: bytes | None,
        received_at: Instant,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None: ...

    def run(self) -> Sequence[Headed]: ...


class Reacts(Protocol):
    """Who answers sends (`agents.demo.recipients.Recipients`)."""

    def react(self, command: SendCommand) -> list[StoreEvent]: ...


class LogRecord(NamedTuple):
    """A record for `store-events`; the order of these tuples is their order in the log."""

    received_at: Instant
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Round(NamedTuple):
    """A closed piece of the log.

    end:        the timestamp of its ticks; what it holds was received before.
    partitions: the records of each, never backwards in time, a tick last.
    writes:     what the core said to the outside in it, for comparison with the live run.
    """

    end: Instant
    partitions: tuple[list[LogRecord], ...]
    writes: Sequence[Headed]


def invoices_until(until: Instant, path: Path = DATA) -> list[Invoice]:
    """The invoices a log up to `until` depends on: a short log begins just as the long one does."""
    return read_invoices(path, until=until + AHEAD)


def prepare(until: Instant = UNTIL, path: Path = DATA) -> tuple[list[LogRecord], Recipients]:
    """What `rounds` needs for a log from `SINCE` to `until`: all arrivals, and the recipients."""
    invoices = invoices_until(until, path)
    return arrivals(invoices, since=SINCE, until=until), recipients_of(invoices)


def arrivals(invoices: Sequence[Invoice], *, since: Instant, until: Instant) -> list[LogRecord]:
    """All that arrives in [since, until) but reactions: the shop's events and what is invented."""
    shop = (arrives(to_event(invoice)) for invoice in invoices)
    records = [
        LogRecord(arrival.received_at, arrival.key.encode(), orjson.dumps(arrival.event))
        for arrival in chain(shop, invent(invoices, since=since, until=until))
        if arrival.received_at < until
    ]
    records.sort()
    assert not records or records[0].received_at >= since, "nothing arrives before the log begins"
    return records


def rounds(
    core: Core,
    recipients: Reacts,
    records: Iterable[LogRecord],
    *,
    partitions: int,
    since: Instant,
    until: Instant,
    tick: LogRecord,
    published: Sequence[LogRecord] = (),
    span: Millis = ROUND,
) -> Iterator[Round]:
    """Make the log, round by round; each is through the core when it is yielded.

    records: in order (`arrivals`).
    published: definitions; they go into every partition, before what else is received then.
    tick: key, value and headers of a tick; its timestamp is the end of the round.
    span: of a round; the last one ends at or after `until`.
    """
    waiting = Waiting(records)
    end = since
    while end < until:
        end += span
        pieces: tuple[list[LogRecord], ...] = tuple([] for _ in range(partitions))
        for record in waiting.before(end):
            pieces[crc32(record.key) % partitions].append(record)
        now_published = [one for one in published if end - span <= one.received_at < end]
        for piece in pieces:
            piece[:] = merge(now_published, piece, key=_received_at)
            piece.append(tick._replace(received_at=end))
        writes = _play(core, pieces)
        waiting.add(reactions(recipients, writes, closed=end))
        yield Round(end, pieces, writes)


def reactions(recipients: Reacts, writes: Iterable[Headed], *, closed: Instant) -> list[LogRecord]:
    """What recipients answer to the commands among `writes`; it arrives after `closed`."""
    answers: list[LogRecord] = []
    for write in writes:
        if write.topic != SEND_COMMANDS.name:
            continue
        command = _read_command(write.value or b"")
        if isinstance(command, SendCommand):
            answers.extend(_answer(event, closed) for event in recipients.react(command))
    return answers


def _answer(event: StoreEvent, closed: Instant) -> LogRecord:
    delay = between(300, 5 * SECOND, "delay", event["id"])
    received_at = max(to_instant(event["time"]), closed) + delay
    (kind, value), *_ = event["profile"].items()
    return LogRecord(received_at, f"{kind}/{value}".encode(), orjson.dumps(event))


def _play(core: Core, pieces: Sequence[Sequence[LogRecord]]) -> Sequence[Headed]:
    for partition, piece in enumerate(pieces):
        for record in piece:
            core.append(
                partition,
                record.value,
                record.received_at,
                key=record.key,
                headers=record.headers,
            )
    return core.run()


class Waiting:
    """Records that have not arrived yet: those known from the start and those that were added."""

    def __init__(self, records: Iterable[LogRecord]) -> None:
        self._known = iter(records)
        self._next = next(self._known, None)
        self._added: list[LogRecord] = []

    def add(self, records: Iterable[LogRecord]) -> None:
        for record in records:
            heappush(self._added, record)

    def before(self, end: Instant) -> list[LogRecord]:
        """Take what arrives before `end`, in order."""
        taken: list[LogRecord] = []
        while self._next is not None and self._next.received_at < end:
            taken.append(self._next)
            self._next = next(self._known, None)
        while self._added and self._added[0].received_at < end:
            taken.append(heappop(self._added))
        taken.sort()
        return taken
