"""What a worker says of itself, and how the answers of several are put together."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
import pytest

from agents.embedded.process import ProcessId
from agents.health import SILENT_SECONDS, Health
from agents.probes import Address, addresses, run_folder
from agents.settings import Settings
from agents.standing import stage_standing, workers_here
from agents.worker_status import PartitionStatus, WorkerStatus
from schemas.rows import Position
from streams.intake import RoundIntake
from streams.passing import PassIntake
from tests.streams.toy import ToyProfile, ToyReader


class Stage:
    """As much of a stage as its health asks for."""

    def __init__(self, stage: str, intake: Any, *, is_ready: bool = True) -> None:
        self.stage, self.is_ready = stage, is_ready
        seat = SimpleNamespace(intake=intake, steps=7)
        self.station = SimpleNamespace(seats=lambda: {1: seat})


def profile_intake(clock: int) -> Any:
    position = Position(done=(0, 0, clock), partitions=2)
    return RoundIntake(ToyProfile(), 1, position, {})  # type: ignore[arg-type]


class Watch:
    """As much of a ticker as the health asks for."""

    silent: float | None = None

    def silent_seconds(self) -> float | None:
        return self.silent


@pytest.fixture
async def answering(tmp_path: Path) -> AsyncIterator[tuple[Settings, list[Stage], Health]]:
    settings = Settings(data=tmp_path)
    stages = [Stage("ingest", PassIntake(ToyReader(), 1, Position(partitions=2)))]
    health = Health(settings, stages, ticker=Watch())  # type: ignore[arg-type]
    await health.on_start()
    yield settings, stages, health
    await health.stop()
    assert not list(run_folder(settings).glob("*.json"))


async def test_a_worker_told_to_end_before_it_began_ends_in_order(tmp_path: Path) -> None:
    await Health(Settings(data=tmp_path), [], ticker=None).stop()


async def ask(settings: Settings, path: str) -> tuple[int, str]:
    (file,) = run_folder(settings).glob("*.json")
    address = msgspec.json.decode(file.read_bytes(), type=Address)
    assert address.process.pid == os.getpid()
    url = f"http://127.0.0.1:{address.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def test_a_worker_answers_probes_and_prometheus(answering: Any) -> None:
    settings, stages, _ = answering
    assert await ask(settings, "/healthz") == (200, "ok\n")
    assert await ask(settings, "/readyz") == (200, "ready\n")
    code, text = await ask(settings, "/metrics")
    assert code == 200
    assert 'tillstream_station_waiting_records{partition="1",station="ingest"} 0.0' in text
    stages[0].is_ready = False
    assert await ask(settings, "/readyz") == (503, "ingest recovers\n")


async def test_a_clock_that_stands_still_is_not_silent(answering: Any) -> None:
    settings, stages, _ = answering
    stages.append(Stage("profile", profile_intake(clock=1_000)))
    code, text = await ask(settings, "/readyz")
    assert code == 503
    assert text == "profile/1 stands still, held back by identity/0\n"
    _, text = await ask(settings, "/metrics")
    assert 'tillstream_station_freshness_seconds{partition="1",station="profile"}' in text
    ingest = PassIntake(ToyReader(), 1, Position(partitions=2))
    ingest.clock = 1_000
    stages[:] = [Stage("ingest", ingest)]
    assert await ask(settings, "/readyz") == (503, "ingest/1 stands still\n")


async def test_the_worker_that_has_to_tick_and_does_not_is_not_ready(answering: Any) -> None:
    settings, _, health = answering
    health._ticker.silent = SILENT_SECONDS
    assert await ask(settings, "/readyz") == (200, "ready\n")
    health._ticker.silent = 60.0
    code, text = await ask(settings, "/readyz")
    assert (code, text) == (503, "no tick for 60 s, and it is this worker that has to\n")
    assert '"ticked_seconds_ago":60.0' in (await ask(settings, "/status"))[1]


async def test_what_a_killed_worker_has_left_is_not_counted_and_goes(answering: Any) -> None:
    settings, *_ = answering
    own = ProcessId.own()
    for gone in (ProcessId(2**22 + 1, 1, own.boot), ProcessId(own.pid, own.started - 1, own.boot)):
        left = run_folder(settings) / f"worker-{gone.started}.json"
        left.write_bytes(msgspec.json.encode(Address(process=gone, port=1)))
    (run_folder(settings) / "worker-7.json").write_bytes(b'{"pid":')
    assert [one.process for one in addresses(settings, "worker")] == [own]
    assert [file.name for file in run_folder(settings).iterdir()] == [f"worker-{own.pid}.json"]


def test_without_workers_nobody_answers(tmp_path: Path) -> None:
    assert workers_here(Settings(data=tmp_path)) == []


def status(pid: int, partition: int, *, clock: int, steps: int) -> WorkerStatus:
    one = PartitionStatus(
        stage="profile",
        partition=partition,
        clock=clock,
        held_back_by="identity/1",
        waiting=3,
        disbelieved=0,
        steps=steps,
    )
    return WorkerStatus(pid=pid, now=0, ready=True, why_not=[], partitions=[one])


def test_a_stage_has_the_least_clock_and_all_the_work_of_its_workers() -> None:
    before = [status(1, 0, clock=50, steps=100)]
    after = [status(1, 0, clock=90, steps=150), status(2, 1, clock=70, steps=30)]
    found = stage_standing("profile", before, after, 2.0, lag=11)
    assert (found.partitions, found.clock, found.waiting, found.lag) == (2, 70, 6, 11)
    assert found.held_back_by == "identity/1"
    assert found.steps_per_second == 40.0
