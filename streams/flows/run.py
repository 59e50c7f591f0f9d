"""One profile's way through a flow: a run goes on at once through all that needs no waiting.

State: `FlowRun` in the profile's row. Its `step` is the path of the step it is in, so whoever waits
takes the steps that follow the wait when it ends. With a new version of the flow the run is put
where that step is now (`edited.py`). In a paused flow a run stops before its next step.
"""

from collections.abc import Callable
from zoneinfo import ZoneInfo

import msgspec

from schemas.definitions import (
    Exit,
    Join,
    Leave,
    Notify,
    Send,
    SetTraits,
    Split,
    SplitRandom,
    SplitTrigger,
    Start,
    Step,
    Wait,
    WaitFor,
    WaitForDate,
    WaitUntil,
)
from schemas.events import Event
from schemas.outputs import NotificationRequested
from schemas.rows import FlowRun, ListMembership, Trait
from schemas.topics import NOTIFICATIONS
from schemas.values import Instant, ListId, Properties
from streams.core import Output
from streams.flows.chance import choose
from streams.flows.edited import FLOW_GONE
from streams.flows.entry import GOAL_REACHED, begin, end, enter, hear_dates
from streams.flows.moment import Moment, part_of
from streams.flows.plan import BEHIND, FlowPlan, Place, StepPath
from streams.flows.sending import drop_held, say, send
from streams.flows.trace import trace_branch, trace_rest, trace_step
from streams.flows.waits import until_date, until_time_of_day
from streams.flows.zones import zone_named, zone_of
from streams.identity.held import in_order
from streams.instants import to_timestamp
from streams.lists import is_member, join, leave
from streams.segments.person import TO_COME, Person
from streams.sends.command import context_of
from streams.traits import said_at

NO_DATE = "no-date"
FLOW_RAISED = "flow-raised"


def hear(moment: Moment, event: Event) -> None:
    """Let the runs hear an event: who reached the goal ends, who waited for it goes on. Of a run
    that is over no send is planned anew any more.
    """
    row = moment.row
    if event.metric not in moment.plans.listens:
        return
    row.settled = [run for run in row.settled if not _has_reached(moment, run, event)]
    for run in list(row.runs):
        plan = moment.plans.flows.get(run.flow)
        if plan is None or run.trigger.kind == TO_COME or moment.is_disabled(run.flow):
            continue
        part_of(run.flow, _hear, moment, plan, run, event)


def _has_reached(moment: Moment, run: FlowRun, event: Event) -> bool:
    """Is the event the goal of this run?"""
    plan = moment.plans.flows.get(run.flow)
    return plan is not None and not moment.is_disabled(run.flow) and _is_goal(plan, run, event)


def _hear(moment: Moment, plan: FlowPlan, run: FlowRun, event: Event) -> None:
    if _is_goal(plan, run, event):
        _end_as_reached(moment, plan, run)
    elif run.listening and _is_awaited(plan, run, event):
        trace_branch(moment, run, plan.places.get(run.step), "met")
        _branch(run, plan, "met", moment.now)
        moment.ready.append(run)


def _is_goal(plan: FlowPlan, run: FlowRun, event: Event) -> bool:
    goal = plan.flow.goal
    return (
        goal is not None
        and plan.goal is not None
        and goal.metric == event.metric
        and event.occurred_at >= run.started_at
        and event.id not in (run.trigger.event_id, run.trigger.begun_by)
        and plan.goal(event, run.trigger)
    )


def _has_been_reached(moment: Moment, plan: FlowPlan, run: FlowRun) -> bool:
    """Was the goal reached where the run did not hear it: by the other of two profiles that are one
    by now?
    """
    if plan.is_open is None:
        return False
    person = Person(moment.row, moment.program, run.trigger, run)
    return not plan.is_open.holds(person, moment.now)


def _end_as_reached(moment: Moment, plan: FlowPlan, run: FlowRun) -> None:
    drop_held(moment, run, plan, GOAL_REACHED)
    say(moment, run, None, "skipped", (GOAL_REACHED,))
    end(moment, run, plan, for_good=True)


def _is_awaited(plan: FlowPlan, run: FlowRun, event: Event) -> bool:
    """Does the run wait for this event? Events count from the moment the step was reached."""
    place = plan.places.get(run.step)
    return (
        place is not None
        and isinstance(place.step, WaitFor)
        and place.step.event.metric == event.metric
        and event.occurred_at >= run.reached_at
        and place.test is not None
        and place.test(event, run.trigger)
    )


