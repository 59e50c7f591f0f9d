"""What the stores have published, as one partition of a station has it: definitions and stops.

In: records of ours, in the order of the log. Out: the rows that keep what is in force, for a core
to adopt. Ingest asks here whether a record is in sequence: who may append could append an old one.
"""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from schemas.events import RejectedEvent
from schemas.records import (
    DefinitionsFilled,
    DefinitionsPublished,
    PopulationMeasured,
    SendsStopped,
    Switching,
)
from schemas.rows import (
    DEFINITIONS_KEY,
    DEFINITIONS_ROW_SCHEMA,
    STOPS_KEY,
    STOPS_ROW_SCHEMA,
    DefinitionsRow,
    StopsRow,
)
from schemas.values import Instant, Origin, StoreId
from streams.definitions.switch import in_force
from streams.ingest.rejection import Reason
from streams.segments.ranked import mark_of
from streams.sends.stops import Switch, switched
from streams.versions import NewerSchema
from streams.visits import Visits

InForceRow: TypeAlias = DefinitionsRow | StopsRow

KEYS = (DEFINITIONS_KEY.removesuffix(b"%s"), STOPS_KEY.removesuffix(b"%s"))
"""How the keys of these rows begin."""

_definitions = msgspec.msgpack.Decoder(DefinitionsRow).decode
_stops = msgspec.msgpack.Decoder(StopsRow).decode
_pack = msgspec.msgpack.Encoder().encode


def is_row_of_a_key(key: bytes) -> bool:
    """Whether a table's key is that of a row, and not a position or the definitions."""
    return not key.startswith((b"position/", *KEYS))


def count_rows(there: Iterable[bytes], changed: Iterable[tuple[bytes, bytes | None]]) -> int:
    """How many rows a partition has, of these keys, once these have changed."""
    new = dict(changed)
    kept_on = sum(is_row_of_a_key(key) and key not in new for key in there)
    return kept_on + sum(is_row_of_a_key(key) and row is not None for key, row in new.items())


class InForce:
    """What is in force, by store. rows: of the partition, whatever else is among them.

    Raises: NewerSchema.
    """

    def __init__(self, rows: Iterable[tuple[bytes, bytes]] = ()) -> None:
        mine = [(key, blob) for key, blob in rows if key.startswith(KEYS)]
        kept = [_definitions(blob) for key, blob in mine if key.startswith(KEYS[0])]
        stopped = [_stops(blob) for key, blob in mine if key.startswith(KEYS[1])]
        _check_schema("definitions", DEFINITIONS_ROW_SCHEMA, [row.schema for row in kept])
        _check_schema("stops", STOPS_ROW_SCHEMA, [row.schema for row in stopped])
        self.definitions = {
            row.published.store: row for row in sorted(kept, key=lambda row: row.published.store)
        }
        self.stops = {
            row.said.store: row for row in sorted(stopped, key=lambda row: row.said.store)
        }

    @property
    def rows(self) -> list[InForceRow]:
        """All of it, in the order of the stores."""
        return [*self.definitions.values(), *self.stops.values()]

    def take(self, said: Switching, origin: Origin) -> InForceRow:
        """Take up what was published. Returns: what is in force of it; the row there was before
        where nothing changes.
        """
        if isinstance(said, SendsStopped):
            stops = self.stops[said.store] = StopsRow(STOPS_ROW_SCHEMA, said, origin)
            return stops
        before = self.definitions.get(said.store)
        row = self.definitions[said.store] = in_force(before, said, origin)
        return row

    def visit(self, row: DefinitionsRow, visits: Visits) -> DefinitionsRow:
        """Note when the rows are visited for what is in force."""
        visited = msgspec.structs.replace(row, visits=tuple(visits))
        self.definitions[row.published.store] = visited
        return visited

    # --- ingest ----------------------------------------------------------------------------------

    def switched(self, switch: Switch, at: Instant) -> SendsStopped:
        """All stops of the store after `switch`, received at `at`."""
        row = self.stops.get(switch.store)
        stops = () if row is None else row.said.stops
        return SendsStopped(switch.store, switch.number, switched(stops, switch, at))

    def number(self, store: StoreId) -> int:
        """Of what was published last for the store."""
        row, stops = self.definitions.get(store), self.stops.get(store)
        return max(0 if row is None else row.number, 0 if stops is None else stops.said.number)

    def out_of_sequence(
        self, said: DefinitionsPublished | PopulationMeasured | Switch
    ) -> RejectedEvent | None:
        """Why this is an old one, or beside what came into force meanwhile; None: it is the next.

        Where nothing has had a number yet, nothing needs one.
        """
        last = self.number(said.store)
        if said.number > last or said.number == last == 0:
            return None
        detail = f"its number is {said.number}; what is in force for its store has {last}"
        return RejectedEvent(reason=Reason.OUT_OF_SEQUENCE.value, detail=detail)

    def count(
        self, said: DefinitionsPublished | DefinitionsFilled | PopulationMeasured
    ) -> DefinitionsRow:
        """Note the number of what was taken up; the same version again has one of its own."""
        row = self.definitions[said.store]
        if not isinstance(said, DefinitionsFilled):
            row = self.definitions[said.store] = msgspec.structs.replace(row, number=said.number)
        return row


def concerns_rows(before: DefinitionsRow | None, row: DefinitionsRow) -> bool:
    """Does what changed concern profiles? Cuts at the same places, measured anew, do not."""
    if before is None or row.cuts == before.cuts:
        return row is not before
    return mark_of(row.cuts) != mark_of(before.cuts)


def key_of(row: InForceRow) -> bytes:
    """The key of the row that keeps it."""
    if isinstance(row, DefinitionsRow):
        return DEFINITIONS_KEY % row.published.store.encode()
    return STOPS_KEY % row.said.store.encode()


def kept(row: InForceRow) -> tuple[bytes, bytes]:
    """The row as the table has it."""
    return key_of(row), _pack(row)


def _check_schema(what: str, known: int, found: Iterable[int]) -> None:
    newest = max(found, default=0)
    if newest > known:
        raise NewerSchema(f"{what} of schema {newest}; known is {known}")
