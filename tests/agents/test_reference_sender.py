"""The loop of the reference sender, without a broker."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.sender.reference import ReferenceSender
from agents.sender.smtp import PutOff
from agents.settings import Settings
from tests.agents.test_sender import Postbox, command, judged, struck


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


async def test_what_was_put_off_is_tried_again_also_where_no_other_command_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.sender.desk.AGAIN_SECONDS", 0.0)
    postbox = Postbox(PutOff("smtp 450"), PutOff("smtp 450"))
    settings = Settings(
        data=tmp_path, partitions=1, secret="sixteen characters", kafka=("nowhere:9092",)
    )
    sender = ReferenceSender(settings, tmp_path / "ledger.sqlite", {"email": postbox})
    sender._last_look.hear(struck("2012-01-01T00:00:00.000Z"))
    sender._commands = NoCommands(sender.stop)
    await sender._desk.settle(judged(command()))
    await sender._deliver()
    assert postbox.delivered == ["s1"]
    sender._ledger.close()
