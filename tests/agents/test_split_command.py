"""`tillstream identity split` where an earlier split has not got its history yet."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.cli import split_identity
from agents.cli.main import main
from agents.split_log import Outlook
from schemas.outputs import ProfileSplit
from schemas.values import Identifier
from tests.agents.pretended import pretend
from tests.agents.test_redaction import split

ANN: Identifier = ("email", "ann@example.com")
BOB: Identifier = ("email", "bob@example.com")


class Pipeline:
    """A pipeline in which the split `s1` of Ann's address awaits its history."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.unfinished: str | None = "s1"
        self.told: list[str] = []
        self.asked: list[tuple[Identifier, ...]] = []
        pretend(
            monkeypatch,
            split_identity,
            self.outlook,
            self.made,
            self.tell_history,
            self.split_off,
            self.identifier_meant,
        )

    async def identifier_meant(self, *asked: Any) -> Identifier:
        return "email", asked[-1]

    async def outlook(self, *asked: Any) -> Outlook:
        return Outlook("i1", (asked[-1],), 1, 2, self.unfinished)

    async def made(self, *_: Any) -> ProfileSplit:
        return split()

    async def tell_history(self, _settings: Any, _client: Any, done: ProfileSplit) -> bool:
        self.told.append(done.split)
        self.unfinished = None
        return True

    async def split_off(
        self, _settings: Any, _store: str, identifiers: tuple[Identifier, ...], **_: str
    ) -> ProfileSplit:
        self.asked.append(identifiers)
        return msgspec.structs.replace(split(), split="s2", identifiers=identifiers)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pipeline:
    monkeypatch.setenv("TILLSTREAM_DATA", str(tmp_path))
    return Pipeline(monkeypatch)


def says(*more: str) -> int:
    return main(["identity", "split", *more, "--reason", "a mistake", "--json"])


def test_the_same_command_again_tells_the_history_and_splits_nothing_more(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says(ANN[1], "--yes") == 0
    assert (pipeline.told, pipeline.asked) == (["s1"], [])
    done = msgspec.json.decode(capsys.readouterr().out)
    assert (done["outcome"], done["split"], done["has_history"]) == ("told-again", "s1", True)


def test_another_identifier_of_the_profile_is_split_after_that(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says(BOB[1], "--yes") == 0
    assert (pipeline.told, pipeline.asked) == (["s1", "s2"], [(BOB,)])
    assert msgspec.json.decode(capsys.readouterr().out)["outcome"] == "split"


def test_a_dry_run_tells_nothing_and_splits_nothing(pipeline: Pipeline) -> None:
    assert says(ANN[1], "--dry-run") == 1
    pipeline.unfinished = None
    assert says(BOB[1], "--dry-run") == 1
    assert (pipeline.told, pipeline.asked) == ([], [])


@pytest.mark.parametrize("reason", ["", " \t"])
def test_a_split_without_a_reason_is_refused(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], reason: str
) -> None:
    pipeline.unfinished = None
    assert main(["identity", "split", BOB[1], "--reason", reason, "--yes"]) == 2
    assert pipeline.asked == []
    assert "--reason" in capsys.readouterr().err


def test_what_is_no_text_is_refused_by_the_name_of_its_option(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["identity", "split", BOB[1], "--reason", "\udcff", "--yes"])
    assert pipeline.asked == []
    assert "reason: '\\udcff' is not valid UTF-8" in capsys.readouterr().err


def test_who_cannot_be_asked_has_to_say_yes(pipeline: Pipeline) -> None:
    pipeline.unfinished = None
    assert says(BOB[1]) == 2
    assert pipeline.asked == []
