"""Commands as a person types them: in a shell, in the checkout, with a data folder of their own."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from agents.embedded.process import ProcessId
from agents.live.place import Running

CHECKOUT = Path(__file__).parents[3]
DEADLINE_SECONDS = 90.0
STOP_SECONDS_MAX = 60.0
ASK_SECONDS = 0.2


def environ_of(data: Path, **settings: str) -> dict[str, str]:
    """Our environment, without settings of ours, with a data folder and these settings."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("TILLSTREAM_")}
    return {**own, "TILLSTREAM_DATA": str(data), **settings}


def ran(command: str, environ: Mapping[str, str]) -> tuple[int, str]:
    """Run a command to its end. Returns: its exit code and all that it printed."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=CHECKOUT,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout


class Terminal:
    """A command that goes on; what it prints is in a file."""

    def __init__(self, command: str, environ: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=CHECKOUT,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.id = ProcessId.of(self.popen.pid)

    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def ended(self) -> bool:
        return self.popen.poll() is not None

    def interrupt(self) -> int:
        """Ctrl-C. Returns: the exit code."""
        if self.id is not None:
            self.id.send(signal.SIGINT)
        return self.popen.wait(STOP_SECONDS_MAX)

    def end_for_certain(self) -> None:
        if self.id is not None:
            self.id.end(patience_s=STOP_SECONDS_MAX)
        self.popen.wait(STOP_SECONDS_MAX)


@contextmanager
def terminal(command: str, environ: Mapping[str, str], log: Path) -> Iterator[Terminal]:
    """A command that goes on, ended with the block at the latest."""
    opened = Terminal(command, environ, log)
    try:
        yield opened
    finally:
        opened.end_for_certain()


def up_on(data: Path) -> ProcessId | None:
    """The process of the `up` that runs on a data folder."""
    try:
        state = msgspec.json.decode((data / "live" / "up.json").read_bytes(), type=Running)
    except FileNotFoundError:
        return None
    return state.owner if state.owner.is_running() else None


def end_up(data: Path) -> None:
    """End the `up` of a data folder by its id, if one runs."""
    found = up_on(data)
    if found is not None:
        found.end(patience_s=STOP_SECONDS_MAX)


def children(of: ProcessId) -> dict[str, ProcessId]:
    """What a process started, by what is written in its command line."""
    found = {}
    for task in Path(f"/proc/{of.pid}/task").iterdir():
        for pid in map(int, (task / "children").read_text().split()):
            command = Path(f"/proc/{pid}/cmdline").read_text()
            known = {"worker": "agents.worker", "broker": "kafka.Kafka", "database": "gateway"}
            child = ProcessId.of(pid)
            for name, word in known.items():
                if word in command and child is not None:
                    found[name] = child
    return found


def until(deadline: float, what: str) -> None:
    """Wait a little, or fail because of `what`."""
    assert time.monotonic() < deadline, what
    time.sleep(ASK_SECONDS)
