"""A deployment for one test: topics of its own, a feeder, and workers that end with the test."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

import msgspec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from agents.demo.log import LogRecord, Round
from agents.embedded.process import Child, ProcessId, tail
from agents.feeder import Feeder
from agents.settings import Settings
from agents.topics import ensure_topics, topic_name
from schemas.outputs import ClockStruck, SendCommand
from schemas.topics import SEND_COMMANDS
from schemas.values import Instant
from streams.instants import to_instant
from tests.integration.path.reading import Rows, places_of, reader_of, rows_in, said_in
from tests.integration.path.shop import Shop

read_command = msgspec.json.Decoder(SendCommand | ClockStruck).decode

DEADLINE_S = 60
STOP_SECONDS_MAX = 10
ASK_AGAIN_SECONDS = 0.1
EXIT_FENCED = 70


class Worker:
    """A worker process; whatever it says is in its log."""

    def __init__(self, program: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._child = Child(program, log=log, environ=environ)

    def kill(self) -> None:
        """SIGKILL: it is gone in the middle of whatever it does."""
        self._send(signal.SIGKILL)
        assert self._child.wait(STOP_SECONDS_MAX) == -signal.SIGKILL

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        self.id.send(number)

    @property
    def id(self) -> ProcessId:
        """Which process it is."""
        assert self._child.id is not None, f"the worker never ran:\n{tail(self.log)}"
        return self._child.id

    def stop(self) -> int:
        """Ask it to end; returns its exit code."""
        return self._child.stop(patience_s=STOP_SECONDS_MAX)

    def ended(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._child.wait(0)

    def wait(self) -> int | None:
        """Its exit code when it has ended; None when it did not by the deadline."""
        return self._child.wait(DEADLINE_S)

    def end_for_certain(self) -> None:
        """Whatever state it is in, also frozen."""
        if self.ended() is None:
            self._send(signal.SIGKILL)
            self._child.wait(STOP_SECONDS_MAX)


class Deployment:
    """`async with deployed(settings, ...) as path:` a namespace with its topics and no worker yet.

    clocks: partition -> how far it has come, as `send-commands` said when it was last followed.
    """

    deadline_s = DEADLINE_S

    def __init__(self, settings: Settings, *, simulated: bool) -> None:
        self.settings, self._simulated = settings, simulated
        self.clocks: dict[int, Instant] = dict.fromkeys(range(settings.partitions), 0)
        self.workers: list[Worker] = []
        self._clock_reader = reader_of(settings)
        self.feeder = Feeder(settings)

    async def start(self, stack: AsyncExitStack) -> Self:
        await ensure_topics(self.settings, simulated=self._simulated)
        stack.callback(self._end_workers)
        await self.feeder.start()
        stack.push_async_callback(self.feeder.stop)
        await self._clock_reader.start()
        stack.push_async_callback(self._clock_reader.stop)
        self._clock_reader.assign(list(places_of(self.settings, [SEND_COMMANDS])))
        return self

    def _end_workers(self) -> None:
        for worker in self.workers:
            worker.end_for_certain()

    def start_worker(
        self, *arguments: str, program: str = "agents.worker", slot: str | None = None
    ) -> Worker:
        """Start a worker; all that the test leaves running ends with it.

        slot: its place; without one it is a stranger to the cluster every time.
        """
        told = [*arguments, "--simulated"] if self._simulated else arguments
        log = self.settings.data / f"worker-{len(self.workers) + 1}.log"
        environ = replace(self.settings, slot=slot).environ()
        self.workers.append(Worker([sys.executable, "-m", program, *told], environ, log))
        return self.workers[-1]

    # --- feeding -------------------------------------------------------------------------------

    async def feed(self, pieces: Iterable[Round], only: int | None = None) -> None:
        """Append rounds to `store-events`; `only`: of one partition, the others are held back."""
        for piece in pieces:
            for partition, records in enumerate(piece.partitions):
                if only is None or partition == only:
                    await self.feed_records(partition, records)

    async def feed_records(self, partition: int, records: Sequence[LogRecord]) -> None:
        await self.feeder.feed(partition, records)

    # --- waiting -------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Hear what the clocks on `send-commands` say now."""
        found = await self._clock_reader.getmany(timeout_ms=100)
        for place, records in found.items():
            for record in records:
                said = read_command(record.value)
                if isinstance(said, ClockStruck):
                    self.clocks[place.partition] = to_instant(said.at)

    async def comes_to(self, end: Instant) -> None:
        """Wait until all partitions have done all that was received before `end`."""
        async with self._deadline(f"all clocks come to {end}"):
            while min(self.clocks.values()) < end - 1:
                self.expect_a_worker()
                await self.follow()

    async def passes(self, instant: Instant) -> None:
        """Wait until some partition has come to `instant`."""
        async with self._deadline(f"some clock passes {instant}"):
            while max(self.clocks.values()) < instant - 1:
                self.expect_a_worker()
                await self.follow()

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until a condition holds."""
        async with self._deadline(what):
            while not await holds():
                self.expect_a_worker()
                await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def follow_for(self, seconds: float) -> None:
        """Hear the clocks for a while: for tests that strike at any instant."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            await self.follow()

    async def members(self) -> int:
        """How many workers the group of the profile stage has; 0 while it is not settled."""
        admin = AIOKafkaAdminClient(**self.settings.kafka_clients())
        await admin.start()
        try:
            group = topic_name(self.settings, "profile")
            (answer,) = await admin.describe_consumer_groups([group])
            ((_, _, state, _, _, members, *_),) = answer.groups
            return len(members) if state == "Stable" else 0
        except GroupCoordinatorNotAvailableError:
            return 0  # the broker is new and makes its topic of groups just now
        finally:
            await admin.close()

    async def has_members(self, count: int) -> None:
        """Wait until the group has so many members, and is settled."""

        async def joined() -> bool:
            return await self.members() == count

        await self.until(f"{count} members", joined)

    async def is_gone_or_member(self, worker: Worker) -> None:
        """Wait until a worker that was left behind has ended, or has joined the others again."""

        async def decided() -> bool:
            return worker.ended() is not None or await self.members() == len(self.workers)

        await self.until("it ends or joins", decided)

    def expect_a_worker(self) -> None:
        """Nothing is waited for where nobody works."""
        if any(worker.ended() is None for worker in self.workers):
            return
        last = self.workers[-1]
        raise AssertionError(f"no worker runs, {last.ended()}:\n{tail(last.log, 40)}")

    @asynccontextmanager
    async def _deadline(self, what: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.deadline_s):
                yield
        except TimeoutError:
            logs = "\n".join(f"{worker.log.name}:\n{tail(worker.log)}" for worker in self.workers)
            raise AssertionError(f"waited for: {what}; clocks {self.clocks}\n{logs}") from None

    # --- comparing -----------------------------------------------------------------------------

    async def expect_the_same_as(self, shop: Shop) -> None:
        """What was said and what is kept is what the path in memory said and keeps, and the rows
        are a recount.
        """
        rows = await self.expect_the_bytes_of(shop)
        assert shop.counted(rows) == shop.recount(), "rows = recount"

    async def expect_the_bytes_of(self, shop: Shop) -> Rows:
        """The bytes alone. Returns: the rows."""
        said = await said_in(self.settings)
        assert {place: len(records) for place, records in said.items()} == {
            place: len(records) for place, records in shop.said.items()
        }, "as many records, nothing missing, nothing doubled"
        for place, records in shop.said.items():
            assert said[place] == records, f"other bytes in {place}"
        rows = await rows_in(self.settings)
        assert rows.keys() == shop.rows.keys()
        other = [key for key, row in shop.rows.items() if rows[key] != row]
        assert not other, "rows with another content"
        return rows


@asynccontextmanager
async def deployed(settings: Settings, *, simulated: bool = True) -> AsyncIterator[Deployment]:
    """A deployment; what it started has ended afterwards, also when the test fails."""
    async with AsyncExitStack() as stack:
        yield await Deployment(settings, simulated=simulated).start(stack)
