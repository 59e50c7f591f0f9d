"""Flows made ready to run: every step by its path, with the path that follows and its test.

A path is what a run keeps of its place: `(2, "then", 0)` is the first step of the branch `then` of
the third step.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from schemas.conditions import Condition, EventFilter
from schemas.definitions import (
    Flow,
    Interested,
    OnBackInStock,
    OnDate,
    OnEvent,
    OnList,
    OnLowStock,
    OnPriceDrop,
    OnSegment,
    Send,
    Split,
    SplitRandom,
    SplitTrigger,
    Step,
    WaitFor,
)
from schemas.values import FlowId, ListId, SegmentId
from streams.definitions.products import CATALOG_TRIGGERED
from streams.flows.catalog import triggered_by
from streams.segments.person import Compiled
from streams.segments.values import EventTest, Get, compile_event_test, compile_path

StepPath: TypeAlias = tuple[int | str, ...]

FIRST: StepPath = (0,)
BEHIND: StepPath = (1 << 30,)
"""A path behind the last step of every flow."""

Compile: TypeAlias = Callable[[Condition | Interested | EventFilter], Compiled]


class Place(NamedTuple):
    """A step in its flow.

    after:     the path that follows it, None: the end.
    test:      of the event a `wait_for` waits for, of the trigger a split looks at.
    condition: of a split, or the filter of a send.
    """

    step: Step
    after: StepPath | None
    test: EventTest | None
    condition: Compiled | None


class FlowPlan(NamedTuple):
    """A flow, ready.

    test: of the triggering event; interest: of a flow that a product starts, at entry; filter: at
    entry and before every send; goal: of the event that ends a run; is_open: it has not happened
    since the start of the run, at entry and whenever a run goes on; key: the property that tells
    runs of one profile apart; sends: message -> path of its send; started_by: the trigger as text.
    """

    flow: Flow
    test: EventTest
    interest: Compiled | None
    filter: Compiled | None
    goal: EventTest | None
    is_open: Compiled | None
    key: Get | None
    places: dict[StepPath, Place]
    sends: dict[str, StepPath]
    started_by: str

    def place(self, path: StepPath | None) -> tuple[StepPath, Place] | None:
        """The step at a path, or the next one that is left where that step is gone; None: none."""
        while path is not None:
            place = self.places.get(path)
            if place is not None:
                return path, place
            path = _out_of(path)
        return None


class FlowPlans(NamedTuple):
    """The flows of a store by what starts them. listens: metrics that goals and waits ask for."""

    flows: Mapping[FlowId, FlowPlan]
    by_metric: Mapping[str, tuple[FlowPlan, ...]]
    by_segment: Mapping[SegmentId, tuple[FlowPlan, ...]]
    by_list: Mapping[ListId, tuple[FlowPlan, ...]]
    by_date: tuple[FlowPlan, ...]
    listens: frozenset[str]


def plan_flows(flows: Mapping[FlowId, Flow], compiled: Compile) -> FlowPlans:
    """Make all flows of a store ready, in the order of their ids."""
    plans = {flow_id: plan_flow(flows[flow_id], compiled) for flow_id in sorted(flows)}
    by_metric: dict[str, list[FlowPlan]] = {}
    by_segment: dict[str, list[FlowPlan]] = {}
    by_list: dict[str, list[FlowPlan]] = {}
    by_date: list[FlowPlan] = []
    listens: set[str] = set()
    for plan in plans.values():
        match plan.flow.trigger:
            case OnEvent(event):
                by_metric.setdefault(event.metric, []).append(plan)
            case OnSegment(segment):
                by_segment.setdefault(segment, []).append(plan)
            case OnList(name):
                by_list.setdefault(name, []).append(plan)
            case OnDate():
                by_date.append(plan)
            case OnPriceDrop() | OnLowStock() | OnBackInStock():
                by_metric.setdefault(CATALOG_TRIGGERED, []).append(plan)
            case other:
                raise AssertionError(f"{type(other).__name__} is refused when it is read")
        if plan.flow.goal is not None:
            listens.add(plan.flow.goal.metric)
        for place in plan.places.values():
            if isinstance(place.step, WaitFor):
                listens.add(place.step.event.metric)
    return FlowPlans(
        plans,
        {metric: tuple(found) for metric, found in by_metric.items()},
        {segment: tuple(found) for segment, found in by_segment.items()},
        {name: tuple(found) for name, found in by_list.items()},
        tuple(by_date),
        frozenset(listens),
    )


def plan_flow(flow: Flow, compiled: Compile) -> FlowPlan:
    """Make one flow ready."""
    places = dict(_places(flow.steps, (), None, compiled))
    test, interest = compile_event_test(()), None
    match flow.trigger:
        case OnEvent(event):
            test = compile_event_test(event.where)
        case OnPriceDrop() | OnLowStock() | OnBackInStock() as on_product:
            test, interest = triggered_by(on_product), compiled(on_product.who)
    return FlowPlan(
        flow=flow,
        test=test,
        interest=interest,
        filter=None if flow.filter is None else compiled(flow.filter),
        goal=None if flow.goal is None else compile_event_test(flow.goal.where),
        is_open=None if flow.goal is None else compiled(flow.goal),
        key=None if flow.key is None else compile_path(flow.key),
        places=places,
        sends={
            place.step.message: path
            for path, place in places.items()
            if isinstance(place.step, Send)
        },
        started_by=_started_by(flow),
    )


def _started_by(flow: Flow) -> str:
    match flow.trigger:
        case OnEvent(EventFilter(metric)):
            return f"did {metric}"
        case OnSegment(segment):
            return f"enters {segment}"
        case OnList(name):
            return f"joins {name}"
        case OnDate(trait):
            return f"date {trait}"
        case OnPriceDrop():
            return "price drop"
        case OnLowStock():
            return "low stock"
        case OnBackInStock():
            return "back in stock"
        case other:
            raise AssertionError(f"{type(other).__name__} is refused when it is read")


def _places(
    steps: Sequence[Step], prefix: StepPath, after: StepPath | None, compiled: Compile
) -> Iterator[tuple[StepPath, Place]]:
    for index, step in enumerate(steps):
        path = (*prefix, index)
        follows = (*prefix, index + 1) if index + 1 < len(steps) else after
        test = condition = None
        match step:
            case WaitFor():
                test = compile_event_test(step.event.where)
            case SplitTrigger():
                test = compile_event_test(step.where)
            case Split():
                condition = compiled(step.where)
            case Send() if step.filter is not None:
                condition = compiled(step.filter)
        yield path, Place(step, follows, test, condition)
        for name, branch in branches(step).items():
            yield from _places(branch, (*path, name), follows, compiled)


def branches(step: Step) -> Mapping[str, tuple[Step, ...]]:
    """The branches of a step, by the names they are written with."""
    match step:
        case Split() | SplitTrigger():
            return {"then": step.then, "else": step.otherwise}
        case SplitRandom():
            return step.branches
        case WaitFor():
            return {"met": step.met, "missed": step.missed}
        case _:
            return {}


def _out_of(path: StepPath) -> StepPath | None:
    """After the step that holds the branch which this path is in; None at the top."""
    if len(path) < 3:
        return None
    outer = path[-3]
    assert isinstance(outer, int), "a path is a number, then branch and number in turn"
    return (*path[:-3], outer + 1)
