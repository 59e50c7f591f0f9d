"""A reader whose fetch waits to be tried again, as aiokafka leaves it when the broker is away."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from agents.reader import Reader


class Client:
    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """Of a reader that stumbles while it stops."""

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
