"""The store's own JSON (docs/topics.md, `store-events`), decoded strictly, keys and types."""

from typing import Final

import msgspec

from streams.ingest.second_look import Levels, looked_at, loosely
from streams.ingest.sent import Sent, SentEvent, SentProfile

strict = msgspec.json.Decoder(SentEvent).decode
"""What is as it should be, at once."""

_LEVELS: Final[Levels] = {
    "$": tuple(SentEvent.__struct_encode_fields__),
    "$.profile": tuple(SentProfile.__struct_encode_fields__),
}


def look(value: bytes) -> Sent:
    """Decode what is not at once as it should be.

    Raises: Rejection.
    """
    event, unknown, _ = looked_at(loosely(value), strict, _LEVELS)
    return Sent(event, unknown.get("$.profile", {}), unknown["$"])