def resume(moment: Moment, run: FlowRun) -> None:
    """Let a run go on whose time has come: a `wait_for` was missed, a wait or a hold is over, or
    the date has come for which it was to begin.
    """
    if run.trigger.kind == TO_COME:
        if moment.is_disabled(run.flow):
            moment.row.runs.remove(run)
        else:
            begin(moment, run)
        return
    run.wake_at = None
    plan = moment.plans.flows.get(run.flow)
    if plan is not None and run.listening:
        trace_branch(moment, run, plan.places.get(run.step), "missed")
        _branch(run, plan, "missed", moment.now)
    elif plan is not None and run.passed:
        place = plan.places.get(run.step)
        run.step = BEHIND if place is None or place.after is None else place.after
        run.passed = False
    advance(moment, run)


def go_on(moment: Moment) -> None:
    """Let the runs go on that stopped in a flow which is not paused any more, each once."""
    ready = {id(run) for run in moment.ready}
    for run in moment.row.runs:
        plan = moment.plans.flows.get(run.flow)
        stopped = run.wake_at is None and not run.listening and id(run) not in ready
        if stopped and not (plan and is_paused(plan)):
            moment.ready.append(run)


def is_paused(plan: FlowPlan) -> bool:
    return plan.flow.state == "paused"


def advance(moment: Moment, run: FlowRun) -> None:
    """Take steps until the run waits or ends. Every step leads forward, so this ends."""
    plan = moment.plans.flows.get(run.flow)
    if plan is None or moment.is_disabled(run.flow):
        reason = FLOW_GONE if plan is None else FLOW_RAISED
        drop_held(moment, run, plan, reason)
        say(moment, run, None, "skipped", (reason,))
        end(moment, run, plan)
        return
    if _has_been_reached(moment, plan, run):
        _end_as_reached(moment, plan, run)
        return
    while run.ended_at is None:
        found = plan.place(run.step)
        if found is None:
            end(moment, run, plan)
            return
        if is_paused(plan):
            run.wake_at = None
            return
        run.step, place = found
        if run.anew and not isinstance(place.step, Send):
            end(moment, run, plan)
            return
        trace_step(moment, run, place)
        if not _TAKE[type(place.step)](moment, plan, run, place):
            trace_rest(moment, run)
            return


def _go_on(moment: Moment, plan: FlowPlan, run: FlowRun, path: StepPath | None) -> bool:
    """Put the run before the step at `path`; at the end of the flow the run ends."""
    run.wake_at = run.held_since = None
    run.listening = run.passed = False
    run.attempt = 0
    run.reached_at = moment.now
    if path is None or run.anew:
        end(moment, run, plan)
        return False
    run.step = path
    return True


def _branch(run: FlowRun, plan: FlowPlan, name: str, now: Instant) -> None:
    """Leave a `wait_for` by one of its branches; what is not there leads to what follows it."""
    run.listening, run.wake_at, run.reached_at = False, None, now
    inside = (*run.step, name, 0)
    if inside in plan.places:
        run.step = inside
        return
    place = plan.places.get(run.step)
    if place is not None and isinstance(place.step, WaitFor):
        run.step = BEHIND if place.after is None else place.after


# --- the steps -----------------------------------------------------------------------------------


def _into(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place, name: str) -> bool:
    trace_branch(moment, run, place, name)
    inside = (*run.step, name, 0)
    return _go_on(moment, plan, run, inside if inside in plan.places else place.after)


def _wait_until(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place, until: Instant) -> bool:
    if place.after is None or until <= moment.now:
        return _go_on(moment, plan, run, place.after)
    run.passed, run.wake_at = True, until
    return False


