"""Commands that look, where there is nothing to be seen."""

from pathlib import Path

import pytest

from agents.cli.main import main


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "dead-letters list",
        "dead-letters redrive --all",
        "explain s1",
        "flow preview welcome",
        "segment history vip",
        "identity explain ann@example.com",
    ],
)
def test_a_command_that_looks_where_nothing_has_run_says_so_and_starts_no_broker(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TILLSTREAM_DATA", str(tmp_path))

    assert main(command.split()) == 2

    assert f"nothing has run below {tmp_path} yet" in capsys.readouterr().err
    assert not (tmp_path / "kafka").exists()


def test_who_interrupts_a_command_while_it_is_being_imported_sees_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agents.cli.main.importlib.import_module", interrupted)
    assert main(["status"]) == 130


def test_a_folder_that_can_hold_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TILLSTREAM_DATA", str(tmp_path / "file"))
    assert main(["up"]) == 2
    assert capsys.readouterr().err == f"tillstream: {tmp_path}/file/live: Not a directory\n"


def test_an_event_without_an_id_is_not_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["events", "find", ""])
    assert "no event has an empty id" in capsys.readouterr().err
