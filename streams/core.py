"""What all stations have in common: a pure step per record, its outputs, the shape of a core.

A core never sees Kafka, a clock or a table. The shell (agents/station.py) and the replay
(streams/replay.py) read rows, call the core in the order of turns and write what comes out.
"""

from typing import Final, Literal, Protocol, Self, TypeAlias, TypeVar

import msgspec

from schemas.records import Body
from schemas.rows import DefinitionsRow, StopsRow
from schemas.values import Instant, Origin, Row, Stage

NEXT: Literal["next"] = "next"
PEER: Literal["peer"] = "peer"
BACK: Literal["back"] = "back"


ROW_BYTES_MAX: Final = 1 << 20
"""A row over this many bytes lets go of something: a row is read as a whole."""

ROW: Final = "row"
"""Flag of a row that was over its cap."""

RowT = TypeVar("RowT", bound=Row)


class PartRaised(Exception):
    """A segment, a flow or a feature raised where it looked at one row; the cause says why.

    part: `segment/vip`, `flow/welcome`, `feature/<key>`. The step is done again without it.
    """

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part = part


class Output(msgspec.Struct, frozen=True, gc=False):
    """Something a step says.

    to:  `next` (the stage after, same turn), `peer` (this stage, one boundary later), `back` (the
         stage before, two boundaries later), or the name of a public topic.
    key: the row it is for (`next`, `peer`, `back`), or the Kafka key of the public record.
    record: None takes away what a compacted topic has under this key.
    """

    to: str
    key: str
    record: msgspec.Struct | None


Stepped: TypeAlias = tuple[RowT, list[Output]]
Touched: TypeAlias = tuple[RowT | None, list[Output]]
"""As `Stepped`; no row where there was none and nothing is to be kept."""


class Core(Protocol[RowT]):
    """What one station does. Immutable: new definitions make a new core (`adopt`)."""

    stage: Stage
    has_timers: bool

    @property
    def visits_until(self) -> Instant:
        """When every row will have been looked at under the definitions in force."""
        ...

    def hastened(self) -> Self:
        """The core that has every row looked at at once that nobody has looked at yet."""
        ...

    def decode(self, blob: bytes) -> RowT:
        """Read a row.

        Raises: NewerSchema.
        """
        ...

    def encode(self, row: RowT) -> bytes: ...

    def lessened(self, row: RowT) -> RowT:
        """A row that is over `ROW_BYTES_MAX`, flagged, without what it can best do without."""
        ...

    def veiled(self, key: str) -> str | None:
        """The key under which the row of `key` is kept once nobody may see `key` any more; None:
        rows of this station have no such place.
        """
        ...

    def is_veiled(self, row: RowT) -> bool:
        """Is this row kept under its veiled key?"""
        ...

    def step(
        self, row: RowT | None, key: str, body: Body, now: Instant, origin: Origin
    ) -> Touched[RowT]:
        """Say what `body`, applied at `now`, does to the row of `key`.

        The row may be changed in place: the caller reads it again if the step raises.
        origin: where `body` comes from; nothing may depend on it but what carries it on.
        """
        ...

    def wake(self, row: RowT, key: str, due: Instant, now: Instant) -> Stepped[RowT]:
        """Say what time alone does to the row at `due`; `now` is the later of due and now."""
        ...

    def without(self, parts: frozenset[str]) -> Self:
        """The core that leaves these parts out of every row that it steps, from then on."""
        ...

    def wake_at(self, row: RowT) -> Instant | None:
        """The next instant at which time alone changes something in this row."""
        ...

    def asleep(self, row: RowT) -> RowT:
        """The row without its timer: one that raised sleeps until its next record."""
        ...

    def adopt(self, row: DefinitionsRow | StopsRow) -> Self:
        """The core with these definitions, or these stops, in force for their store."""
        ...
