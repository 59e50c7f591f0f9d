"""The one loop of all stations: read, step, write in one transaction, remember.

A station is one stage in one process. Each partition it owns has a seat: an intake (the pure half,
streams/intake.py), the partition's rows and a queue of what was read. A crash anywhere before the
transaction is committed changes nothing that anybody can read; a crash after it is made good by the
position, which came with it.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from aiokafka.errors import KafkaError

from agents.logs import log
from agents.metrics import Metrics
from agents.rows import Rows
from agents.transactions import EndLost, Transactions
from schemas.rows import POSITION_KEY, Position
from streams.apply import where_raised
from streams.intake import Intake, LogRecord, Work
from streams.rounds import BrokenPromise, load_position
from streams.versions import NewerSchema

EXIT_FAILED = 71
EXIT_REFUSED = 72
QUEUED_BATCHES_MAX = 16
FAILURES_IN_A_ROW_MAX = 100


class Refused(Exception):
    """A partition must not be worked on; the message says why."""


class TooManyFailures(Exception):
    """One dead letter after another: something is wrong that is not the records' fault."""


def give_up(seat: str, error: BaseException | None) -> NoReturn:
    """End the process, for certain: an orderly way out can hang while the group rejoins."""
    if isinstance(error, Refused | NewerSchema | EndLost):
        log.error("refused", seat=seat, why=str(error))
        os._exit(EXIT_REFUSED)
    detail = str(error) if isinstance(error, KafkaError | BrokenPromise | TooManyFailures) else ""
    kind = type(error).__name__
    log.error("failed", seat=seat, error=kind, where=where_raised(error), detail=detail)
    os._exit(EXIT_FAILED)


class Read(NamedTuple):
    """A batch of records of one partition and the offset that it continues from."""

    follows: int | None
    records: Sequence[LogRecord]


class Seat:
    """One partition of a stage.

    low: the lowest offset still needed, once a transaction has said so. steps: applied since here.
    follows: where reading begins; a batch that does not continue from what was read is dropped.
    seek: asks for the log to be read again from an offset.
    """

    def __init__(
        self,
        partition: int,
        intake: Intake,
        rows: Rows,
        transactions: Transactions,
        *,
        follows: int | None = None,
        seek: Callable[[int], None],
        metrics: Metrics,
    ) -> None:
        self.partition, self.intake, self.low, self.steps = partition, intake, 0, 0
        self._rows, self._transactions, self._seek = rows, transactions, seek
        self._metrics = metrics
        self._queue: asyncio.Queue[Read | None] = asyncio.Queue(QUEUED_BATCHES_MAX)
        self._awaited = follows
        self._sought = False
        self._stopping = False
        self._failures = 0

    async def put(self, read: Read) -> None:
        """Queue a batch; waits while the queue is full."""
        await self._queue.put(read)

    async def run(self) -> None:
        """Work until stopped. Raises whatever went wrong: the process has to end then."""
        while (read := await self._queue.get()) is not None and not self._stopping:
            await self.handle(read)

    async def handle(self, read: Read) -> None:
        """Take a batch and do all that may be done now."""
        if self._awaited is not None and read.follows != self._awaited:
            if not self._sought and (read.follows is None or read.follows > self._awaited):
                log.warning("a gap, reading again", partition=self.partition, start=self._awaited)
                self._read_from(self._awaited)
            return  # was under way when the log had to be read again, or the partition was left
        self._awaited, self._sought = read.records[-1].offset + 1, False
        self.intake.read(read.records)
        await self._work()
        again = self.intake.read_again_from()
        if again is not None:
            self._read_from(again)

    def _read_from(self, offset: int) -> None:
        self._awaited, self._sought = offset, True
        self._seek(offset)

    async def _work(self) -> None:
        while not self._stopping and (work := self.intake.next()) is not None:
            offset = await self._transactions.write(self.partition, work)
            self._rows.keep(work.rows, offset)
            self.low = work.low
            self.steps += work.steps
            self._metrics.worked(self.partition, work)
            self._brake(work)

    def _brake(self, work: Work) -> None:
        """Count dead letters in a row: transactions in which most turns failed.

        Raises: TooManyFailures.
        """
        if 2 * work.failures > work.steps:
            self._failures += work.failures
        elif work.steps:
            self._failures = 0
        if self._failures >= FAILURES_IN_A_ROW_MAX:
            raise TooManyFailures(f"{self._failures} dead letters in a row")

    def stop(self) -> None:
        """Let the running transaction end; what waits is discarded."""
        self._stopping = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)


