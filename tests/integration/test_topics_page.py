"""docs/topics.md: its programs, as they stand there."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.embedded.jars import fetch
from agents.embedded.kafka import EmbeddedKafka

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "topics.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"<!-- program: (\S+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))
DEADLINE_S = 60
TOPICS = ("shop-store-events", "shop-segment-changes")
CHANGE = {"type": "segment-changed", "id": "c1", "profile_id": "i1", "segment": "vip"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The programs, as files."""
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def ran(command: list[str], folder: Path, **environ: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_the_program_in_node_is_well_formed(folder: Path) -> None:
    ran(["node", "--check", "push.mjs"], folder)


def test_every_link_to_a_schema_leads_to_one() -> None:
    linked = re.findall(r"\((schemas/topics/\S+?)\)", PAGE)
    files = sorted((DOCS / "schemas" / "topics").iterdir())
    assert {DOCS / link for link in linked} <= set(files)
    assert len(linked) >= 12


@pytest.mark.prove
@pytest.mark.integration
async def test_the_programs_push_and_read(kafka: EmbeddedKafka, folder: Path) -> None:
    await make_topics(kafka)
    ran([sys.executable, "push.py"], folder, TILLSTREAM_KAFKA=kafka.address)
    wanted = {"order-1001"}
    if shutil.which("javac") is not None:
        jars = os.pathsep.join([".", f"{fetch()}/*"])
        ran(["javac", "-cp", jars, "Push.java"], folder)
        ran(["java", "-cp", jars, "Push"], folder, TILLSTREAM_KAFKA=kafka.address)
        wanted |= {"order-1002"}
    assert await pushed(kafka, len(wanted)) == wanted

    reading = await asyncio.create_subprocess_exec(
        sys.executable,
        "read.py",
        cwd=folder,
        env={**os.environ, "TILLSTREAM_KAFKA": kafka.address},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await say_and_take_back(kafka)
        assert reading.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            assert await reading.stdout.readline() == b"i1 entered vip\n"
            assert await reading.stdout.readline() == b"i1 exited vip\n", "not what was taken back"
    finally:
        reading.kill()
        await reading.wait()


async def make_topics(kafka: EmbeddedKafka) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1) for name in TOPICS])
    finally:
        await admin.close()


async def pushed(kafka: EmbeddedKafka, count: int) -> set[str]:
    """The ids of so many events."""
    found: set[str] = set()
    async with (
        AIOKafkaConsumer(
            TOPICS[0], bootstrap_servers=kafka.address, auto_offset_reset="earliest"
        ) as consumer,
        asyncio.timeout(DEADLINE_S),
    ):
        while len(found) < count:
            record = await consumer.getone()
            found.add(msgspec.json.decode(record.value)["id"])
    return found


async def say_and_take_back(kafka: EmbeddedKafka) -> None:
    """Two changes as a station writes them, one of them twice; in between one that is undone."""
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.address, transactional_id="topics-page"
    ) as producer:
        for change_id, change, kept in (
            ("c1", "entered", True),
            ("c2", "entered", False),
            ("c1", "entered", True),
            ("c3", "exited", True),
        ):
            value = msgspec.json.encode(CHANGE | {"id": change_id, "change": change})
            await producer.begin_transaction()
            await producer.send_and_wait(TOPICS[1], value)
            await (producer.commit_transaction() if kept else producer.abort_transaction())
