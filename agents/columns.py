"""Records of the public topics as columns of the timeline's tables.

In: the JSON of a record. Out: Arrow columns in the order of `schemas/clickhouse/tables.py`.
Decoded once, typed; JSON inside JSON (properties, context, evidence) is never taken apart.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa
from msgspec import Raw

from schemas.clickhouse.tables import TABLES, Table

SCHEMA_KNOWN = 1
"""The newest schema number of any record that this version reads."""


class Line(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="type"):
    """A record as the sink needs it: the fields of its contract, inner JSON left as it is."""

    schema: int = 1


class ClockLine(Line, frozen=True, kw_only=True, gc=False, tag="clock"):
    partition: int
    at: str


class SwitchedLine(Line, frozen=True, kw_only=True, gc=False, tag="definitions-switched"):
    store: str
    version: str
    switch: tuple[int, ...]


class EventLine(Line, frozen=True, kw_only=True, gc=False, tag="timeline-entry"):
    event_id: str
    store: str
    profile_id: str
    metric: str
    occurred_at: str
    received_at: str
    origin: tuple[int, ...]
    trust: str
    source: str
    backfill: bool
    identifiers: Raw
    traits: Raw = Raw(b"{}")
    traits_once: Raw = Raw(b"{}")
    properties: Raw
    value: str | None
    currency: str | None
    moved_from: str | None = None


class SegmentLine(Line, frozen=True, kw_only=True, gc=False, tag="segment-changed"):
    id: str
    store: str
    profile_id: str
    segment: str
    change: str
    at: str
    decided_at: str
    evidence: Raw = Raw(b"[]")


class TriggerLine(Line, frozen=True, kw_only=True, gc=False, tag="flow-triggered"):
    id: str
    store: str
    profile_id: str
    flow: str
    version: str
    trigger: str
    trigger_event_id: str
    started_at: str
    decided_at: str


class SendLine(Line, frozen=True, kw_only=True, gc=False, tag="send-command"):
    id: str
    store: str
    profile_id: str
    channel: str
    address: str
    template: str
    flow: str | None
    flow_run_id: str | None
    campaign: str | None = None
    message: str
    variant: str | None
    subject: str | None = None
    attempt: int
    transactional: bool
    context: Raw
    decided_at: str
    valid_until: str


class DecisionLine(Line, frozen=True, kw_only=True, gc=False, tag="send-decided"):
    id: str
    store: str
    profile_id: str
    flow: str | None
    flow_run_id: str | None
    message: str | None
    channel: str | None
    outcome: str
    reason: str | None
    reasons: tuple[str, ...] = ()
    send_id: str | None = None
    until: str | None = None
    trigger_event_id: str | None = None
    decided_at: str
    evidence: Raw = Raw(b"[]")


class MergeLine(Line, frozen=True, kw_only=True, gc=False, tag="identity-merged"):
    id: str
    store: str
    winner: str
    loser: str
    decided_at: str


class ConsentLine(Line, frozen=True, kw_only=True, gc=False, tag="consent-stated"):
    store: str
    kind: str
    address: str
    channels: Raw
    suppressed: Raw
    details: Raw
    decided_at: str
    cause: str


class ErasedLine(Line, frozen=True, kw_only=True, gc=False, tag="profile-erased"):
    id: str
    store: str
    request: str
    outcome: str
    profile_ids: tuple[str, ...]
    decided_at: str


class ConflictLine(Line, frozen=True, kw_only=True, gc=False, tag="identity-conflict"):
    id: str
    store: str
    profiles: tuple[str, ...]
    external_ids: tuple[str, ...]
    reason: str
    decided_at: str
    because: Raw = Raw(b"null")


class SplitLine(Line, frozen=True, kw_only=True, gc=False, tag="profile-split"):
    id: str
    store: str
    split: str
    outcome: str
    identifiers: Raw
    old: str
    new: str
    known_as: tuple[str, ...]
    author: str
    reason: str
    decided_at: str


LINES: tuple[type[Line], ...] = (
    EventLine,
    SegmentLine,
    TriggerLine,
    SendLine,
    DecisionLine,
    MergeLine,
    ConsentLine,
    ErasedLine,
    ConflictLine,
    SplitLine,
)
Values: TypeAlias = list[Any]
Builder: TypeAlias = Callable[[Values], pa.Array]


def micros(money: str | None) -> int | None:
    """Read decimal text exactly; finer than a millionth cannot travel (`streams/money.py`)."""
    if money is None:
        return None
    whole, _, rest = money.partition(".")
    assert len(rest) <= 6, "money has six places"
    return int(whole + rest.ljust(6, "0"))


def texts(values: Values) -> pa.Array:
    return pa.array([value or "" for value in values], pa.string())


def raws(values: Values) -> pa.Array:
    """Build a column of inner JSON with one copy: bytes one by one cost five times as much."""
    ends = array("i", accumulate((len(memoryview(value)) for value in values), initial=0))
    content = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.binary(), len(values), content)


def instants(values: Values) -> pa.Array:
    return pa.array(values, pa.string()).cast(pa.timestamp("ms", "UTC"))


def plain(kind: pa.DataType) -> Builder:
    """Make a builder for values that are already what the column holds."""
    return lambda values: pa.array(values, kind)


BUILDERS: Mapping[str, Builder] = MappingProxyType(
    {
        "String": texts,
        "LowCardinality(String)": texts,
        "DateTime64(3, 'UTC')": instants,
        "Nullable(DateTime64(3, 'UTC'))": instants,
        "Nullable(Int64)": lambda values: pa.array(list(map(micros, values)), pa.int64()),
        "Array(Int64)": plain(pa.list_(pa.int64())),
        "Array(LowCardinality(String))": plain(pa.list_(pa.string())),
        "Array(String)": plain(pa.list_(pa.string())),
        "Bool": plain(pa.bool_()),
        "UInt16": plain(pa.uint16()),
        "UInt64": plain(pa.uint64()),
    }
)
OF_THE_RECORD = MappingProxyType({"value_micros": "value"})
"""Columns that are named otherwise in the record."""
OF_THE_PLACE = frozenset({"kafka_partition", "kafka_offset"})


class UnreadableRecord(Exception):
    """A record that this version cannot read. Nothing is skipped: the sink stops and says where."""


class Shape:
    """How the records of one topic become rows of its table."""

    def __init__(self, table: Table, line: type[Line]) -> None:
        self.table = table
        self._decoder = msgspec.json.Decoder(line | ClockLine | SwitchedLine | SplitLine)
        fields = {field.name: field.type for field in msgspec.structs.fields(line)}
        self._columns = [
            (attrgetter(field), raws if fields[field] is Raw else BUILDERS[kind])
            for column, kind in table.columns.items()
            if column not in OF_THE_PLACE
            for field in (OF_THE_RECORD.get(column, column),)
        ]

    def decode(self, value: bytes) -> Line:
        """Read one record of the topic: a line of the table, a clock, a mark.

        Raises: UnreadableRecord where it is of an unknown type, of a newer schema, or broken.
        """
        try:
            line: Line = self._decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnreadableRecord(f"{error}; expected {self.table.record} or clock") from None
        if line.schema > SCHEMA_KNOWN:
            raise UnreadableRecord(
                f"schema {line.schema} is newer than {SCHEMA_KNOWN}, "
                "the newest that this version reads: upgrade the timeline before the profile agent"
            )
        return line

    def rows(self, lines: Sequence[Line], partition: int, offsets: Sequence[int]) -> pa.Table:
        """Build the rows of `lines`, which stand at `offsets` of `partition`."""
        built = [build(list(map(read, lines))) for read, build in self._columns]
        built.append(pa.array([partition] * len(lines), pa.uint16()))
        built.append(pa.array(offsets, pa.uint64()))
        return pa.Table.from_arrays(built, names=list(self.table.columns))


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {table.topic: Shape(table, line) for table, line in zip(TABLES, LINES, strict=True)}
)
"""By the name of the topic, without the namespace."""
