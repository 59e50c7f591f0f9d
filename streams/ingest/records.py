"""What a record of `store-events` may be, once it is read."""

from typing import NamedTuple, TypeAlias

from schemas.events import Event, RejectedEvent
from schemas.records import (
    Backfilled,
    DefinitionsFilled,
    DefinitionsPublished,
    ErasureAsked,
    PopulationMeasured,
)
from schemas.splits import EventsTold, SplitAsked
from streams.sends.stops import Switch


class Tick(NamedTuple):
    """A record that only says that time has passed."""


Control: TypeAlias = (
    DefinitionsPublished
    | DefinitionsFilled
    | PopulationMeasured
    | Backfilled
    | Switch
    | ErasureAsked
    | SplitAsked
    | EventsTold
)
Read: TypeAlias = tuple[str, Event] | RejectedEvent | Tick | Control
