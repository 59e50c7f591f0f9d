"""The demo's live path: a real broker, a worker process, the timeline sink and the sender.

All of it belongs to this process and ends with it: the broker and the worker as children on a
leash, the rest as tasks.
"""

import asyncio
import shutil
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import msgspec
from clickhouse_connect.driver.client import Client

from agents.clickhouse import open_client
from agents.demo.making import Digests
from agents.embedded.kafka import EmbeddedKafka
from agents.embedded.process import Child, tail
from agents.feeder import Feeder
from agents.migrations import migrate
from agents.reader import Reader, reader_of
from agents.settings import Settings
from agents.timeline import TimelineSink
from agents.topics import ends_of, ensure_topics, places_of, topic_name
from schemas.outputs import ClockStruck, SendCommand
from schemas.topics import SEND_COMMANDS, TOPICS
from schemas.values import Instant
from streams.instants import to_instant

STOP_SECONDS_MAX = 20
FETCH_MS_MAX = 50
_PUBLIC = [topic for topic in TOPICS if topic.public and "ticker" not in topic.writers]

_read_command = msgspec.json.Decoder(SendCommand | ClockStruck).decode


class WorkerEnded(Exception):
    """The worker process ended though nobody had told it to; the message holds its last words."""


class Live:
    """`async with Live(settings) as live:` everything runs; afterwards nothing does.

    settings: as set; `self.settings` also know the broker's address.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = settings.data / "worker.log"
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start with nothing left of a demo before."""
        async with self._stack:
            shutil.rmtree(self.settings.data, ignore_errors=True)
            self.settings.data.mkdir(parents=True)
            kafka = EmbeddedKafka(self.settings.data / "kafka")
            await self._stack.enter_async_context(kafka)
            self.settings = self.settings.connected_to(kafka.address)
            await ensure_topics(self.settings, simulated=True)
            self._start_worker()
            self.feeder = Feeder(self.settings)
            self._stack.push_async_callback(self.feeder.stop)
            await self.feeder.start()
            self._clocks = Reader(**self.settings.kafka_readers(), fetch_max_wait_ms=FETCH_MS_MAX)
            self._stack.push_async_callback(self._clocks.stop)
            await self._clocks.start()
            self._clocks.assign(places_of(self.settings, SEND_COMMANDS))
            self._start_sink()
            self._running = self._stack.pop_all()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._running.aclose()

    def _start_worker(self) -> None:
        program = [sys.executable, "-m", "agents.worker", "--simulated"]
        self._worker = Child(program, log=self.log, environ=self.settings.environ())
        self._stack.callback(self._worker.stop, patience_s=STOP_SECONDS_MAX)

    def _start_sink(self) -> None:
        self.client: Client = open_client(self.settings)
        self._stack.callback(self.client.close)
        migrate(self.client)
        self._sink = TimelineSink(self.settings, self.client)
        self._sinking = asyncio.create_task(self._sink.run())
        self._stack.push_async_callback(self._stop_sink)

    async def _stop_sink(self) -> None:
        await self._sink.stop()
        await self._sinking

    # --- following -----------------------------------------------------------------------------

    async def follow(self, clocks: dict[int, Instant]) -> list[str]:
        """Hear what `send-commands` says now: moves `clocks` (partition -> clock) on.

        Returns: the ids of the sends that were read.

        Raises: WorkerEnded.
        """
        if self._worker.wait(0) is not None:
            raise WorkerEnded(f"the worker ended:\n{tail(self.log)}")
        if self._sinking.done():
            self._sinking.result()
        sends: list[str] = []
        for record in await self._clocks.records():
            said = _read_command(record.value)
            if isinstance(said, SendCommand):
                sends.append(said.id)
            else:
                clocks[record.partition] = to_instant(said.at)
        return sends

    async def sunk(self) -> None:
        """Wait until all that was said is in the database."""
        await self._sink.drained(await ends_of(self.settings, self._sink.stored))

    async def command_ends(self) -> dict[int, int]:
        """Say where `send-commands` ends now: partition -> end offset."""
        ends = await self._clocks.end_offsets(list(self._clocks.assignment()))
        return {place.partition: end for place, end in ends.items()}

    async def digests(self) -> Digests:
        """Read all public topics from their beginning to their end."""
        digests = Digests()
        places = [place for topic in _PUBLIC for place in places_of(self.settings, topic)]
        quickly = {"fetch_max_wait_ms": FETCH_MS_MAX}
        async with reader_of(self.settings, places, **quickly) as reader:
            declared = {topic_name(self.settings, topic.name): topic.name for topic in _PUBLIC}
            ends = await ends_of(self.settings, places)
            for place in places:
                reader.seek(place, 0)
            left = {place for place in places if ends[place] > 0}
            while left:
                for record in await reader.records():
                    value = record.value or b""
                    digests.add(declared[record.topic], record.partition, record.key, value)
                left = {place for place in left if await reader.position(place) < ends[place]}
        return digests

    @property
    def folder(self) -> Path:
        """Where all of it is kept."""
        return self.settings.data
