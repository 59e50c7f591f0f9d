"""A worker that cannot begin says so in a sentence, and how it ends says what to do about it."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import faust
import pytest

from agents import worker
from agents.station import EXIT_FAILED

NOWHERE = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("program", "kafka", "code", "said"),
    [
        ("agents.cli.main", "", 2, "tillstream: a worker works on a cluster: name it with"),
        ("agents.cli.main", NOWHERE, 2, "tillstream: the cluster at 127.0.0.1:1 does not let"),
        ("agents.worker", NOWHERE, EXIT_FAILED, "the cluster at 127.0.0.1:1 does not let"),
    ],
)
def test_a_worker_without_its_cluster_ends_with_a_sentence(
    tmp_path: Path, program: str, kafka: str, code: int, said: str
) -> None:
    named = {"TILLSTREAM_KAFKA": kafka, "TILLSTREAM_SECRET": "0123456789abcdef"} if kafka else {}
    command = [sys.executable, "-m", program, *(["worker"] if "cli" in program else [])]
    ended = subprocess.run(
        command,
        env={"PYTHONPATH": os.pathsep.join(sys.path), "TILLSTREAM_DATA": str(tmp_path), **named},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code
    assert any(line.startswith(said) for line in ended.stderr.splitlines())
    assert "Traceback" not in ended.stderr


async def test_a_worker_whose_broker_does_not_answer_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def wait_for_an_answer(_: faust.Worker) -> None:
        await asyncio.Event().wait()

    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(faust.Worker, "stop", wait_for_an_answer)
    monkeypatch.setattr(worker, "END_SECONDS_MAX", 0.01)
    monkeypatch.setattr(os, "_exit", ended.set_result)
    stopping = asyncio.create_task(object.__new__(worker._Worker).stop())
    assert await asyncio.wait_for(ended, timeout=5) == EXIT_FAILED
    stopping.cancel()
