"""The loop of the reference sender, without a broker."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from agents.sender.reference import ReferenceSender
from agents.sender.smtp import PutOff, Uncertain, Unreachable
from agents.settings import Settings
from schemas.outputs import SendCommand
from tests.agents.test_sender import Postbox, command, judged, struck

PLACE = TopicPartition("send-commands", 0)
Made = Callable[[Postbox], ReferenceSender]


class NoCommands:
    """A topic that brings nothing; the sender that reads it is ended at the third look."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self.looks, self.stop = 0, stop

    async def getmany(self, **_: Any) -> dict[Any, Any]:
        self.looks += 1
        if self.looks == 3:
            self.stop()
        return {}

    def assignment(self) -> set[Any]:
        return set()


@pytest.fixture
async def sender_of(tmp_path: Path) -> AsyncIterator[Made]:
    """Makes a sender to which nothing comes."""
    senders: list[ReferenceSender] = []
    clients: list[Any] = []
    settings = Settings(
        data=tmp_path, partitions=1, secret="sixteen characters", kafka=("nowhere:9092",)
    )

    def made(postbox: Postbox) -> ReferenceSender:
        sender = ReferenceSender(settings, tmp_path / "ledger.sqlite", {"email": postbox})
        senders.append(sender)
        clients.extend(value for value in vars(sender).values() if hasattr(value, "stop"))
        sender._last_look.hear(struck("2012-01-01T00:00:00.000Z"))
        sender._commands = NoCommands(sender.stop)
        return sender

    yield made
    for client in clients:
        await client.stop()
    for sender in senders:
        sender._ledger.close()


async def test_what_was_put_off_is_tried_again_also_where_no_other_command_comes(
    sender_of: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.sender.desk.AGAIN_SECONDS", 0.0)
    postbox = Postbox(PutOff("smtp 450"), PutOff("smtp 450"))
    sender = sender_of(postbox)
    await sender._desk.settle(judged(command()))
    await sender._deliver()
    assert postbox.delivered == ["s1"]


class Commands(NoCommands):
    """A topic that brings a clock and commands, once."""

    def __init__(self, stop: Callable[[], None], *commands: SendCommand) -> None:
        super().__init__(stop)
        self.commands = commands
        self.committed: list[Any] = []

    async def getmany(self, **_: Any) -> dict[Any, Any]:
        await super().getmany()
        said = (struck("2011-03-01T10:00:00.000Z"), *self.commands)
        records = [
            SimpleNamespace(offset=offset, value=msgspec.json.encode(one))
            for offset, one in enumerate(said, start=6)
        ]
        return {PLACE: records} if self.looks == 1 else {}

    def assignment(self) -> set[Any]:
        return {PLACE}

    def last_stable_offset(self, _: Any) -> int:
        return 0

    async def position(self, _: Any) -> int:
        return 8

    async def commit(self, offsets: Any = None) -> None:
        self.committed.append(offsets)


@pytest.mark.parametrize(
    "failures",
    [[PutOff("smtp 450"), Uncertain("lost")], [Uncertain("lost")]],
    ids=["put off, then uncertain", "uncertain, then put off"],
)
async def test_what_may_have_been_delivered_is_read_again_and_never_planned_anew(
    sender_of: Made, monkeypatch: pytest.MonkeyPatch, failures: list[Exception]
) -> None:
    monkeypatch.setattr("agents.sender.desk.AGAIN_SECONDS", 0.0)
    monkeypatch.setattr("agents.sender.desk.BACKOFF_SECONDS", 0.0)
    postbox = Postbox(*failures, *[PutOff("smtp 450")] * 9)
    sender = sender_of(postbox)
    sender._desk._promise = "at-least-once"
    sender._producer = reports = Reports()
    sender._commands = topic = Commands(sender.stop, command())
    await sender._deliver()
    assert reports.said == []
    assert sender._ledger.states(["s1"]) == {"s1": "taken"}
    assert topic.committed == [None, {PLACE: 7}], "the next run goes on there"
    for failure in (Unreachable("down"), PutOff("smtp 450")):
        postbox.failures = [failure] * 6
        with contextlib.suppress(Unreachable):
            await sender._desk.settle(judged(command()))
        await sender._desk.give_back()
    assert sender._ledger.states(["s1"]) == {"s1": "taken"}, "it stays in doubt"
    assert reports.said == []
    postbox.failures = []
    await sender._desk.settle(judged(command()))
    assert postbox.delivered == ["s1"]


class Reports:
    """Takes what is reported; fails as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.said: list[dict[str, Any]] = []
        self.failures = list(failures)

    async def send_and_wait(self, _: str, value: bytes, **__: Any) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.said.append(msgspec.json.decode(value))


@pytest.mark.parametrize(
    ("failures", "state"), [((), "expired"), ((KafkaConnectionError("away"),), "failed")]
)
async def test_what_is_still_put_off_when_the_sender_ends_is_planned_anew(
    sender_of: Made, failures: tuple[Exception, ...], state: str
) -> None:
    sender = sender_of(Postbox(PutOff("smtp 450")))
    sender._producer = reports = Reports(*failures)
    await sender._desk.settle(judged(command()))
    await sender._deliver()
    assert sender._ledger.states(["s1"]) == {"s1": state}
    assert [said["metric"] for said in reports.said] == ["Send Expired"] * (state == "expired")


async def test_what_is_put_off_is_planned_anew_also_where_the_relay_is_away_for_good(
    sender_of: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.sender.desk.BACKOFF_SECONDS", 0.0)
    sender = sender_of(Postbox(PutOff("smtp 450"), *[Unreachable("down")] * 6))
    sender._producer = reports = Reports()
    sender._commands = Commands(sender.stop, command("s1"), command("s2"))
    with pytest.raises(Unreachable):
        await sender._deliver()
    assert sender._ledger.states(["s1", "s2"]) == {"s1": "expired"}, "s2 stays fresh"
    [report] = reports.said
    assert report["properties"]["send_id"] == "s1"
    assert report["time"] == "2011-03-01T10:00:00.000Z"
