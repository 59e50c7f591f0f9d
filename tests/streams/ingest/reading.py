"""Reads records of `store-events` as the tests of this station want them."""

import json
from pathlib import Path
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


PAYLOADS = Path(__file__).with_name("payloads")


def payload(name: str) -> dict[str, Any]:
    """A payload as its author published it (payloads/SOURCES.md)."""
    document: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_bytes())
    return document


def changed(document: dict[str, Any], path: str, to: Any) -> dict[str, Any]:
    """The document with what is at `path` (`data.attributes.time`) replaced, or removed (`...`)."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    *parents, last = path.split(".")
    level = copy
    for key in parents:
        level = level.setdefault(key, {})
    level[last] = to
    if to is ...:
        del level[last]
    return copy


def written(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()
