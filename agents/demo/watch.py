"""The demo's progress: a bar in a terminal, a line now and then elsewhere; to standard error."""

import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from schemas.values import Instant
from streams.instants import to_timestamp

SECONDS_BETWEEN_LINES = 5.0


class Watch:
    """Call it with what is being done, how far the log is made, how far the live path has come."""

    def __init__(self, since: Instant, until: Instant) -> None:
        self._since, self._until = since, until
        self._console = Console(stderr=True)
        self._said_at = 0.0
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=self._console, transient=True)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, doing: str, made: Instant, live: Instant) -> None:
        said = f"{doing}: log made to {to_timestamp(made)[:10]}, live to {to_timestamp(live)[:10]}"
        if self._bar is not None:
            if self._task is None:
                self._task = self._bar.add_task(said, total=self._until - self._since)
            self._bar.update(self._task, description=said, completed=live - self._since)
        elif time.monotonic() - self._said_at >= SECONDS_BETWEEN_LINES:
            self._said_at = time.monotonic()
            self._console.print(said, highlight=False)
