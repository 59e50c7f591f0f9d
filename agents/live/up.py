"""The live pipeline: started in order, looked after, ended in order.

Start: broker, topics, database, definitions, workers, the timeline sink, the catalogue's watcher.
End: the workers, after their running transactions; the watcher; the sink, after all that they said
is in the database, as far as it can be reached; the database; the broker. Every process is a child
on a leash and ended by its own id.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec
from aiokafka.errors import KafkaError

from agents.clickhouse import open_client
from agents.definitions_log import Prepared, definitions_in_force, had_events, publish
from agents.embedded.process import ProcessId
from agents.live.filling import keep_filling
from agents.live.kept import Say
from agents.live.place import Running, alone, forget, keep, live_folder
from agents.live.ranking import keep_ranking
from agents.live.servers import Servers
from agents.live.sink import Timeline
from agents.live.splitting import keep_telling
from agents.live.watching import Catalog
from agents.live.workers import Worker
from agents.migrations import migrate
from agents.settings import Settings
from agents.slot import give_up_slots
from agents.topics import ensure_topics
from schemas.values import Instant, StoreId

LOOK_SECONDS = 1.0
ASK_SECONDS = 0.1
CATCH_UP_SECONDS = 20.0
DRAIN_SECONDS_MAX = 15.0
WATCHER_SECONDS_MAX = 5.0
LEAVE_SECONDS_MAX = 5.0


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, for who started it. definitions: store -> version in force; log: its folder."""

    namespace: str
    kafka: list[str]
    embedded_kafka: bool
    database: str | None
    partitions: int
    workers: list[int]
    definitions: dict[StoreId, str]
    published: str | None
    logs: str
    behind: bool


class _Stopped(Exception):
    """Told to stop before everything had started."""


