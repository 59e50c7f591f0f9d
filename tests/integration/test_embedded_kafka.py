"""The embedded broker: serves, keeps its data, is found by others, and never outlives its owner."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.embedded import kafka as module
from agents.embedded.kafka import BrokerFailed, EmbeddedKafka, State
from agents.embedded.process import ProcessId

pytestmark = pytest.mark.integration

OWNER = """
import sys
from pathlib import Path
from agents.embedded.kafka import EmbeddedKafka
with EmbeddedKafka(Path(sys.argv[1])) as kafka:
    print(kafka.address, flush=True)
    sys.stdin.read()
"""


async def make_topic(address: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def append(address: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=address, max_request_size=len(value) + 1024
    ) as producer:
        await producer.send_and_wait(topic, value)


async def first_value(address: str, topic: str) -> bytes:
    async with AIOKafkaConsumer(bootstrap_servers=address) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        record = await consumer.getone()
        assert record.value is not None
        return record.value


def await_end(process: ProcessId, timeout_s: float = 30) -> None:
    """Wait until a process that is not our child is gone."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    with os.fdopen(handle):
        if process.is_running():
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            assert poll.poll(timeout_s * 1000), (
                f"process {process.pid} is still there after {timeout_s} s"
            )


def is_taken(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def names_in(folder: Path) -> list[str]:
    return [found.name for found in folder.iterdir()]


def start_owner(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start another process that owns a broker; return it and the broker's address."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert owner.stdout is not None
    return owner, owner.stdout.readline().strip()


def broker_below(folder: Path) -> ProcessId:
    state = msgspec.json.decode((folder / "broker.json").read_bytes(), type=State)
    assert state.broker is not None
    return state.broker


async def test_what_was_written_is_there_after_a_restart_at_the_same_address(
    tmp_path: Path,
) -> None:
    async with EmbeddedKafka(tmp_path) as kafka:
        address, process = kafka.address, kafka.process
        await make_topic(address, "orders")
        await append(address, "orders", b"first")
    assert not process.is_running()
    assert not is_taken(address)
    async with EmbeddedKafka(tmp_path) as kafka:
        assert kafka.address == address
        assert await first_value(address, "orders") == b"first"


async def test_a_broker_killed_in_mid_life_comes_back_with_its_data(tmp_path: Path) -> None:
    async with EmbeddedKafka(tmp_path) as kafka:
        await make_topic(kafka.address, "orders")
        await append(kafka.address, "orders", b"first")
        kafka.process.send(signal.SIGKILL)
        await_end(kafka.process)
    async with EmbeddedKafka(tmp_path) as kafka:
        assert await first_value(kafka.address, "orders") == b"first"


async def test_a_folder_may_be_called_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commas, letters that are not Latin-1, backslashes; also for who starts in the locale C."""
    monkeypatch.setenv("LC_ALL", "C")
    folder = tmp_path / "below" / " j\u00f6rg a,b \u0142\\u00e4 #=%s 'x"
    async with EmbeddedKafka(folder) as kafka:
        await make_topic(kafka.address, "orders")
        await append(kafka.address, "orders", b"first")
    assert (folder / "log" / "orders-0").is_dir()
    assert names_in(folder.parent) == [folder.name]
    async with EmbeddedKafka(folder) as kafka:
        assert await first_value(kafka.address, "orders") == b"first"


async def test_a_topic_must_be_made_before_it_is_used(kafka: EmbeddedKafka) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        await admin.describe_topics(["never-made"])
        assert "never-made" not in await admin.list_topics()
    finally:
        await admin.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_broker_is_left_when_its_owner_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    owner, address = start_owner(tmp_path)
    with owner:
        broker = broker_below(tmp_path)
        assert broker.is_running()
        owner.send_signal(number)
    await_end(broker)
    assert not is_taken(address)


def test_a_second_process_finds_the_running_broker_and_leaves_it_running(tmp_path: Path) -> None:
    owner, address = start_owner(tmp_path)
    with owner:
        with EmbeddedKafka(tmp_path) as found:
            assert not found.owned
            assert found.address == address
            assert found.process == broker_below(tmp_path)
        assert found.process.is_running()
        assert owner.stdin is not None
        owner.stdin.close()  # the owner stops it
    assert not found.process.is_running()


def test_of_two_that_start_at_once_one_owns_the_broker(tmp_path: Path) -> None:
    both = [EmbeddedKafka(tmp_path), EmbeddedKafka(tmp_path)]
    threads = [threading.Thread(target=kafka.start) for kafka in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert sorted(kafka.owned for kafka in both) == [False, True]
        assert both[0].process == both[1].process
        assert both[0].process.is_running()  # the thread that started it has ended
    finally:
        for kafka in both:
            kafka.stop()


def sleeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers that do nothing, and that everybody takes for serving."""
    monkeypatch.setattr(EmbeddedKafka, "_java", lambda *_: ["/bin/sleep", "600"])
    monkeypatch.setattr(module, "serves", lambda _: True)


def test_who_needs_a_broker_that_lasts_builds_on_none_that_ends_with_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping(monkeypatch)
    monkeypatch.setattr(module, "BRIEF_SECONDS_MAX", 0)
    brief = EmbeddedKafka(tmp_path, brief=True).start()
    with EmbeddedKafka(tmp_path) as lasting:
        assert lasting.owned
        assert lasting.address == brief.address, "its clients find the other one in its place"
        assert not brief.process.is_running()
        brief.stop()
        assert lasting.process.is_running()
        with EmbeddedKafka(tmp_path, brief=True) as found:
            assert found.process == lasting.process, "who stopped did not forget it"


def test_a_brief_broker_may_serve_to_its_end_before_one_that_lasts_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping(monkeypatch)
    brief = EmbeddedKafka(tmp_path, brief=True).start()
    ended_by_its_owner: list[bool] = []

    def end(_: float) -> None:
        ended_by_its_owner.append(brief.process.is_running())
        brief.stop()

    monkeypatch.setattr(module.time, "sleep", end)
    with EmbeddedKafka(tmp_path) as lasting:
        assert lasting.owned
    assert ended_by_its_owner == [True]


def test_after_its_owner_was_killed_a_new_one_starts_at_once(tmp_path: Path) -> None:
    owner, _ = start_owner(tmp_path)
    with owner:
        owner.kill()
    with EmbeddedKafka(tmp_path) as kafka:
        assert kafka.owned


def test_a_number_that_now_belongs_to_a_stranger_is_not_taken_for_the_broker(
    tmp_path: Path,
) -> None:
    own = ProcessId.own()
    stranger = ProcessId(own.pid, own.started - 1, own.boot)
    state = State(*module.free_ports(), broker=stranger, owner=stranger)
    (tmp_path / "broker.json").write_bytes(msgspec.json.encode(state))
    with EmbeddedKafka(tmp_path) as kafka:
        assert kafka.owned
        assert kafka.process.pid != own.pid


def test_other_ports_are_chosen_where_somebody_else_listens(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        state = State(taken, module.free_ports()[0])
        (tmp_path / "broker.json").write_bytes(msgspec.json.encode(state))
        with EmbeddedKafka(tmp_path) as kafka:
            assert kafka.address != f"127.0.0.1:{taken}"


def test_a_port_taken_at_the_last_moment_is_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        chosen = [(other.getsockname()[1], module.free_ports()[0]), module.free_ports()]
        monkeypatch.setattr(module, "free_ports", lambda: chosen.pop(0))
        with EmbeddedKafka(tmp_path) as kafka:
            assert kafka.owned
    assert chosen == []


def test_a_broker_that_cannot_start_says_why_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path):
        pass
    (tmp_path / "log" / "meta.properties").write_text("version=1\ncluster.id=other\nnode.id=2\n")
    with pytest.raises(BrokerFailed, match=r"(?s)ended at its start.*Stored node id 2"):
        EmbeddedKafka(tmp_path).start()
    state = msgspec.json.decode((tmp_path / "broker.json").read_bytes(), type=State)
    assert state.broker is None or not state.broker.is_running()


def test_data_of_a_newer_broker_are_named_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with the words of 4.2.2 on a folder of 4.3.1."""
    words = "UnsupportedVersionException: Can't read version 4 of BrokerEndpoint"
    newer = ["/bin/sh", "-c", f'echo "{words}"; exit 1']
    monkeypatch.setattr(EmbeddedKafka, "_java", lambda *_: newer)
    with pytest.raises(BrokerFailed, match=r"(?s)a newer Apache Kafka than 4\.2\.2 .*Endpoint$"):
        EmbeddedKafka(tmp_path).start()
