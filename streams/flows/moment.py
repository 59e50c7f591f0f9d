"""What is being done to one profile at one instant: what was said and what was touched so far."""

from collections.abc import Callable
from typing import Any, ParamSpec

from schemas.records import Stop
from schemas.rows import FlowRun, ProfileRow
from schemas.values import Channel, EventId, FlowId, Instant, ListId
from streams.core import Output, PartRaised
from streams.definitions.program import Program
from streams.flows.plan import FlowPlans
from streams.ids import Ids

Rest = ParamSpec("Rest")


def part_of(
    flow: FlowId, work: Callable[Rest, None], *rest: Rest.args, **named: Rest.kwargs
) -> None:
    """Do work of a flow; where it raises, it is the flow that did.

    Raises: PartRaised.
    """
    try:
        work(*rest, **named)
    except PartRaised:
        raise
    except Exception as error:
        raise PartRaised(f"flow/{flow}") from error


class Moment:
    """One step's work on one row.

    outputs: what was said, in order.
    features, traits, channels, lists: what was touched and no segment has looked at yet; traits are
             also the kinds of identifiers that were added.
    joined:  (list, id of what did it) of lists joined, whose flows have not been asked yet.
    ready:   runs that go on at once, in order.
    entered: flow (and key) -> how often it was entered.
    event:   id of the event that happens; "": none, time or a merge does it.
    stops:   the stops in force for the store.
    trace:   what flows did on the way (`streams/flows/trace.py`); None: nobody asks.
    """

    __slots__ = (
        "channels",
        "entered",
        "event",
        "features",
        "ids",
        "joined",
        "lists",
        "now",
        "outputs",
        "plans",
        "program",
        "ready",
        "row",
        "stops",
        "trace",
        "traits",
    )

    def __init__(
        self,
        row: ProfileRow,
        program: Program,
        plans: FlowPlans,
        ids: Ids,
        now: Instant,
        stops: tuple[Stop, ...] = (),
    ) -> None:
        self.row = row
        self.program = program
        self.plans = plans
        self.ids = ids
        self.now = now
        self.stops = stops
        self.outputs: list[Output] = []
        self.features: set[str] = set()
        self.traits: set[str] = set()
        self.channels: set[Channel] = set()
        self.lists: set[ListId] = set()
        self.joined: list[tuple[ListId, str]] = []
        self.ready: list[FlowRun] = []
        self.entered: dict[str, int] = {}
        self.event: EventId = ""
        self.trace: list[Any] | None = None

    def is_disabled(self, flow: FlowId) -> bool:
        """Whether the flow raised for this profile: then it is left out."""
        disabled = self.row.disabled
        return bool(disabled) and disabled.get(f"flow/{flow}") == self.program.mark
