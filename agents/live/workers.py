"""Worker processes under care: one that ends is started again, later each time it fails at once.

A worker started while the broker is away ends by itself, so this is what brings it back. One that
refuses (agents/station.py) would refuse again: that ends the whole pipeline with its words.
"""

import asyncio
import sys
import time
from pathlib import Path

from agents.embedded.process import Child, tail
from agents.live.kept import Say
from agents.settings import Settings
from agents.station import EXIT_REFUSED

EXIT_SETTINGS = 2
POLL_SECONDS = 0.2
STOP_SECONDS_MAX = 20
BACKOFF_SECONDS = 1.0
BACKOFF_SECONDS_MAX = 30.0
SECONDS_UNTIL_SOUND = 60.0
"""Who ran so long did not fail at once: the next start comes soon again."""
LOG_BYTES_MAX = 20 << 20
LAST_WORDS = 5


class WorkerRefused(Exception):
    """A worker must not work as things are; the message holds its last words."""


class Worker:
    """One place for a worker process. `keep` until cancelled or `stop`."""

    def __init__(self, number: int, settings: Settings, folder: Path, say: Say) -> None:
        """folder: of its log."""
        self.log = folder / f"worker-{number}.log"
        self._number, self._settings, self._say = number, settings, say
        self._child: Child | None = None
        self._stopping = asyncio.Event()

    async def keep(self) -> None:
        """Have a worker run until `stop`.

        Raises: WorkerRefused.
        """
        backoff = BACKOFF_SECONDS
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._run()
            if self._stopping.is_set():
                return
            if code in {EXIT_REFUSED, EXIT_SETTINGS}:
                raise WorkerRefused(
                    f"worker {self._number} refuses to work:\n{tail(self.log, LAST_WORDS)}"
                )
            if time.monotonic() - began > SECONDS_UNTIL_SOUND:
                backoff = BACKOFF_SECONDS
            self._say(
                f"worker {self._number} ended (exit code {code}); another starts in "
                f"{backoff:.0f} s. Its last words are in {self.log}"
            )
            await self._pause(backoff)
            backoff = min(2 * backoff, BACKOFF_SECONDS_MAX)

    async def stop(self) -> None:
        """End the process after its running transactions; return when it is gone."""
        self._stopping.set()
        if self._child is not None:
            await asyncio.to_thread(self._child.stop, patience_s=STOP_SECONDS_MAX)

    async def _run(self) -> int:
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".log.1"))
        program = [sys.executable, "-m", "agents.worker"]
        child = self._child = Child(program, log=self.log, environ=self._settings.environ())
        while True:
            code = child.wait(0)
            if code is not None:
                return code
            await asyncio.sleep(POLL_SECONDS)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
