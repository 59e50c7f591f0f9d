"""Commands that look at what is there, where nothing is."""

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
