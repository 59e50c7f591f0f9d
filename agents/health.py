"""What a worker says of itself over HTTP on the loopback: for probes, Prometheus and people.

/healthz  200 while the event loop answers.
/readyz   200 when every stage has recovered its partitions and no clock stands still; else 503 and
          who holds time back.
/metrics  Prometheus text (agents/metrics.py).
/status   the same figures as JSON, partition by partition.

The address is written to `<data>/run/worker-<pid>.json`, where `tillstream status` finds it.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import mode
import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agents.app import StageApp
from agents.metrics import DISBELIEVED, FRESHNESS, REGISTRY, WAITING
from agents.settings import Settings
from agents.station import Seat
from schemas.values import Instant, Stage
from streams.intake import PassIntake, RoundIntake

HOST = "127.0.0.1"
STALLED_SECONDS = 60.0


class PartitionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One partition of one stage in a worker.

    clock: the last boundary done, 0 before the first. held_back_by: the source heard least far.
    waiting: records that are read and not yet applied. disbelieved: ticks too far from our watch.
    steps: records and timers applied since this worker took the partition over.
    """

    stage: Stage
    partition: int
    clock: Instant
    held_back_by: str | None
    waiting: int
    disbelieved: int
    steps: int


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A worker: its process, the instant it said this, whether it is ready, its partitions."""

    pid: int
    now: Instant
    ready: bool
    why_not: list[str]
    partitions: list[PartitionStatus]


class WorkerAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a worker of this machine answers."""

    pid: int
    port: int


def run_folder(settings: Settings) -> Path:
    """Where the processes of this machine write down where they answer."""
    return settings.data / "run"


class Health(mode.Service):
    """The HTTP side of a worker, one of its services."""

    def __init__(self, settings: Settings, stages: Sequence[StageApp], *, simulated: bool) -> None:
        super().__init__()
        self._settings, self._stages, self._simulated = settings, stages, simulated
        self._file = run_folder(settings) / f"worker-{os.getpid()}.json"

    async def on_start(self) -> None:
        web_app = web.Application()
        web_app.router.add_get("/healthz", self._healthz)
        web_app.router.add_get("/readyz", self._readyz)
        web_app.router.add_get("/metrics", self._metrics)
        web_app.router.add_get("/status", self._status)
        self._runner = web.AppRunner(web_app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self._settings.metrics_port)
        await site.start()
        port = self._runner.addresses[0][1]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_bytes(msgspec.json.encode(WorkerAddress(pid=os.getpid(), port=port)))

    async def on_stop(self) -> None:
        self._file.unlink(missing_ok=True)
        await self._runner.cleanup()

    def status(self) -> WorkerStatus:
        """All figures, now."""
        partitions = [
            partition_status(stage.stage, number, seat)
            for stage in self._stages
            for number, seat in sorted(stage.station.seats().items())
        ]
        now = time.time_ns() // 1_000_000
        why_not = [f"{stage.stage} recovers" for stage in self._stages if not stage.is_ready]
        if not self._simulated:
            why_not += [
                f"{one.stage}/{one.partition} stands still, held back by {one.held_back_by}"
                for one in partitions
                if one.clock and now - one.clock > STALLED_SECONDS * 1000
            ]
        return WorkerStatus(
            pid=os.getpid(), now=now, ready=not why_not, why_not=why_not, partitions=partitions
        )

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        status = self.status()
        said = "ready\n" if status.ready else "".join(f"{why}\n" for why in status.why_not)
        return web.Response(text=said, status=200 if status.ready else 503)

    async def _status(self, _: web.Request) -> web.Response:
        body = msgspec.json.encode(self.status())
        return web.Response(body=body, content_type="application/json")

    async def _metrics(self, _: web.Request) -> web.Response:
        status = self.status()
        for one in status.partitions:
            labels = (one.stage, str(one.partition))
            WAITING.labels(*labels).set(one.waiting)
            DISBELIEVED.labels(*labels).set(one.disbelieved)
            if one.clock:
                FRESHNESS.labels(*labels).set((status.now - one.clock) / 1000)
        body = generate_latest(REGISTRY)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def partition_status(stage: Stage, partition: int, seat: Seat) -> PartitionStatus:
    """The figures of one seat."""
    intake = seat.intake
    clock, held_back_by, waiting, disbelieved = 0, None, 0, 0
    if isinstance(intake, RoundIntake):
        clock = intake.rounds.clock
        held_back_by = intake.rounds.held_back_by()[0]
        waiting = len(intake.rounds.waiting)
    elif isinstance(intake, PassIntake):
        clock, disbelieved = intake.clock, intake.disbelieved
    return PartitionStatus(
        stage=stage,
        partition=partition,
        clock=clock,
        held_back_by=held_back_by,
        waiting=waiting,
        disbelieved=disbelieved,
        steps=seat.steps,
    )
