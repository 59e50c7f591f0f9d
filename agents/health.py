"""What a worker says of itself over HTTP: the pages of every process (agents/probes.py), and

/readyz   200 when every stage has recovered its partitions, no clock stands still and, where this
          worker ticks, it does; else 503 and who holds time back.
/status   the same figures as JSON, partition by partition; `tillstream status` puts them together.
"""

import os
import time
from collections.abc import Sequence

import mode
import msgspec
from aiohttp import web

from agents.app import StageApp
from agents.metrics import DISBELIEVED, FRESHNESS, WAITING
from agents.probes import STALLED_SECONDS, Probes
from agents.settings import Settings
from agents.station import Seat
from agents.ticker import Ticker
from agents.worker_status import PartitionStatus, WorkerStatus
from schemas.values import Stage
from streams.intake import RoundIntake
from streams.passing import PassIntake

SILENT_SECONDS = 10.0
"""The longest that whoever has to tick may be silent."""


class Health(mode.Service):
    """The HTTP side of a worker, one of its services. ticker: None where time is simulated."""

    def __init__(
        self, settings: Settings, stages: Sequence[StageApp], *, ticker: Ticker | None
    ) -> None:
        super().__init__()
        self._stages, self._ticker = stages, ticker
        self._probes = Probes(
            settings,
            "worker",
            why_not=lambda: self.status().why_not,
            measure=self._measure,
            pages={"/status": self._status},
        )

    async def on_start(self) -> None:
        await self.add_async_context(self._probes)

    def status(self) -> WorkerStatus:
        """All figures, now."""
        partitions = [
            partition_status(stage.stage, number, seat)
            for stage in self._stages
            for number, seat in sorted(stage.station.seats().items())
        ]
        now = time.time_ns() // 1_000_000
        why_not = [f"{stage.stage} recovers" for stage in self._stages if not stage.is_ready]
        ticker = self._ticker
        ticked = None if ticker is None else ticker.silent_seconds()
        if ticker is not None:
            why_not += [
                f"{one.stage}/{one.partition} stands still"
                + (f", held back by {one.held_back_by}" if one.held_back_by else "")
                for one in partitions
                if one.clock and now - one.clock > STALLED_SECONDS * 1000
            ]
        if ticked is not None and ticked > SILENT_SECONDS:
            why_not.append(f"no tick for {ticked:.0f} s, and it is this worker that has to")
        return WorkerStatus(
            pid=os.getpid(),
            now=now,
            ready=not why_not,
            why_not=why_not,
            partitions=partitions,
            ticked_seconds_ago=ticked,
        )

    async def _status(self, _: web.Request) -> web.Response:
        body = msgspec.json.encode(self.status())
        return web.Response(body=body, content_type="application/json")

    def _measure(self) -> None:
        status = self.status()
        for one in status.partitions:
            labels = (one.stage, str(one.partition))
            WAITING.labels(*labels).set(one.waiting)
            DISBELIEVED.labels(*labels).set(one.disbelieved)
            if one.clock:
                FRESHNESS.labels(*labels).set((status.now - one.clock) / 1000)


def partition_status(stage: Stage, partition: int, seat: Seat) -> PartitionStatus:
    """The figures of one seat."""
    intake = seat.intake
    clock, held_back_by, waiting, disbelieved = 0, None, 0, 0
    if isinstance(intake, RoundIntake):
        clock = intake.rounds.clock
        held_back_by = intake.rounds.held_back_by()[0]
        waiting = intake.rounds.waiting
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
