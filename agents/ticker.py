"""The ticker: tells every partition of `store-events` that time passes; the broker says how far.

Comes in: nothing. Goes out: a tick each `TILLSTREAM_TICK_MS`. Of all workers only the one that has
partition 0 of ingest ticks: whoever takes the partition over takes the ticking with it. So there
are no more boundaries than intervals, and nobody has to be chosen. Two at once, while it is handed
over, do no harm: a tick only permits what the broker's timestamp allows. In a namespace of
simulated time a feeder writes the ticks; a ticker there would mix today into the past.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.admin import admin_of
from agents.logs import log
from agents.settings import Settings, SettingsError
from agents.topics import timestamp_types, topic_name
from schemas.topics import STORE_EVENTS
from streams.ingest.control import tick

RETRY_SECONDS = 1.0
REQUEST_TIMEOUT_MS = 10_000


class SimulatedNamespace(SettingsError):
    """A feeder makes the time of this namespace; the message says what to do."""


class LiveNamespace(SettingsError):
    """The broker makes the time of this namespace; the message says what to do."""


async def expect_live(settings: Settings) -> None:
    """Check that the broker stamps what is appended to `store-events`.

    Raises: SimulatedNamespace.
    """
    name, stamp = await _stamped(settings)
    if stamp != "LogAppendTime":
        raise SimulatedNamespace(
            f"topic {name} has message.timestamp.type={stamp}: its time is simulated and comes "
            "from a feeder. Start workers there with --simulated, or take another "
            "TILLSTREAM_NAMESPACE for live events"
        )


async def expect_simulated(settings: Settings) -> None:
    """Check that what is appended to `store-events` keeps the time of its writer.

    Raises: LiveNamespace.
    """
    name, stamp = await _stamped(settings)
    if stamp != "CreateTime":
        raise LiveNamespace(
            f"topic {name} has message.timestamp.type={stamp}: its time is that of the broker, and "
            "no worker with --simulated makes it pass. Start workers there without --simulated, or "
            "take another TILLSTREAM_NAMESPACE for simulated time"
        )


async def _stamped(settings: Settings) -> tuple[str, str]:
    """The name of `store-events`, and who stamps its records."""
    name = topic_name(settings, STORE_EVENTS.name)
    async with admin_of(settings) as admin:
        return name, (await timestamp_types(admin, [name]))[name]


class Ticker:
    """Appends ticks until stopped. A broker that is away is waited for: time stands still then.

    has_to: whether it is this worker that has to tick now.
    """

    def __init__(self, settings: Settings, has_to: Callable[[], bool]) -> None:
        self._settings, self._has_to = settings, has_to
        self._last: float | None = None
        self._topic = topic_name(settings, STORE_EVENTS.name)
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Tick until stopped.

        Raises: SimulatedNamespace.
        """
        checked = False
        while not self._stopped.is_set():
            try:
                if not checked:
                    await expect_live(self._settings)
                    checked = True
                await self._tick_on()
            except (KafkaError, OSError) as error:
                log.warning("ticks are held up", error=repr(error))
                await self._pause(RETRY_SECONDS)

    def silent_seconds(self) -> float | None:
        """Since when this worker has to tick and has not; None: another one has to."""
        if not self._has_to():
            self._last = None
            return None
        if self._last is None:
            self._last = time.monotonic()
        return time.monotonic() - self._last

    async def stop(self) -> None:
        """Let `run` end after the tick under way."""
        self._stopped.set()

    async def _tick_on(self) -> None:
        producer = AIOKafkaProducer(
            **self._settings.kafka_clients(), linger_ms=0, request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        try:
            await producer.start()
            loop = asyncio.get_running_loop()
            due = loop.time()
            while not self._stopped.is_set():
                if self._has_to():
                    await self._tick(producer)
                    self._last = time.monotonic()
                else:
                    self._last = None
                due = max(due + self._settings.tick_ms / 1000, loop.time())
                await self._pause(due - loop.time())
        finally:
            await producer.stop()

    async def _tick(self, producer: AIOKafkaProducer) -> None:
        """Partition 0 first: its tick ends a round, which the others permit only if they were
        stamped no earlier. All at once, every third round would wait for the next ticks.
        """
        await self._append(producer, range(1))
        await self._append(producer, range(1, self._settings.partitions))

    async def _append(self, producer: AIOKafkaProducer, partitions: Iterable[int]) -> None:
        value, headers = tick()
        appended = [
            await producer.send(self._topic, value, partition=partition, headers=list(headers))
            for partition in partitions
        ]
        for future in appended:
            await future

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)
