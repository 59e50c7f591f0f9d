"""The words that all other contracts use."""

from typing import Any, Literal, TypeAlias

import msgspec

Instant: TypeAlias = int
"""A point in time: integer milliseconds since 1970-01-01T00:00:00Z."""

Millis: TypeAlias = int
"""A duration: integer milliseconds."""

Timestamp: TypeAlias = str
"""An instant as the outside reads it: RFC 3339, UTC, milliseconds (`2026-11-22T10:00:00.000Z`)."""

Micros: TypeAlias = int
"""An amount of money in millionths of its currency's unit: exact, never a float."""

Money: TypeAlias = str
"""An amount as the outside reads it: decimal text (`39.80`)."""

StoreId: TypeAlias = str
ProfileId: TypeAlias = str
EventId: TypeAlias = str
SegmentId: TypeAlias = str
FlowId: TypeAlias = str
ListId: TypeAlias = str
SendId: TypeAlias = str
FlowRunId: TypeAlias = str

Channel: TypeAlias = Literal["email", "sms", "push", "whatsapp", "in_app"]
Trust: TypeAlias = Literal["server", "client"]
Stage: TypeAlias = Literal["ingest", "identity", "profile"]

Identifier: TypeAlias = tuple[str, str]
"""(kind, normalised value): `("email", "ann@example.com")`."""

Properties: TypeAlias = dict[str, Any]
"""A JSON object as the store sent it."""

Origin: TypeAlias = tuple[int, ...]
"""Where something comes from: (received_at, source partition, source offset, index, ...).

What a step causes appends the index of the output to its cause's origin, so an origin is a path
and stays unique over any number of hops.
"""

TIMER, RECORD, LATE = 1, 2, 3
"""The classes of a turn: a timer comes before a record of its instant, a late message after it."""

Turn: TypeAlias = tuple[Instant, int, Origin]
"""(instant, class, origin): the total order of a round (docs/architecture.md, Rounds)."""


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="type"):
    """A record of a public topic: JSON with its `type` and the `schema` number of that type."""

    schema: int = 1


class Inner(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record of an inner topic: a msgpack array, its type first. New fields go last."""


class Row(msgspec.Struct, array_like=True, gc=False):
    """State kept in a table: a msgpack array, its `schema` number first. New fields go last.

    A row is owned by the step that was handed it: a step may change it in place and returns it.
    Rows and records hold no cycles: Python's search for those leaves them out (`gc`).
    """
