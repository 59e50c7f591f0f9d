"""A reader, and the sink that reads with it, stopped while the broker is away or says nothing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from agents import reader as reading
from agents import timeline
from agents.reader import Reader, reader_of
from agents.settings import Settings
from agents.timeline import TimelineSink


class Client:
    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """Of a reader that stumbles while it stops: its fetch waits to be tried again."""

    async def stumble(_: AIOKafkaConsumer) -> None:
        fetch = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        fetch.cancel()
        await fetch

    monkeypatch.setattr(AIOKafkaConsumer, "stop", stumble)
    return Client()


def reader_with(client: Client) -> Any:
    reader: Any = object.__new__(Reader)
    reader._client, reader._closed = client, True
    return reader


async def test_whoever_stops_a_reader_goes_on(client: Client) -> None:
    await reader_with(client).stop()
    assert client.closed


async def test_whoever_is_cancelled_meanwhile_stays_cancelled(client: Client) -> None:
    stopping = asyncio.create_task(reader_with(client).stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert client.closed


async def test_a_broker_that_does_not_answer_holds_no_reader_up(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait_for_an_answer(_: AIOKafkaConsumer) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(AIOKafkaConsumer, "stop", wait_for_an_answer)
    monkeypatch.setattr(reading, "STOP_SECONDS_MAX", 0.01)
    async with asyncio.timeout(5):
        await reader_with(client).stop()
    assert client.closed


class Away(Reader):
    """To a broker that answers no commit."""

    def __init__(self, **_: Any) -> None:
        self._closed = True

    def assign(self, partitions: Any) -> None:
        self.partitions = partitions

    async def start(self) -> None:
        """Begin."""

    async def stop(self) -> None:
        """End."""

    async def getmany(self, *_: Any, **__: Any) -> dict[Any, Any]:
        await asyncio.sleep(0)
        return {}

    async def commit(self, offsets: Any = None) -> None:  # noqa: ARG002
        await asyncio.Event().wait()


async def test_a_reader_that_does_not_start_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[AIOKafkaClient] = []
    close = AIOKafkaClient.close

    async def note_and_close(client: AIOKafkaClient) -> None:
        closed.append(client)
        await close(client)

    monkeypatch.setattr(AIOKafkaClient, "close", note_and_close)
    with pytest.raises(KafkaConnectionError):
        async with reader_of(Settings(data=Path("unused"), kafka=("localhost:1",)), []):
            pass
    assert closed


@pytest.mark.parametrize("is_due", [True, False])
async def test_a_sink_ends_though_the_broker_answers_no_commit(
    is_due: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def begin(_: TimelineSink) -> bool:
        return True

    monkeypatch.setattr(timeline, "Reader", Away)
    monkeypatch.setattr(TimelineSink, "_begin", begin)
    monkeypatch.setattr(TimelineSink, "_due", lambda _: is_due)
    monkeypatch.setattr(reading, "LAST_COMMIT_SECONDS_MAX", 0.01)
    database: Any = None  # nothing is asked of it
    sink = TimelineSink(Settings(data=tmp_path, kafka=("nowhere:9092",)), database)
    running = asyncio.create_task(sink.run())
    await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        await sink.stop()
        await running


async def test_what_a_broker_says_of_a_commit_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []

    async def commit(_: Reader, offsets: Any) -> None:
        said.append(offsets)
        if not offsets:
            raise KafkaError("no")

    monkeypatch.setattr(Away, "commit", commit)
    stopping = asyncio.Event()
    assert await Away().commit_unless(stopping, {"place": (1, "")})
    with pytest.raises(KafkaError, match="no"):
        await Away().commit_unless(stopping, {})
    assert said == [{"place": (1, "")}, {}]
