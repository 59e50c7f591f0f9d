"""What runs on a data folder: a lock for as long as `up` runs, and a file that says where.

In: the settings. Out: `<data>/live/up.json`, which other commands read: the embedded database has
one owner, so they talk to it through the gateway of the `up` that runs.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from agents.embedded.process import ProcessId
from agents.settings import Settings


class AlreadyUp(Exception):
    """Another `up` runs on this data folder; the message says which."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """The `up` that runs. kafka: where the broker listens. database: None: the settings name it."""

    owner: ProcessId
    namespace: str
    kafka: tuple[str, ...]
    database: str | None = None
    workers: int = 1


def live_folder(settings: Settings) -> Path:
    """Where `up` keeps its logs and its state."""
    return settings.data / "live"


def running(settings: Settings) -> Running | None:
    """The `up` that runs on the data folder, if one does."""
    try:
        found = msgspec.json.decode(_file(settings).read_bytes(), type=Running)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return found if found.owner.is_running() else None


def database_address(settings: Settings) -> str | None:
    """Where the embedded database is reached while `up` runs; None: it is not in use by one."""
    found = running(settings) if settings.clickhouse is None else None
    return None if found is None else found.database


def keep(settings: Settings, state: Running) -> None:
    """Write down what runs, whole or not at all."""
    file = _file(settings)
    draft = file.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(state))
    draft.rename(file)


def forget(settings: Settings) -> None:
    """Nothing runs any more."""
    _file(settings).unlink(missing_ok=True)


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the data folder; the lock ends with this process at the latest.

    Raises: AlreadyUp.
    """
    folder = live_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "up.lock").open("a") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyUp(_told(settings)) from None
        yield


def _told(settings: Settings) -> str:
    found = running(settings)
    by = "" if found is None else f" (process {found.owner.pid})"
    return (
        f"`tillstream up` runs on {settings.data} already{by}. End it first (Ctrl-C there), or "
        "take another folder with TILLSTREAM_DATA"
    )


def _file(settings: Settings) -> Path:
    return live_folder(settings) / "up.json"
