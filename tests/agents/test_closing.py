"""A producer that finds no broker is closed all the same: else it is told of as unclosed, and its
connections stay, once for each try of an outage.
"""

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from agents import identity_log, switches, ticker, transactions
from agents.settings import Settings
from agents.ticker import Ticker
from agents.transactions import KafkaTransactions, sole_producer

SETTINGS = Settings(data=Path("/"), secret="sixteen characters", kafka=("nowhere:9092",))


class Nowhere:
    """A producer whose broker is away. made: those there are."""

    made: list["Nowhere"]

    def __init__(self, **_: Any) -> None:
        self.closed = False
        self.made.append(self)

    async def start(self) -> None:
        raise KafkaConnectionError("nobody there")

    async def stop(self) -> None:
        self.closed = True


async def erased() -> None:
    await identity_log.append(SETTINGS, "main/email/a@example.com", b"{}", [])


async def ticked() -> None:
    await Ticker(SETTINGS, lambda: True)._tick_on()


async def claimed_alone() -> None:
    async with sole_producer(SETTINGS, "backfill", timeout_ms=1_000):
        pass


async def switched() -> None:
    def numbered(_: int) -> Any:
        raise AssertionError("nothing is numbered before the one before is fenced")

    await switches.publish(SETTINGS, "main", numbered)


async def unasked(_: Iterable[TopicPartition], *, committed: bool = False) -> Any:
    raise AssertionError(f"no producer was claimed, committed={committed}")


async def claimed() -> None:
    stage = KafkaTransactions(
        "profile",
        {},
        name_of={},
        rows_topic="rows",
        ends_of=unasked,
        make_producer=Nowhere,
    )
    await stage.claim([0, 1])


@pytest.mark.parametrize("work", [erased, ticked, switched, claimed, claimed_alone])
async def test_a_producer_that_finds_no_broker_is_closed(
    work: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Nowhere, "made", [], raising=False)
    for module in (identity_log, ticker, transactions):
        monkeypatch.setattr(module, "AIOKafkaProducer", Nowhere)
    with pytest.raises(KafkaConnectionError):
        await work()
    assert Nowhere.made
    assert all(one.closed for one in Nowhere.made)
