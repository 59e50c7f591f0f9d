"""Whatever may befall workers and broker, drawn by chance from a seed.

Workers are kept as `up` keeps them: one that ends is started again in its place.
"""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from agents.demo.log import Round
from agents.embedded.kafka import EmbeddedKafka
from agents.embedded.process import tail
from agents.settings import Settings, Store
from agents.station import EXIT_REFUSED
from tests.conftest import SECRET
from tests.integration.path.running import Deployment, Worker
from tests.integration.path.shop import PARTITIONS, Shop

WORKERS_MAX = 3
SESSION_SECONDS = 3
FROZEN_SECONDS_MAX = 3 * SESSION_SECONDS
AWAY_SECONDS = 60
PAUSE_SECONDS_MAX = 3.0
RESTART_SECONDS = 0.5
LOOK_SECONDS = 0.1
EXIT_SETTINGS = 2


class Trial(Deployment):
    """A deployment whose workers are started again when they end.

    kafka: its broker, where it has one of its own.
    told:  what befell it, for who reads the output.
    """

    deadline_s = 240

    def __init__(
        self, settings: Settings, chance: random.Random, kafka: EmbeddedKafka | None = None
    ) -> None:
        super().__init__(settings, simulated=True)
        self.chance, self._kafka = chance, kafka
        self.in_slots = settings.store == "rocksdb" or chance.random() < 0.5
        self.running: dict[int, Worker] = {}
        self.told: list[str] = []
        self._count = 0

    async def start(self, stack: AsyncExitStack) -> Self:
        await super().start(stack)
        keeping = asyncio.create_task(self._keep())
        stack.push_async_callback(self._stop_keeping, keeping)
        self.join()
        return self

    @property
    def kafka(self) -> EmbeddedKafka:
        assert self._kafka is not None, "not a broker of its own"
        return self._kafka

    def join(self) -> None:
        """One worker more, in a place of its own."""
        self._count += 1
        self._occupy(self._count)

    def leave(self, number: int) -> Worker:
        """Nobody is kept in this place any more; returns who was."""
        return self.running.pop(number)

    def anyone(self) -> int:
        return self.chance.choice(sorted(self.running))

    def _occupy(self, number: int) -> None:
        self.running[number] = self.start_worker(slot=f"w{number}" if self.in_slots else None)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for number, worker in list(self.running.items()):
                code = worker.ended()
                if code is None:
                    continue
                refused = code in {EXIT_REFUSED, EXIT_SETTINGS}
                assert not refused, f"a worker refused:\n{tail(worker.log)}"
                self.told.append(f"worker {number} ended with {code}, another starts")
                await asyncio.sleep(RESTART_SECONDS)
                if self.running.get(number) is worker:
                    self._occupy(number)

    async def _stop_keeping(self, keeping: asyncio.Task[None]) -> None:
        keeping.cancel()
        await asyncio.wait({keeping})
        if not keeping.cancelled():
            keeping.result()

    async def start_broker_again(self) -> None:
        """The broker has ended, one way or another: from its data and on its port again."""
        address = self.kafka.address
        await asyncio.to_thread(self.kafka.stop)
        await asyncio.to_thread(self.kafka.start)
        assert self.kafka.address == address, "somebody else took the broker's port"

    def expect_a_worker(self) -> None:
        """One that has ended is started again."""


@asynccontextmanager
async def on_trial(
    folder: Path, *, store: Store, seed: int, disk: Path | None = None
) -> AsyncIterator[Trial]:
    """A trial with one worker. disk: where the broker has its data."""
    async with EmbeddedKafka((disk or folder) / "kafka") as kafka, AsyncExitStack() as stack:
        settings = replace(settings_of([kafka.address], folder), store=store)
        yield await Trial(settings, random.Random(seed), kafka).start(stack)


def settings_of(addresses: Sequence[str], folder: Path) -> Settings:
    return Settings(
        kafka=tuple(addresses),
        namespace="prove",
        data=folder,
        secret=SECRET,
        partitions=PARTITIONS,
        session_timeout_s=SESSION_SECONDS,
    )


# --- what may happen -----------------------------------------------------------------------------


async def kill(trial: Trial) -> None:
    number = trial.anyone()
    trial.told.append(f"kill -9 of worker {number}")
    trial.running[number].end_for_certain()  # it may be fenced, and end by itself just now


async def terminate(trial: Trial) -> None:
    number = trial.anyone()
    trial.told.append(f"SIGTERM to worker {number}")
    await asyncio.to_thread(trial.running[number].stop)


async def freeze(trial: Trial) -> None:
    number = trial.anyone()
    seconds = trial.chance.uniform(SESSION_SECONDS, FROZEN_SECONDS_MAX)
    trial.told.append(f"worker {number} frozen for {seconds:.1f} s")
    worker = trial.running[number]
    worker.freeze()
    await trial.follow_for(seconds)
    worker.thaw()


async def join(trial: Trial) -> None:
    if len(trial.running) < WORKERS_MAX:
        trial.told.append("a worker joins")
        trial.join()


async def leave(trial: Trial) -> None:
    if len(trial.running) > 1:
        number = trial.anyone()
        trial.told.append(f"worker {number} leaves")
        await asyncio.to_thread(trial.leave(number).stop)


async def kill_broker(trial: Trial) -> None:
    trial.told.append("kill -9 of the broker")
    trial.kafka.process.send(signal.SIGKILL)
    await trial.start_broker_again()


async def broker_away(trial: Trial) -> None:
    trial.told.append(f"the broker is away for {AWAY_SECONDS} s")
    await asyncio.to_thread(trial.kafka.stop)
    await asyncio.sleep(AWAY_SECONDS)
    await trial.start_broker_again()


Fault = Callable[[Trial], Awaitable[None]]

OF_WORKERS: tuple[Fault, ...] = (kill, terminate, freeze, join, leave)
FAULTS: tuple[Fault, ...] = (*OF_WORKERS, kill_broker)


def drawn(seed: int, count: int, kinds: Sequence[Fault] = FAULTS) -> list[Fault]:
    """So many faults, each kind before any comes twice."""
    chance = random.Random(f"faults of {seed}")
    faults: list[Fault] = []
    while len(faults) < count:
        faults += chance.sample(kinds, len(kinds))
    return faults[:count]


async def suffer(trial: Trial, rounds: Sequence[Round], faults: list[Fault]) -> None:
    """Feed a log piece by piece, a fault at any instant of each."""
    size = -(-len(rounds) // len(faults))
    for number, fault in enumerate(faults):
        await trial.feed(rounds[number * size : (number + 1) * size])
        await trial.follow_for(trial.chance.uniform(0, PAUSE_SECONDS_MAX))
        await fault(trial)


async def befall(trial: Trial, shop: Shop, faults: list[Fault]) -> None:
    """Let the shop's log suffer, and come to its end. Whatever is said and kept must be what the
    undisturbed path says and keeps.
    """
    await suffer(trial, shop.rounds, faults)
    await trial.comes_to(shop.end)
    await trial.expect_the_same_as(shop)
