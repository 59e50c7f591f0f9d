"""Reads records of `store-events` as the tests of this station want them."""

from typing import Any

from schemas.events import Event, RejectedEvent
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.read import read
from streams.ingest.settings import IngestSettings

IDS = Ids(REPLAY_SECRET)
RECEIVED_AT = 1_763_805_600_000  # 2025-11-22T10:00:00Z


def take(
    value: bytes | None, *, received_at: int = RECEIVED_AT, **settings: Any
) -> Event | RejectedEvent:
    said = read(value, (), received_at=received_at, settings=IngestSettings(**settings), ids=IDS)
    assert isinstance(said, Event | RejectedEvent)
    return said


def accepted(value: bytes, *, received_at: int = RECEIVED_AT, **settings: Any) -> Event:
    said = take(value, received_at=received_at, **settings)
    assert isinstance(said, Event), said
    return said


def rejected(value: bytes | None) -> tuple[str, str | int | None]:
    """The reason, and the field or the position."""
    said = take(value)
    assert isinstance(said, RejectedEvent), said
    assert said.detail
    return said.reason, said.field or said.position


def with_(part: str, profile: str = '"email":"ann@example.com"') -> bytes:
    """A good event with `part` added: text that may be any bytes, by surrogate escapes."""
    text = f'{{"metric":"Placed Order","profile":{{{profile}}},{part}}}'
    return text.encode(errors="surrogateescape")
