"""A person's history once more through the profile station, with all that flows did on the way.

In:  events of one person in the order of their turns, and the definitions that are asked about.
Out: what the station said, when, and the trace of its flows (`streams/flows/trace.py`). It is the
     code that runs live; what differs is what it knows: other holders' words about a shared address
     are not in a person's history, and the definitions are in force from the first event on.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from schemas.events import Event
from schemas.outputs import FlowTriggered, SendDecided
from schemas.records import EventResolved
from schemas.rows import ProfileRow
from schemas.values import Instant, Origin, ProfileId, StoreId
from streams.core import Output
from streams.flows.trace import Asked, Traced
from streams.ids import Ids
from streams.profile.step import ProfileCore
from streams.profile.store import Store


class Happened(NamedTuple):
    """An event, when the profile heard of it, and where it comes from."""

    at: Instant
    event: Event
    origin: Origin


class Retold(NamedTuple):
    """trace, said: in their order. row: as it is at the end; None: nothing happened."""

    trace: list[Traced]
    said: list[Output]
    row: ProfileRow | None

    def asked(self, flow: str) -> list[Asked]:
        """The entries of a flow."""
        return [one for one in self.trace if isinstance(one, Asked) and one.flow == flow]

    def decided(self) -> list[SendDecided]:
        return [one.record for one in self.said if isinstance(one.record, SendDecided)]

    def triggered(self) -> list[FlowTriggered]:
        return [one.record for one in self.said if isinstance(one.record, FlowTriggered)]


def retell(
    profile_id: ProfileId,
    history: Iterable[Happened],
    stores: Mapping[StoreId, Store],
    ids: Ids,
    *,
    until: Instant,
) -> Retold:
    """Play a history; time goes on until `until`, timers at that very instant included.

    stores: the definitions of the person's store, made ready (`streams.profile.store.ready`).
    """
    trace: list[Traced] = []
    stage = _Stage(ProfileCore(ids, stores, trace=trace), profile_id)
    for one in history:
        stage.wake_until(one.at)
        stage.hear(one)
    stage.wake_until(until)
    return Retold(trace, stage.said, stage.row)


class _Stage:
    """A profile core and one row."""

    def __init__(self, core: ProfileCore, profile_id: ProfileId) -> None:
        self._core, self._id = core, profile_id
        self._now: Instant = 0
        self.row: ProfileRow | None = None
        self.said: list[Output] = []

    def hear(self, happened: Happened) -> None:
        self._now = max(self._now, happened.at)
        body = EventResolved(happened.event, happened.event.identifiers[0])
        self.row, outputs = self._core.step(self.row, self._id, body, self._now, happened.origin)
        self.said += outputs

    def wake_until(self, instant: Instant) -> None:
        while self.row is not None and (due := self._core.wake_at(self.row)) is not None:
            if due > instant:
                return
            self._now = max(self._now, due)
            self.row, outputs = self._core.wake(self.row, self._id, due, self._now)
            self.said += outputs
