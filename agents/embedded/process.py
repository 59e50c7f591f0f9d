"""Processes of ours: started on a leash, recognised again, ended by their own id.

A process id alone is not an identity: numbers are used again. `ProcessId` adds the instant of the
start and the boot, so that a stranger who got the number is never taken for ours, nor ended.
"""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Self

import msgspec

LEASH = Path(__file__).with_name("leash.py")
SECONDS_TO_DIE = 5.0


class ProcessId(msgspec.Struct, frozen=True):
    """One process for good. started: clock ticks since the boot."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Return the identity of the process that has this number now; None: there is none.

        A zombie has ended and is none either.
        """
        try:
            status = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        state, *numbers = status.rpartition(")")[2].split()  # the name before may hold anything
        if state in {"Z", "X"}:
            return None
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return cls(pid, int(numbers[18]), boot)

    @classmethod
    def own(cls) -> Self:
        """Return the identity of this process."""
        found = cls.of(os.getpid())
        assert found is not None
        return found

    def is_running(self) -> bool:
        """Say whether this very process has not ended yet."""
        return ProcessId.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        handle = self._handle()
        if handle is not None:
            with os.fdopen(handle):
                _signal(handle, number)

    def end(self, *, patience_s: float) -> None:
        """Ask it to end; insist after `patience_s`. Return when it is gone."""
        handle = self._handle()
        if handle is None:
            return
        with os.fdopen(handle):
            _signal(handle, signal.SIGTERM)
            if not _gone(handle, patience_s):
                _signal(handle, signal.SIGKILL)
                assert _gone(handle, SECONDS_TO_DIE), f"process {self.pid} survives SIGKILL"

    def _handle(self) -> int | None:
        """Open a file descriptor that stands for this very process, or None if it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if self.is_running():  # asked after opening: the descriptor is that of the one we mean
            return handle
        os.close(handle)
        return None


def _signal(handle: int, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return


def _gone(handle: int, timeout_s: float) -> bool:
    """Wait until the process behind `handle` has ended; say whether it has."""
    poll = select.poll()  # `select` knows the first 1,024 descriptors of a process only
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


class Child:
    """A process that ends with us: by `stop`, and by the kernel if we go without calling it.

    The kernel counts the *thread* that started a child as its parent. So each child has a thread of
    its own that starts it and waits for it; starting one from a short-lived thread is safe.
    It has a session of its own: Ctrl-C reaches us only, and we end it in our order.
    """

    def __init__(self, program: Sequence[str], *, log: Path, environ: Mapping[str, str]) -> None:
        """Start `program` (its first part an absolute path); what it says is appended to `log`.

        Raises: OSError, where it cannot be started.
        """
        started: Future[subprocess.Popen[bytes]] = Future()
        self._keeper = threading.Thread(
            target=_keep, args=(started, list(program), log, dict(environ)), daemon=True
        )
        self._keeper.start()
        self._popen = started.result()
        self.id = ProcessId.of(self._popen.pid)

    def wait(self, timeout_s: float) -> int | None:
        """Wait until it has ended; return its exit code, or None after `timeout_s`."""
        self._keeper.join(timeout_s)
        return None if self._keeper.is_alive() else self._popen.returncode

    def stop(self, *, patience_s: float) -> int:
        """Ask it to end, insist after `patience_s`; return its exit code."""
        if self.id is not None:
            self.id.end(patience_s=patience_s)
        code = self.wait(SECONDS_TO_DIE)
        assert code is not None
        return code


def _keep(
    started: "Future[subprocess.Popen[bytes]]",
    program: list[str],
    log: Path,
    environ: dict[str, str],
) -> None:
    """Start `program` from this thread, which must not end before it."""
    leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid())]
    try:
        with log.open("ab") as output:
            popen = subprocess.Popen(
                [*leash, *program],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environ,
                start_new_session=True,
            )
    except OSError as failure:
        started.set_exception(failure)
        return
    started.set_result(popen)
    popen.wait()


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log for an error message, indented."""
    text = log.read_text(errors="replace") if log.exists() else ""
    last = text.splitlines()[-lines:] or ["(nothing was written)"]
    return "\n".join(f"    {line}" for line in last)
