"""The timeline sink under care: one that fails is started again, later each time it fails at once.

Nothing is lost meanwhile: it reads on from where the database has all.
"""

import asyncio
import contextlib
import time

from aiokafka.errors import KafkaError

from agents.clickhouse import open_client
from agents.live.kept import Say, keep
from agents.metrics import TIMELINE_FRESHNESS, TIMELINE_WAITING
from agents.migrations import migrate
from agents.probes import STALLED_SECONDS
from agents.settings import Settings
from agents.timeline import TimelineSink
from agents.topics import ends_of
from schemas.values import Instant

STOP_SECONDS_MAX = 20.0


class Timeline:
    """`keep` it running until `stop`. settings: with the addresses of broker and database."""

    def __init__(self, settings: Settings, say: Say) -> None:
        self._settings, self._say = settings, say
        self._sink: TimelineSink | None = None
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()

    async def keep(self) -> None:
        """Sink until `stop`, whatever happens."""
        try:
            await keep(self._run, self._stopping, what="the timeline", say=self._say)
        finally:
            self._ended.set()

    def clock(self) -> Instant | None:
        """Up to when all partitions of `send-commands` that strike a clock have been read."""
        clocks = {} if self._sink is None else self._sink.clocks()
        return min(clocks.values(), default=None)

    def why_not(self) -> list[str]:
        """Why it does not do its work now; nothing where it does."""
        sink = self._sink
        if sink is None or not sink.stored:
            return ["it has not begun to read"]
        found = []
        if sink.away_since is not None:
            seconds = time.monotonic() - sink.away_since
            found.append(f"the database takes nothing, for {seconds:.0f} s now")
        clock = self.clock()
        behind = 0.0 if clock is None else time.time() - clock / 1000
        if behind > STALLED_SECONDS:
            found.append(f"what it reads is {behind:.0f} s behind the wall")
        return found

    def measure(self) -> None:
        """Set the gauges."""
        clock = self.clock()
        TIMELINE_WAITING.set(0 if self._sink is None else self._sink.waiting)
        if clock is not None:
            TIMELINE_FRESHNESS.set(time.time() - clock / 1000)

    async def drain(self, seconds_max: float) -> bool:
        """Wait until all that has been said is in the database; say whether it is."""
        sink = self._sink
        if sink is None or not sink.stored:
            return False
        with contextlib.suppress(TimeoutError, KafkaError, OSError, RuntimeError):
            async with asyncio.timeout(seconds_max):
                await sink.drained(await ends_of(self._settings, sink.stored, committed=True))
                return True
        return False

    async def stop(self) -> None:
        """Insert what was read, if the database can be reached, and end `keep`."""
        self._stopping.set()
        if self._sink is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._sink.stop(), STOP_SECONDS_MAX)

    def leave(self) -> None:
        """As `stop`, without waiting for it."""
        self._leaving = asyncio.ensure_future(self.stop())

    async def _run(self) -> None:
        client = await asyncio.to_thread(open_client, self._settings)
        try:
            await asyncio.to_thread(migrate, client)
            if self._stopping.is_set():
                return
            self._sink = TimelineSink(self._settings, client)
            await self._sink.run()
        finally:
            self._sink = None
            client.close()
