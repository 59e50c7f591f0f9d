"""A reader, and the sink that reads with it, stopped while the broker is away or says nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from agents import reader as reading
from agents import timeline
from agents.admin import admin_of
from agents.catalog import CatalogWatcher
from agents.dead_letters import set_aside
from agents.identity_log import answers
from agents.live.tailing import Tail
from agents.reader import Reader, reader_of
from agents.settings import Settings
from agents.timeline import TimelineSink
from agents.topics import ends_of, places_of
from schemas.topics import SEND_COMMANDS


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


async def read_topics(settings: Settings) -> None:
    async with reader_of(settings):
        pass


async def administer(settings: Settings) -> None:
    async with admin_of(settings):
        pass


async def tail(settings: Settings) -> None:
    following = Tail(settings, SEND_COMMANDS, from_beginning=True, clocks=False)
    async for _ in following.records(asyncio.Event()):
        pass


async def list_what_was_set_aside(settings: Settings) -> None:
    async for _ in set_aside(settings):
        pass


async def ask_where_partitions_end(settings: Settings) -> None:
    await ends_of(settings, places_of(settings, SEND_COMMANDS))


async def wait_for_an_answer(settings: Settings) -> None:
    async with answers(settings, SEND_COMMANDS, bytes):
        pass


async def watch_the_catalog(settings: Settings) -> None:
    database: Any = None  # nothing is asked of it
    await CatalogWatcher(settings, database).run()


@pytest.mark.parametrize(
    "use",
    [
        read_topics,
        administer,
        tail,
        list_what_was_set_aside,
        ask_where_partitions_end,
        wait_for_an_answer,
        watch_the_catalog,
    ],
)
async def test_a_client_that_does_not_start_is_closed(
    use: Callable[[Settings], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[AIOKafkaClient] = []
    closed: list[AIOKafkaClient] = []
    bootstrap, close = AIOKafkaClient.bootstrap, AIOKafkaClient.close

    async def note_and_bootstrap(client: AIOKafkaClient) -> None:
        opened.append(client)
        await bootstrap(client)

    async def note_and_close(client: AIOKafkaClient) -> None:
        closed.append(client)
        await close(client)

    monkeypatch.setattr(AIOKafkaClient, "bootstrap", note_and_bootstrap)
    monkeypatch.setattr(AIOKafkaClient, "close", note_and_close)
    settings = Settings(data=Path("unused"), kafka=("localhost:1",), secret="x" * 16, partitions=1)
    with pytest.raises(KafkaConnectionError):
        await use(settings)
    assert opened
    assert closed == opened


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
