"""`tillstream identity erase`: it asks first; a split of the person may lack its history yet."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.cli import identity
from agents.cli.main import main
from agents.identity_log import Erasure
from agents.split_log import NotToSplit
from schemas.outputs import ProfileSplit
from schemas.values import Identifier
from tests.agents.pretended import pretend
from tests.agents.test_redaction import erased, split

BOB: Identifier = ("email", "bob@example.com")


class Pipeline:
    """A pipeline in which the split `s1` awaits its history."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.is_told, self.comes_in_time = True, True
        pretend(
            monkeypatch,
            identity,
            self.unfinished,
            self.made,
            self.tell_history,
            self.erase,
            self.identifier_meant,
        )

    async def identifier_meant(self, *_: Any) -> Identifier:
        return BOB

    async def unfinished(self, *_: Any) -> str | None:
        return None if "told" in self.done and self.comes_in_time else "s1"

    async def made(self, *_: Any) -> ProfileSplit:
        if not self.is_told:
            raise NotToSplit("the split s1 is not in the timeline yet: try again in a moment")
        return split()

    async def tell_history(self, *_: Any) -> bool:
        self.done.append("told")
        return self.comes_in_time

    async def erase(self, *_: Any) -> Erasure:
        self.done.append("erased")
        return Erasure(erased("i5"), [BOB], [])


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pipeline:
    monkeypatch.setenv("TILLSTREAM_DATA", str(tmp_path))
    return Pipeline(monkeypatch)


@pytest.mark.parametrize("comes_in_time", [True, False])
def test_the_history_of_a_split_is_told_before_the_person_is_erased(
    pipeline: Pipeline, comes_in_time: bool
) -> None:
    pipeline.comes_in_time = comes_in_time
    assert main(["identity", "erase", "--yes", BOB[1]]) == 0
    assert pipeline.done == ["told", "erased"]


def test_where_the_history_cannot_be_told_nobody_is_erased_and_it_is_said(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.is_told = False
    assert main(["identity", "erase", "--yes", BOB[1]]) == 2
    assert pipeline.done == []
    assert "not in the timeline yet" in capsys.readouterr().err


@pytest.mark.parametrize(("typed", "code", "done"), [("erase", 0, ["told", "erased"]), ("", 1, [])])
def test_it_asks_first(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, done: list[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(f"{typed}\n"))
    assert main(["identity", "erase", BOB[1]]) == code
    assert pipeline.done == done


def test_where_nobody_can_answer_nobody_is_erased(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("erase\n"))
    assert main(["identity", "erase", BOB[1]]) == 2
    assert pipeline.done == []
    assert "say --yes" in capsys.readouterr().err
