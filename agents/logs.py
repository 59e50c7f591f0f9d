"""Logs: one structured line per unit of work, to standard error; ids but no personal data."""

import json
import logging
import sys
from typing import Any


class Log:
    """`log.info("claimed", stage="profile", partition=3)` -> one line of JSON."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def info(self, said: str, **facts: Any) -> None:
        self._say(logging.INFO, said, facts)

    def warning(self, said: str, **facts: Any) -> None:
        self._say(logging.WARNING, said, facts)

    def error(self, said: str, **facts: Any) -> None:
        self._say(logging.ERROR, said, facts)

    def _say(self, level: int, said: str, facts: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", json.dumps({"said": said} | facts, default=str))


log = Log("tillstream")


def told(error: BaseException) -> str:
    """An error in one line: what it is and what it says. Errors of aiokafka name themselves."""
    kind, said = type(error).__name__, str(error).partition("\n")[0]
    if kind in said:
        return said
    return f"{kind}: {said}" if said else kind


class _LibrariesSeldom(logging.Filter):
    """Lets a warning of a library through once in a hundred times: an outage repeats it."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("tillstream"):
            return True
        if record.levelno < logging.WARNING:
            return False
        said = str(record.msg)
        self._counts[said] = self._counts.get(said, -1) + 1
        return self._counts[said] % 100 == 0


def configure(level: str, *, libraries: bool = True) -> None:
    """Set up logging for this process.

    libraries: hear their warnings, seldom; else not at all (commands that a person watches).
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    if libraries:
        handler.addFilter(_LibrariesSeldom())
    else:  # by the handler: a library that sets its own logger's level would be heard
        handler.addFilter(logging.Filter("tillstream"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING if libraries else logging.CRITICAL)
    logging.getLogger("tillstream").setLevel(level.upper())
