"""What an earlier version wrote is read by this one; what a later one wrote is refused.

The earlier version is the last commit, or the one that UPGRADE_FROM names.
"""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from agents.settings import PREFIX, Settings
from agents.station import EXIT_REFUSED
from agents.topics import topic_name
from schemas.outputs import TimelineEntry
from schemas.rows import POSITION_KEY, POSITION_SCHEMA, PROFILE_ROW_SCHEMA, Position, ProfileRow
from schemas.topics import DEAD_LETTERS, PROFILE_ROWS, STORE_EVENTS_REJECTED, TIMELINE
from tests.integration.path.reading import rows_in, said_in, values_of
from tests.integration.path.running import DEADLINE_S, Deployment, Worker, deployed
from tests.integration.path.shop import PARTITIONS, Shop

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(400)]

CHECKOUT = Path(__file__).parents[2]
EARLIER = os.environ.get("UPGRADE_FROM", "HEAD~1")
CORE = ("streams", "schemas", "agents/demo", "deploy/demo")


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, check=False)


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The files of the earlier version."""
    archive = git("archive", EARLIER)
    if archive.returncode != 0:
        pytest.skip(f"there is no commit {EARLIER} here: not proved")
    folder = tmp_path / "earlier"
    folder.mkdir()
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    return folder


def chosen(settings: Settings) -> dict[str, str]:
    """The variables that differ from their defaults: an earlier version knows no others."""
    defaults = {field.name: field.default for field in fields(Settings)}
    return {
        variable: text
        for variable, text in settings.environ().items()
        if (default := defaults[variable.removeprefix(PREFIX).lower()]) is MISSING
        or text != str(default)
    }


def earlier_worker(settings: Settings, folder: Path) -> Worker:
    """A worker that runs from another folder's files."""
    inside = ["/bin/sh", "-c", 'cd -- "$1" && shift && exec "$@"', "sh", str(folder)]
    program = [*inside, sys.executable, "-m", "agents.worker", "--simulated"]
    return Worker(program, chosen(settings), settings.data / "earlier.log")


async def test_an_upgrade_in_mid_stream(settings: Settings, shop: Shop, earlier: Path) -> None:
    half = len(shop.rounds) // 2
    async with deployed(replace(settings, partitions=PARTITIONS, session_timeout_s=2)) as path:
        path.workers.append(earlier_worker(path.settings, earlier))
        await path.feed(shop.rounds[:half])
        await path.passes(shop.rounds[half // 2].end)
        path.workers[-1].kill()
        path.start_worker()
        await path.feed(shop.rounds[half:])
        await path.comes_to(shop.end)
        await expect_nothing_lost(path, shop)
        is_same = git("diff", "--quiet", EARLIER, "--", *CORE).returncode == 0
        if is_same:
            await path.expect_the_same_as(shop)
    print(f"from {EARLIER}: {'byte for byte' if is_same else 'the core has changed: by counts'}")


async def expect_nothing_lost(path: Deployment, shop: Shop) -> None:
    """Every event once in the timeline and in its person's row, and nothing set aside."""
    said = await said_in(path.settings)
    wanted = values_of(shop.said, TIMELINE, TimelineEntry)
    found = values_of(said, TIMELINE, TimelineEntry)
    assert Counter(map(identity, found)) == Counter(map(identity, wanted))
    for topic in (DEAD_LETTERS, STORE_EVENTS_REJECTED):
        assert not [place for place in said if place[0] == topic.name]
    assert shop.counted(await rows_in(path.settings)) == shop.recount()


def identity(entry: TimelineEntry) -> tuple[str, str]:
    return entry.metric, entry.event_id


def profile_row() -> tuple[bytes, bytes]:
    row = ProfileRow(schema=PROFILE_ROW_SCHEMA + 1)
    return b"i-from-the-future", msgspec.msgpack.encode(row)


def position() -> tuple[bytes, bytes]:
    newer = Position(schema=POSITION_SCHEMA + 1, partitions=PARTITIONS)
    return POSITION_KEY % 0, msgspec.msgpack.encode(newer)


@pytest.mark.parametrize("newer", [profile_row, position])
async def test_what_a_newer_version_wrote_is_refused(
    settings: Settings, shop: Shop, newer: Callable[[], tuple[bytes, bytes]]
) -> None:
    async with deployed(replace(settings, partitions=PARTITIONS)) as path:
        await path.feed(shop.rounds[:2])
        key, row = newer()
        async with AIOKafkaProducer(**path.settings.kafka_clients()) as producer:
            changelog = topic_name(path.settings, PROFILE_ROWS.name)
            await producer.send_and_wait(changelog, row, key=key, partition=0)
        worker = path.start_worker()
        async with asyncio.timeout(DEADLINE_S):
            code = await asyncio.to_thread(worker.wait)
        assert code == EXIT_REFUSED
        assert "known is" in worker.log.read_text()