def _take_wait(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    step = place.step
    assert isinstance(step, Wait)
    return _wait_until(moment, plan, run, place, moment.now + step.span)


def _take_wait_until(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    step = place.step
    assert isinstance(step, WaitUntil)
    until = until_time_of_day(step, moment.now, _zone(moment, step.zone))
    return _wait_until(moment, plan, run, place, until)


def _take_wait_for_date(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    step = place.step
    assert isinstance(step, WaitForDate)
    until = until_date(step, run.trigger, _zone(moment, "store"))
    if until is None:
        say(moment, run, None, "skipped", (NO_DATE,))
        end(moment, run, plan)
        return False
    return _wait_until(moment, plan, run, place, until)


def _take_wait_for(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    step = place.step
    assert isinstance(step, WaitFor)
    run.reached_at = moment.now
    if step.at_most <= 0:
        return _into(moment, plan, run, place, "missed")
    run.listening = True
    run.wake_at = moment.now + step.at_most
    return False


def _take_send(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    return send(moment, plan, run, place) and _go_on(moment, plan, run, place.after)


def _take_split(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    assert place.condition is not None
    person = Person(moment.row, moment.program, run.trigger, run)
    holds = place.condition.holds(person, moment.now)
    return _into(moment, plan, run, place, "then" if holds else "else")


def _take_split_trigger(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    assert place.test is not None
    passes = place.test(run.trigger, run.trigger)
    return _into(moment, plan, run, place, "then" if passes else "else")


def _take_split_random(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    step = place.step
    assert isinstance(step, SplitRandom)
    path = "/".join(map(str, run.step))
    return _into(moment, plan, run, place, choose(moment.ids, step.weights, "split", run.id, path))


def _take_set(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    step = place.step
    assert isinstance(step, SetTraits)
    for name, value in _set_values(moment, step).items():
        before = moment.row.traits.get(name)
        trait = Trait(value, moment.now, moment.now)
        if before is not None and before.value == value:
            trait = Trait(value, moment.now, before.since, other_at=before.other_at)
        elif before is not None:
            trait = Trait(value, moment.now, moment.now, other_at=min(said_at(before), moment.now))
        moment.row.traits[name] = trait
        moment.traits.add(name)
    hear_dates(moment, None)
    return _go_on(moment, plan, run, place.after)


def _set_values(moment: Moment, step: SetTraits) -> Properties:
    """What the step makes of the traits it names. What is no list has nothing to be removed."""
    values = {
        name: to_timestamp(moment.now) if value == "now" else value
        for name, value in step.set.items()
    }
    for changes, adds in ((step.add, True), (step.remove, False)):
        for name, elements in changes.items():
            before = moment.row.traits.get(name)
            present = before.value if before is not None else None
            if not adds and not isinstance(present, list):
                continue
            kept = list(present) if isinstance(present, list) else []
            named = elements if isinstance(elements, list) else [elements]
            kept = [element for element in kept if element not in named]
            values[name] = [*kept, *named] if adds else kept
    return values


def _take_join(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    step = place.step
    assert isinstance(step, Join)
    membership = _membership(moment, step.list)
    if not is_member(membership):
        join(membership, max(moment.now, membership.left_at + 1))
        moment.lists.add(step.list)
        moment.joined.append((step.list, _cause(plan, run)))
    return _go_on(moment, plan, run, place.after)


def _take_leave(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    step = place.step
    assert isinstance(step, Leave)
    membership = _membership(moment, step.list)
    if is_member(membership):
        leave(membership, max(moment.now, membership.joined_at))
        moment.lists.add(step.list)
    return _go_on(moment, plan, run, place.after)


def _membership(moment: Moment, name: ListId) -> ListMembership:
    return moment.row.lists.setdefault(name, ListMembership())


def _take_notify(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    """Tell the people of the store."""
    step, row = place.step, moment.row
    assert isinstance(step, Notify)
    path = "/".join(map(str, run.step))
    requested = NotificationRequested(
        id=moment.ids.derive("notified", run.id, path, moment.now),
        store=row.store,
        profile_id=row.id,
        to=step.to,
        message=step.message,
        flow=run.flow,
        flow_run_id=run.id,
        identifiers={kind: in_order(row, kind) for kind in sorted(row.identifiers)},
        context=context_of(row, run),
        decided_at=to_timestamp(moment.now),
    )
    moment.outputs.append(Output(NOTIFICATIONS.name, row.id, requested))
    return _go_on(moment, plan, run, place.after)


def _take_start(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    step = place.step
    assert isinstance(step, Start)
    other = moment.plans.flows.get(step.flow)
    if other is not None:
        trigger = msgspec.structs.replace(
            run.trigger,
            event_id=_cause(plan, run),
            occurred_at=moment.now,
            begun_by=moment.event,
        )
        enter(moment, other, trigger, None)
    return _go_on(moment, plan, run, place.after)


def _cause(plan: FlowPlan, run: FlowRun) -> str:
    """The id of what starts another flow: the run's; with the place of the step, but for the first
    that can start one, so that each of them starts a run of its own.
    """
    first = next(path for path, at in plan.places.items() if isinstance(at.step, Start | Join))
    return run.id if run.step == first else "/".join(map(str, (run.id, *run.step)))


def _take_exit(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    assert isinstance(place.step, Exit)
    end(moment, run, plan)
    return False


def _zone(moment: Moment, name: str) -> ZoneInfo:
    settings = moment.program.settings
    if name == "profile":
        return zone_of(moment.row, settings.zone)
    zone = zone_named(settings.zone if name == "store" else name)
    assert zone is not None, "a zone is checked when its definition is read"
    return zone


Take = Callable[[Moment, FlowPlan, FlowRun, Place], bool]
_TAKE: dict[type[Step], Take] = {
    Wait: _take_wait,
    WaitUntil: _take_wait_until,
    WaitForDate: _take_wait_for_date,
    WaitFor: _take_wait_for,
    Send: _take_send,
    Split: _take_split,
    SplitTrigger: _take_split_trigger,
    SplitRandom: _take_split_random,
    SetTraits: _take_set,
    Join: _take_join,
    Leave: _take_leave,
    Notify: _take_notify,
    Start: _take_start,
    Exit: _take_exit,
}
"""How each kind of step is taken. Returns whether the run goes on at once."""
