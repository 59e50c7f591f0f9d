"""docs/five-minutes.md: exactly its commands, and each prints what the page says."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.live.page import Shown, commands_of
from tests.integration.live.running import (
    CHECKOUT,
    DEADLINE_SECONDS,
    STOP_SECONDS_MAX,
    Terminal,
    end_up,
    environ_of,
    ran,
    terminal,
    until,
    up_on,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

PAGE = CHECKOUT / "docs" / "five-minutes.md"
GO_ON = ("make up", ".venv/bin/tillstream events tail")
"""What a person ends by Ctrl-C."""


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder; whatever runs on it ends with the test."""
    folder = tmp_path / "data"
    try:
        yield folder
    finally:
        end_up(folder)


def test_a_new_user_gets_what_the_page_promises(data: Path, tmp_path: Path) -> None:
    shown = commands_of(PAGE)
    environ = environ_of(data)
    assert [one.command.strip() for one in shown[:1]] == ["make up"]
    with ExitStack() as stack:
        opened: list[Terminal] = []
        for number, one in enumerate(shown):
            if not one.command.startswith(GO_ON):
                printed_in_the_end(one, environ)
                continue
            log = tmp_path / f"terminal-{number}.log"
            opened.append(stack.enter_context(terminal(one.command.strip(), environ, log)))
            printed_meanwhile(one, opened[-1])
        makes, *tails = opened
        assert [tail.interrupt() for tail in tails] == [0] * len(tails)
        up = up_on(data)
        assert up is not None
        up.send(signal.SIGINT)
        assert makes.popen.wait(STOP_SECONDS_MAX) == 0, makes.output()
        assert not up.is_running()
        assert "stopped; the data are kept" in makes.output()


def printed_in_the_end(one: Shown, environ: Mapping[str, str]) -> None:
    """Run it, again until what it tells has come so far."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        code, output = ran(one.command, environ)
        missing = one.missing(output)
        if code == 0 and missing is None:
            return
        until(deadline, f"{one.command}\nprinted (exit code {code}):\n{output}\nnot: {missing}")


def printed_meanwhile(one: Shown, opened: Terminal) -> None:
    """Wait until it has printed what the page shows."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (missing := one.missing(opened.output())) is not None:
        assert not opened.ended(), f"{one.command} ended:\n{opened.output()}"
        until(deadline, f"{one.command} printed:\n{opened.output()}\nnot: {missing}")