class Live:
    """`start`, `look_after` until something ends it, `end`."""

    def __init__(
        self, settings: Settings, *, workers: int, prepared: Prepared | None, say: Say
    ) -> None:
        self._say, self._prepared, self._count = say, prepared, workers
        self._servers = Servers(settings)
        self._folder = live_folder(settings)
        self._place = settings
        self._stopping = asyncio.Event()
        self._workers: list[Worker] = []
        self._slots: list[str] = []
        self._kept: list[asyncio.Task[None]] = []
        self._timeline: Timeline | None = None
        self._sinking: asyncio.Task[None] | None = None
        self._chores: list[asyncio.Task[None]] = []
        self._catalog: Catalog | None = None
        self._watching: asyncio.Task[None] | None = None
        self._began: Instant = 0

    def stop(self) -> None:
        """Ask for the end; what is just being started is waited for."""
        self._stopping.set()

    async def run(self, ready: Callable[[Started], None]) -> None:
        """Start everything, say so, look after it until told to stop, end everything."""
        try:
            started = await self._start()
            await self._first(self._caught_up(CATCH_UP_SECONDS))
            clock = None if self._timeline is None else self._timeline.clock()
            behind = clock is None or clock < self._began
            ready(msgspec.structs.replace(started, behind=behind))
            await self._first(self._look_after())
        except _Stopped:
            pass
        finally:
            await self._end()

    async def _start(self) -> Started:
        """Start everything that runs."""
        say, servers = self._say, self._servers
        if servers.kafka is not None:
            say("starting the broker")
        await self._unless_stopped(servers.start_kafka())
        await self._unless_stopped(ensure_topics(servers.settings))
        await self._unless_stopped(servers.start_database())
        await asyncio.to_thread(_prepare_database, servers.settings)
        self._keep_state()
        definitions, published = await self._definitions()
        say(f"starting {self._count} worker{'s' * (self._count > 1)}")
        self._began = time.time_ns() // 1_000_000
        for number in range(1, self._count + 1):
            own = _of_worker(servers.settings, number, embedded=servers.kafka is not None)
            self._workers.append(Worker(number, own, self._folder, say))
            self._slots += [own.slot] if own.slot is not None else []
        self._kept = [asyncio.create_task(worker.keep()) for worker in self._workers]
        self._start_timeline()
        settings = servers.settings
        return Started(
            namespace=settings.namespace,
            kafka=list(settings.kafka or ()),
            embedded_kafka=servers.kafka is not None,
            database=None if servers.gateway is None else servers.gateway.dsn,
            partitions=settings.partitions,
            workers=list(range(1, self._count + 1)),
            definitions=definitions,
            published=published,
            logs=str(self._folder),
            behind=False,
        )

    async def _definitions(self) -> tuple[dict[StoreId, str], str | None]:
        """What is in force, and the version that was published now, if it was not."""
        found = {
            store: published.version
            for store, published in (await definitions_in_force(self._servers.settings)).items()
        }
        if self._prepared is None:
            return found, None
        published = self._prepared.published
        if found.get(published.store) == published.version:
            return found, None
        fill = await had_events(self._servers.settings)
        await publish(self._servers.settings, msgspec.structs.replace(published, fill=fill))
        return found | {published.store: published.version}, published.version

    def _start_timeline(self) -> None:
        self._timeline = Timeline(self._servers.settings, self._say)
        self._sinking = asyncio.create_task(self._timeline.keep())
        self._chores = [
            asyncio.create_task(chore(self._servers.settings, self._say))
            for chore in (keep_filling, keep_ranking, keep_telling)
        ]
        self._catalog = Catalog(self._servers.settings, self._say)
        self._watching = asyncio.create_task(self._catalog.keep())

    def _keep_state(self) -> None:
        settings, gateway = self._servers.settings, self._servers.gateway
        state = Running(
            owner=ProcessId.own(),
            namespace=settings.namespace,
            kafka=settings.kafka or (),
            database=None if gateway is None else gateway.dsn,
            workers=self._count,
        )
        keep(self._place, state)

    async def _caught_up(self, seconds_max: float) -> None:
        """Wait until time has come to us: a clock after our start has been heard."""
        deadline = time.monotonic() + seconds_max
        while time.monotonic() < deadline:
            clock = None if self._timeline is None else self._timeline.clock()
            if clock is not None and clock >= self._began:
                return
            await asyncio.sleep(ASK_SECONDS)

    async def _look_after(self) -> None:
        """Start again what ended, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if await self._servers.kafka_revived():
                self._say("the broker had ended; it runs again")
            if await self._servers.database_ended():
                self._say("the database gives no answer; starting it again")
                await self._stop_timeline()
                await self._servers.database_revived()
                self._keep_state()
                self._start_timeline()

    async def _first(self, work: Awaitable[None]) -> None:
        """Do `work` until it is done, a worker refuses, or somebody says stop.

        Raises: _Stopped; WorkerRefused; whatever `work` raises.
        """
        doing = asyncio.ensure_future(work)
        told = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({doing, told, *self._kept}, return_when=asyncio.FIRST_COMPLETED)
            for task in (*self._kept, doing):
                if task.done():
                    task.result()
        finally:
            told.cancel()
            if not doing.done():
                doing.cancel()
                await asyncio.wait({doing})
        if self._stopping.is_set():
            raise _Stopped

    async def _unless_stopped(self, step: Awaitable[None]) -> None:
        await step
        if self._stopping.is_set():
            raise _Stopped

    async def _stop_timeline(self) -> None:
        for chore in self._chores:
            chore.cancel()
            await asyncio.wait({chore})
        self._chores = []
        if self._catalog is not None and self._watching is not None:
            self._catalog.stop()
            await asyncio.wait({self._watching}, timeout=WATCHER_SECONDS_MAX)
            self._watching.cancel()
        self._catalog = self._watching = None
        if self._timeline is not None and self._sinking is not None:
            await self._timeline.stop()
            self._sinking.cancel()
            await asyncio.wait({self._sinking})
        self._timeline = self._sinking = None

    async def _give_up_slots(self) -> None:
        if not self._slots:
            return
        try:
            async with asyncio.timeout(LEAVE_SECONDS_MAX):
                await give_up_slots(self._servers.settings, self._slots)
        except (KafkaError, TimeoutError):
            return  # the broker is away; their session ends by itself

    async def _end(self) -> None:
        """End everything that was started, in order, whatever fails on the way."""
        if self._stopping.is_set():
            self._say("stopping")
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        for task in self._kept:
            task.cancel()
        if self._kept:
            await asyncio.wait(self._kept)
        await self._give_up_slots()
        try:
            drained = self._timeline is None or await self._timeline.drain(DRAIN_SECONDS_MAX)
            if not drained:
                self._say("the timeline has not got everything yet; it reads on at the next start")
            await self._stop_timeline()
        finally:
            await self._servers.stop_database()
            await self._servers.stop_kafka()
            forget(self._place)


async def run(
    settings: Settings,
    *,
    workers: int,
    prepared: Prepared | None,
    say: Say,
    ready: Callable[[Started], None],
) -> None:
    """Run the pipeline until SIGINT or SIGTERM; nothing is left running.

    Raises: AlreadyUp; what the servers, the topics and the database raise; WorkerRefused.
    """
    with alone(settings):
        live = Live(settings, workers=workers, prepared=prepared, say=say)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, live.stop)
        await live.run(ready)


def _of_worker(settings: Settings, number: int, *, embedded: bool) -> Settings:
    """The settings of one worker: a fixed port of `/metrics` is the first one's, then the next.

    Its slot is its number. Where others may work on the same servers, the slot has to be named:
    two workers in one would take turns in ending each other.
    """
    if settings.slot is not None:
        settings = replace(settings, slot=f"{settings.slot}-{number}")
    elif embedded:
        settings = replace(settings, slot=str(number))
    port = settings.metrics_port
    return replace(settings, metrics_port=port + number - 1) if port else settings


def _prepare_database(settings: Settings) -> None:
    """See that the database is there and has its tables.

    Raises: ClickHouseFailed; MigrationError.
    """
    client = open_client(settings)
    try:
        migrate(client)
    finally:
        client.close()