class Station:
    """One stage in this process: the seats of the partitions it owns.

    make_intake: (partition, position, rows) -> the intake, from the partition's rows.
    seek:        (partition, offset): read the log again from there.
    """

    def __init__(
        self,
        name: str,
        partitions: int,
        *,
        make_intake: Callable[..., Intake],
        rows_of: Callable[[int], Rows],
        transactions: Transactions,
        seek: Callable[[int, int], None],
        metrics: Metrics,
    ) -> None:
        self.name, self._partitions = name, partitions
        self._make_intake, self._rows_of = make_intake, rows_of
        self.transactions, self._seek, self._metrics = transactions, seek, metrics
        self._seats: dict[int, Seat] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._starts: dict[int, int] = {}

    def needed_from(self, partition: int) -> int | None:
        """Where a partition's log has to be read from, by its recovered rows; None: anywhere."""
        position = self._position(partition)
        return None if position is None else position.low

    def _position(self, partition: int) -> Position | None:
        blob = self._rows_of(partition).get(POSITION_KEY % partition)
        if blob is None:
            return None
        try:
            return load_position(blob, self._partitions)
        except (ValueError, NewerSchema) as error:
            raise Refused(f"{self.name}, partition {partition}: {error}") from error

    def check_log(self, partition: int, first: int, end: int) -> None:
        """Refuse a log that ends before what was read of it, or begins after what is needed.

        Raises: Refused.
        """
        position = self._position(partition)
        if position is None:
            return
        where = f"{self.name}, partition {partition}: its log"
        if position.offset > end:
            raise Refused(
                f"{where} was read up to offset {position.offset}, but ends at {end}: was the "
                "topic made anew, or its tail lost?"
            )
        if position.low < first:
            raise Refused(
                f"{where} is needed from offset {position.low} on, but begins at {first}: its "
                "retention was too short"
            )

    def enter(self, partition: int, start: int) -> None:
        """A partition is ours and read from `start` on: what does not begin there is dropped."""
        self._starts[partition] = start

    async def take(self, partition: int, read: Read) -> None:
        """Queue what was read from a partition; the seat is made with the first batch.

        While the partition is being left, batches still come: a seat made of one would begin in
        the middle of the log.
        """
        seat = self._seats.get(partition)
        if seat is None:
            if partition not in self._starts:
                return
            seat = self._sit(partition)
        await seat.put(read)

    def _sit(self, partition: int) -> Seat:
        rows = self._rows_of(partition)
        position = load_position(rows.get(POSITION_KEY % partition), self._partitions)
        seat = self._seats[partition] = Seat(
            partition,
            self._make_intake(partition, position, rows),
            rows,
            self.transactions,
            follows=self._starts[partition],
            seek=lambda offset: self._seek(partition, offset),
            metrics=self._metrics,
        )
        task = asyncio.create_task(seat.run(), name=f"{self.name}/{partition}")
        task.add_done_callback(self._ended)
        self._tasks[partition] = task
        return seat

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A seat that fails ends the process for certain: nothing may go on without it."""
        if task.cancelled() or task.exception() is None:
            return
        give_up(task.get_name(), task.exception())

    async def leave(self, partitions: Iterable[int] | None = None) -> None:
        """Stop working on partitions (None: all): running transactions end, the rest is dropped."""
        leaving = list(self._starts) if partitions is None else list(partitions)
        for partition in leaving:
            self._starts.pop(partition, None)
            if partition in self._seats:
                self._seats.pop(partition).stop()
        tasks = [self._tasks.pop(partition) for partition in leaving if partition in self._tasks]
        await asyncio.gather(*tasks)

    def lows(self) -> Mapping[int, int]:
        """partition -> what may be acknowledged: the lowest offset still needed."""
        return {partition: seat.low for partition, seat in self._seats.items() if seat.low}

    def has(self, partition: int) -> bool:
        """Whether the partition is ours, also before anything of it has been read."""
        return partition in self._starts

    def seats(self) -> Mapping[int, Seat]:
        """partition -> its seat, for figures."""
        return self._seats
