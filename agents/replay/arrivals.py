"""A file of store events, a JSON object a line -> the lines in the order of arrival.

A line arrives at its `received_at`, else at its `time`; ties keep the order of the file. It goes to
ingest byte for byte as it is: ingest knows `received_at` and looks away.
"""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from agents.replay.written import rejected_line
from schemas.replay import RejectedLine
from schemas.values import Instant
from streams.ingest.fields import EARLIEST, time_of
from streams.ingest.rejection import Rejection
from streams.instants import to_instant

LATEST: Final[Instant] = to_instant("2200-01-01T00:00:00Z")
"""Nothing arrives later: a file that is years ahead by mistake would let all timers ring."""

NO_ARRIVAL = "no-arrival"
BAD_RECEIVED_AT = "bad-received-at"


_ABSENT: Final = msgspec.Raw()


class _Times(msgspec.Struct):
    """What a line says about its arrival, whatever its shape; all else is ingest's business."""

    received_at: msgspec.Raw = _ABSENT
    time: msgspec.Raw = _ABSENT
    timestamp: msgspec.Raw = _ABSENT
    original_timestamp: msgspec.Raw = msgspec.field(default=_ABSENT, name="originalTimestamp")
    data: msgspec.Raw = _ABSENT


class _Attributes(msgspec.Struct):
    time: msgspec.Raw = _ABSENT


class _Data(msgspec.Struct):
    """The body of Klaviyo's Events API keeps its time further down."""

    attributes: _Attributes


class Refused(Exception):
    """A line that does not say when it arrives. Arguments: reason, detail, field."""


class Line(NamedTuple):
    """number: in the file, counted from 1."""

    number: int
    received_at: Instant
    value: bytes


class EventFile:
    """The lines of a file in the order of arrival. Memory: 24 bytes a line, not the lines.

    refused: lines that do not say when they arrive, or not so that it can be read.
    first, last: the first and the last arrival; None where nothing arrives.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.refused: list[RejectedLine] = []
        self._at, self._start, self._number = array("q"), array("q"), array("q")
        self._scan()
        at = self._at
        in_order = all(at[i] <= at[i + 1] for i in range(len(at) - 1))
        self._order = range(len(at)) if in_order else sorted(range(len(at)), key=at.__getitem__)
        self.first = at[self._order[0]] if at else None
        self.last = at[self._order[-1]] if at else None

    def __len__(self) -> int:
        return len(self._at)

    def after(self, until: Instant) -> int:
        """How many lines arrive after `until`."""
        return sum(at > until for at in self._at)

    def __iter__(self) -> Iterator[Line]:
        at, starts, numbers = self._at, self._start, self._number
        with self._path.open("rb") as file:
            place = 0
            for index in self._order:
                if starts[index] != place:
                    file.seek(starts[index])
                raw = file.readline()
                place = starts[index] + len(raw)
                yield Line(numbers[index], at[index], raw.rstrip(b"\r\n"))

    def _scan(self) -> None:
        """Find out when each line arrives.

        A line that is no event arrives with the line before it (the first ones with the first
        that says when), so that ingest can say what is wrong with it.
        """
        before: Instant | None = None
        start = 0
        with self._path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                line = raw.rstrip(b"\r\n")
                if line.strip():
                    try:
                        at = arrival_of(line)
                    except Refused as refused:
                        reason, detail, field = refused.args
                        self.refused.append(rejected_line(number, line, reason, detail, field))
                    else:
                        if at is not None and before is None:
                            self._at = array("q", [at] * len(self._at))
                        before = before if at is None else at
                        self._at.append(EARLIEST if before is None else before)
                        self._start.append(start)
                        self._number.append(number)
                start += len(raw)


def arrival_of(line: bytes) -> Instant | None:
    """When a line arrives; None where it does not say so because ingest will reject it.

    Raises: Refused where it has neither `received_at` nor `time`, or no readable `received_at`.
    """
    try:
        times = _read_times(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if _is_said(times.received_at):
        try:
            return _instant(times.received_at)
        except ValueError as error:
            raise Refused(BAD_RECEIVED_AT, f"`received_at` {error}", "$.received_at") from error
    time = _time_in(times)
    if time is None:
        raise Refused(NO_ARRIVAL, "has neither `received_at` nor `time`", None)
    try:
        return _instant(time)
    except ValueError:
        return None


def _time_in(times: _Times) -> msgspec.Raw | None:
    """The time of an event in the store's own shape, in Segment's or in Klaviyo's."""
    for said in (times.time, times.timestamp, times.original_timestamp):
        if _is_said(said):
            return said
    try:
        said = _read_data(times.data).attributes.time
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return said if _is_said(said) else None


def instant_said(claimed: str | float) -> Instant:
    """An instant, RFC 3339 or a number as `time` takes it.

    Raises: ValueError with what is wrong.
    """
    try:
        at = time_of(claimed, LATEST)
    except Rejection as rejection:
        raise ValueError(rejection.record.detail) from rejection
    except OverflowError as error:
        raise ValueError("is out of range") from error
    if at >= LATEST:
        raise ValueError("is after the year 2199")
    return at


def _is_said(raw: msgspec.Raw) -> bool:
    return bytes(raw) not in (b"", b"null")


def _instant(raw: msgspec.Raw) -> Instant:
    """Raises: ValueError."""
    try:
        claimed = _read_claim(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError("is neither text nor a number") from error
    return instant_said(claimed)


_read_times = msgspec.json.Decoder(_Times).decode
_read_data = msgspec.json.Decoder(_Data).decode
_read_claim = msgspec.json.Decoder(str | int | float).decode
