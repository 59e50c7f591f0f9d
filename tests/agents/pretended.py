"""A pipeline that a command finds: it answers what the test says."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import Any

import pytest


@asynccontextmanager
async def _reached(settings: Any, *_: Any) -> AsyncIterator[Any]:
    yield settings


@contextmanager
def _database(_: Any) -> Iterator[None]:
    yield None


def pretend(
    monkeypatch: pytest.MonkeyPatch, command: ModuleType, *answers: Callable[..., Any]
) -> None:
    """Answer in the place of what the command asks, by the names of the answers."""
    for answer in answers:
        monkeypatch.setattr(command, answer.__name__, answer)
    monkeypatch.setattr(command, "reached", _reached)
    monkeypatch.setattr(command, "database", _database)
