"""A split whose command was killed has its history told by `up`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from msgspec.structs import replace

from agents.live import splitting
from agents.live.splitting import AGAIN, COMMANDS_OWN, LOOKED_BACK, Tried, tell_what_is_due
from agents.migrations import migrate
from agents.settings import Settings
from schemas.outputs import ProfileSplit
from schemas.topics import IDENTITY_SPLITS
from streams.instants import to_instant
from tests.agents.test_redaction import come_in, sink, split

SETTINGS = Settings(data=Path("unused"), kafka=("localhost:1",), secret="x" * 16, partitions=1)
MADE_AT = to_instant(split().decided_at)


class Pipeline:
    """What the timeline knows of splits, and which of them await their history."""

    def __init__(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        self.client, self.awaiting, self.tried = client, {"s1"}, Tried()
        self.told: list[ProfileSplit] = []
        self.looked_at: list[str] = []
        self.said: list[str] = []
        self.failing: set[str] = set()
        self.takes_in = True
        for answer in (self.awaits_history, self.tell_history):
            monkeypatch.setattr(splitting, answer.__name__, answer)
        monkeypatch.setattr(splitting, "open_client", lambda _: client)
        monkeypatch.setattr(client, "close", lambda: None)

    async def awaits_history(self, _: Any, done: ProfileSplit) -> bool:
        self.looked_at.append(done.split)
        return done.split in self.awaiting

    async def tell_history(self, _settings: Any, _client: Any, done: ProfileSplit) -> bool:
        if done.split in self.failing:
            raise TimeoutError
        self.told.append(done)
        if self.takes_in:
            self.awaiting.discard(done.split)
        return self.takes_in

    async def look(self, at: int) -> int:
        return await tell_what_is_due(SETTINGS, at, self.tried, self.said.append)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with clickhouse_connect.get_client(dsn="chdb://memory") as client:
        migrate(client)
        refused = replace(split(), id="p2", split="s2", outcome="busy")
        come_in(sink(client), IDENTITY_SPLITS.name, split(), refused)
        yield Pipeline(client, monkeypatch)


async def test_the_history_of_a_split_without_a_command_is_told_once(pipeline: Pipeline) -> None:
    assert await pipeline.look(MADE_AT + COMMANDS_OWN) == 1
    assert pipeline.told == [replace(split(), id="")]
    assert await pipeline.look(MADE_AT + COMMANDS_OWN) == 0
    assert await pipeline.look(MADE_AT + COMMANDS_OWN) == 0
    assert pipeline.looked_at == ["s1", "s1"], "whoever has a history is not looked at again"


@pytest.mark.parametrize("after", [0, COMMANDS_OWN - 1, LOOKED_BACK + 1])
async def test_a_split_is_its_commands_first_and_is_not_sought_for_ever(
    pipeline: Pipeline, after: int
) -> None:
    assert await pipeline.look(MADE_AT + after) == 0
    assert pipeline.looked_at == []


async def test_a_split_that_cannot_be_told_holds_up_no_other(pipeline: Pipeline) -> None:
    come_in(sink(pipeline.client), IDENTITY_SPLITS.name, replace(split(), id="p3", split="s3"))
    pipeline.awaiting, pipeline.failing = {"s1", "s3"}, {"s1"}
    now = MADE_AT + COMMANDS_OWN
    assert await pipeline.look(now) == 1
    assert [one.split for one in pipeline.told] == ["s3"]
    assert await pipeline.look(now + AGAIN) == 0
    assert len([said for said in pipeline.said if "TimeoutError" in said]) == 1
    pipeline.failing = set()
    assert await pipeline.look(now + 3 * AGAIN - 1) == 0, "twice as long after the second try"
    assert await pipeline.look(now + 3 * AGAIN) == 1


async def test_a_history_that_nobody_takes_in_is_not_told_with_every_look(
    pipeline: Pipeline,
) -> None:
    pipeline.takes_in = False
    now = MADE_AT + COMMANDS_OWN
    looks = [now, now + AGAIN - 1, now + AGAIN, now + 2 * AGAIN, now + 3 * AGAIN]
    assert [await pipeline.look(at) for at in looks] == [0] * 5, "told is not taken in"
    assert len(pipeline.told) == 3
    pipeline.awaiting.clear()
    assert await pipeline.look(now + 7 * AGAIN) == 0
    assert pipeline.tried.whole == {"s1"}
