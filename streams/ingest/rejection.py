"""Why a record of `store-events` is no event. docs/bad-input.md shows an input for every reason."""

from collections.abc import Callable
from enum import Enum, unique
from typing import Self

import msgspec

from schemas.events import RejectedEvent


@unique
class Reason(Enum):
    """What can be wrong, in the order in which it is looked for. The values reach Kafka."""

    UNKNOWN_CONTROL = "unknown-control"
    NOT_AUTHENTIC = "not-authentic"
    OUT_OF_SEQUENCE = "out-of-sequence"
    EMPTY = "empty"
    TOO_LARGE = "too-large"
    NOT_UTF8 = "not-utf-8"
    TOO_DEEP = "too-deep"
    NOT_JSON = "not-json"
    NOT_AN_OBJECT = "not-an-object"
    UNKNOWN_KEY = "unknown-key"
    MISSING = "missing"
    WRONG_TYPE = "wrong-type"
    NUMBER_OUT_OF_RANGE = "number-out-of-range"
    TOO_LONG = "too-long"
    BAD_STORE = "bad-store"
    BAD_METRIC = "bad-metric"
    BAD_TIME = "bad-time"
    TIME_TOO_EARLY = "time-too-early"
    TIME_TOO_LATE = "time-too-late"
    BAD_VALUE = "bad-value"
    BAD_CURRENCY = "bad-currency"
    NO_IDENTIFIER = "no-identifier"


class Rejection(Exception):
    """Raised while a record is read, caught by `read`; callers of this station never see it.

    detail: for a person; never holds the value of an identifier.
    """

    def __init__(
        self, reason: Reason, detail: str, field: str | None = None, position: int | None = None
    ) -> None:
        super().__init__(reason, detail, field, position)
        self.record = RejectedEvent(
            reason=reason.value, detail=detail, field=field, position=position
        )

    def at(self, place: Callable[[str], str]) -> Self:
        """The same, with the field named as it is where it was sent."""
        if self.record.field is not None:
            self.record = msgspec.structs.replace(self.record, field=place(self.record.field))
        return self
