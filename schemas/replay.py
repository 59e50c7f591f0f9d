"""What `tillstream replay` writes beside the public records: lines about what was not accepted."""

import msgspec

from schemas.values import Timestamp


class RejectedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the events file that is no event (rejected.jsonl).

    line:     counted from 1. received_at: None where the line did not arrive at all.
    reason:   of ingest (docs/bad-input.md), or `no-arrival`, `bad-received-at`: refused by replay.
    field, position: where it is wrong, as far as that is known.
    value:    the line as it is; where that is no UTF-8, `value_base64` has it.
    """

    line: int
    received_at: Timestamp | None
    reason: str
    detail: str
    field: str | None
    position: int | None
    value: str | None
    value_base64: str | None


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """A record whose step raised, or a timer (no value): an error of ours (dead-letters.jsonl).

    key: of the row it was for. value_base64: the record as the inner topic carried it.
    """

    station: str
    key: str
    at: Timestamp
    reason: str
    value_base64: str
