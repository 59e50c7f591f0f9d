"""Who enters a flow: every entry is a run, every refusal a decision with its reason.

Only flows whose trigger matched are asked; what does not match is no entry and not recorded.
"""

import msgspec

from schemas.definitions import OnDate
from schemas.events import Event
from schemas.outputs import Evidence, FlowTriggered, SendDecided
from schemas.rows import FlowMemory, FlowRun, ProfileRow, Trait, Trigger
from schemas.topics import FLOW_TRIGGERS, SEND_DECISIONS
from schemas.values import Instant, ListId, Millis, Properties, SegmentId
from streams.core import Output, PartRaised
from streams.flows.dates import Start, last_start, next_start
from streams.flows.moment import Moment, part_of
from streams.flows.plan import FIRST, FlowPlan
from streams.flows.trace import trace_entry
from streams.flows.zones import zone_of
from streams.ids import key_number
from streams.instants import DAY, to_timestamp
from streams.segments.person import TO_COME, Person
from streams.traits import said_at

BACKFILL = "backfill"
TOO_OLD = "too-old"
PROFILE_ERASED = "profile-erased"
FLOW_PAUSED = "flow-paused"
FLOW_DRAINING = "flow-draining"
IN_A_CIRCLE = "in-a-circle"
NO_KEY = "no-key"
ALREADY_RUNNING = "already-running"
RE_ENTRY = "re-entry"
TOO_MANY_RUNS = "too-many-runs"
NOT_INTERESTED = "not-interested"
FLOW_FILTER = "flow-filter"
GOAL_REACHED = "goal-reached"

DATE = "date"
"""Kind of the trigger of a run that a date has started."""

AT_ONCE_MAX = 10
"""How often a flow may be entered at one instant: what is entered on and on leads to itself."""

RUNS_MAX = 40
MEMORIES_MAX = 200
"""Flow runs and re-entry memories a row holds."""

SETTLED_FOR: Millis = DAY
SETTLED_MAX = 10
"""How long, and how many of, the runs that ended and have sent are kept."""

KEY_MAX = 64
"""A longer value of a flow's key is remembered by its hash."""

TRIGGER_BYTES_MAX = 4096
"""What a run keeps of its event's properties."""

_encode = msgspec.msgpack.Encoder().encode


def enter_by_event(moment: Moment, event: Event) -> None:
    """Start the flows whose trigger is this event; wait for the dates that it told."""
    trigger = None
    for plan in moment.plans.by_metric.get(event.metric, ()):
        if moment.is_disabled(plan.flow.id):
            continue
        try:
            starts = plan.test(event, None)
        except Exception as error:
            raise PartRaised(f"flow/{plan.flow.id}") from error
        if starts:
            trigger = trigger or trigger_of(moment.row, event)
            enter(moment, plan, trigger, event)
    hear_dates(moment, event)


def enter_by_segment(
    moment: Moment, segment: SegmentId, at: Instant, change_id: str, event: Event | None
) -> None:
    """Start the flows of a segment that was entered at `at`; event: what did it, None: time."""
    for plan in moment.plans.by_segment.get(segment, ()):
        trigger = Trigger("segment", change_id, occurred_at=at, begun_by=moment.event)
        enter(moment, plan, trigger, event)


def enter_by_list(moment: Moment, name: ListId, event: Event | None, cause: str) -> None:
    """Start the flows of a list that was joined; cause: the id of the event or run that did it."""
    for plan in moment.plans.by_list.get(name, ()):
        if event is None:
            trigger = Trigger("list", cause, occurred_at=moment.now, begun_by=moment.event)
        else:
            trigger = trigger_of(moment.row, event, "list")
        enter(moment, plan, trigger, event)


def hear_dates(moment: Moment, event: Event | None) -> None:
    """Wait for the dates of which the event (None: a step of a flow) may have told.

    A date just told may have begun already: it starts the flow late (`trigger_max_age`), unless its
    day is over.
    """
    for plan in moment.plans.by_date:
        part_of(plan.flow.id, _hear_date, moment, plan, event)


def _hear_date(moment: Moment, plan: FlowPlan, event: Event | None) -> None:
    row, now = moment.row, moment.now
    _await_date(moment, plan)
    on_date = _on_date(plan)
    trait = row.traits.get(on_date.trait)
    if trait is not None and row.erased_at is None and _is_told(on_date, trait, event, now):
        zone = zone_of(row, moment.program.settings.zone)
        begun = last_start(on_date, trait.value, zone, now)
        if begun is not None and now < begun.over_at:
            _enter_by_date(moment, plan, trait, begun, event)


def await_dates(moment: Moment) -> None:
    """Let a run wait for the next date of every flow that a date starts, and for no other."""
    flows = {plan.flow.id for plan in moment.plans.by_date}
    moment.row.runs = [run for run in moment.row.runs if not _is_to_come(run) or run.flow in flows]
    for plan in moment.plans.by_date:
        part_of(plan.flow.id, _await_date, moment, plan)


def _await_date(moment: Moment, plan: FlowPlan) -> None:
    """At most one run of a flow waits."""
    row, now = moment.row, moment.now
    on_date = _on_date(plan)
    trait = None if moment.is_disabled(plan.flow.id) else row.traits.get(on_date.trait)
    waiting = [run for run in row.runs if run.flow == plan.flow.id and _is_to_come(run)]
    wanted: list[Trigger] = []
    if trait is not None and row.erased_at is None:
        zone = zone_of(row, moment.program.settings.zone)
        following = next_start(on_date, trait.value, zone, now)
        if following is not None:
            wanted.append(_date_trigger(moment, on_date, trait, following))
    if [run.trigger for run in waiting] != wanted:
        row.runs = [run for run in row.runs if run not in waiting]
        row.runs += [_run_to_come(moment, plan, trigger) for trigger in wanted]


def _enter_by_date(
    moment: Moment, plan: FlowPlan, trait: Trait, start: Start, event: Event | None
) -> None:
    trigger = _date_trigger(moment, _on_date(plan), trait, start)
    begun = msgspec.structs.replace(trigger, kind=DATE, begun_by=moment.event)
    enter(moment, plan, begun, event)


def _is_told(on_date: OnDate, trait: Trait, event: Event | None, now: Instant) -> bool:
    """Has the trait had this value since this very moment?"""
    if event is None:
        return trait.since == now
    told = on_date.trait in event.traits or on_date.trait in event.traits_once
    return told and trait.since == said_at(trait) == event.occurred_at


def _on_date(plan: FlowPlan) -> OnDate:
    assert isinstance(plan.flow.trigger, OnDate), "flows by date are started by dates"
    return plan.flow.trigger


def _is_to_come(run: FlowRun) -> bool:
    return run.trigger.kind == TO_COME


def _date_trigger(moment: Moment, on_date: OnDate, trait: Trait, start: Start) -> Trigger:
    """The same date is the same trigger, whoever's row it stands in. `date`: the day meant."""
    day = start.day.isoformat()
    return Trigger(
        TO_COME,
        "d" + moment.ids.derive("date", moment.row.store, on_date.trait, day),
        occurred_at=start.at,
        said=msgspec.Raw(_encode({on_date.trait: trait.value, "date": day})),
    )


def _run_to_come(moment: Moment, plan: FlowPlan, trigger: Trigger) -> FlowRun:
    row, at = moment.row, trigger.occurred_at
    return FlowRun(
        id=moment.ids.run(row.store, row.id, plan.flow.id, trigger.event_id),
        flow=plan.flow.id,
        version=moment.program.version,
        trigger=trigger,
        started_at=at,
        entered_at=at,
        wake_at=at,
    )


def begin(moment: Moment, run: FlowRun) -> None:
    """The time of a run that waited for its date has come: enter, unless the date has moved."""
    row = moment.row
    row.runs.remove(run)
    plan = moment.plans.flows.get(run.flow)
    if plan is None or not isinstance(plan.flow.trigger, OnDate):
        return
    on_date = _on_date(plan)
    trait = row.traits.get(on_date.trait)
    zone = zone_of(row, moment.program.settings.zone)
    if trait is not None:
        start = last_start(on_date, trait.value, zone, run.trigger.occurred_at)
        if start is not None and start.at == run.trigger.occurred_at:
            _enter_by_date(moment, plan, trait, start, None)
    _await_date(moment, plan)


def trigger_of(row: ProfileRow, event: Event, kind: str = "event") -> Trigger:
    """The event as a run keeps it: of what is too large for a row, the first that fits."""
    said = _encode(event.properties)
    if len(said) > TRIGGER_BYTES_MAX:
        said = _encode(_first_of(event.properties))
        if "trigger" not in row.coarsened:
            row.coarsened.append("trigger")
    return Trigger(
        kind,
        event.id,
        event.metric,
        event.occurred_at,
        event.value,
        event.currency,
        msgspec.Raw(said),
        event.identifiers,
    )


def _first_of(properties: Properties) -> Properties:
    """The properties that fit, small ones first; of a list that does not, its first elements."""
    sizes = {name: len(_encode(value)) + len(name) + 5 for name, value in properties.items()}
    kept: set[str] = set()
    free = TRIGGER_BYTES_MAX
    for name in sorted(sizes, key=lambda name: (sizes[name], name)):
        value = properties[name]
        if sizes[name] <= free:
            kept.add(name)
            free -= sizes[name]
        elif isinstance(value, list):
            elements = []
            free -= len(name) + 5
            for element in value:
                free -= len(_encode(element))
                if free < 0:
                    break
                elements.append(element)
            return {**{one: properties[one] for one in properties if one in kept}, name: elements}
    return {name: properties[name] for name in properties if name in kept}


def enter(moment: Moment, plan: FlowPlan, trigger: Trigger, event: Event | None) -> None:
    """Start a run, or say why not. event: that started it, None where time or a flow did."""
    if not moment.is_disabled(plan.flow.id):
        part_of(plan.flow.id, _enter, moment, plan, trigger, event)


def _enter(moment: Moment, plan: FlowPlan, trigger: Trigger, event: Event | None) -> None:
    row, now, flow = moment.row, moment.now, plan.flow
    run = FlowRun(
        id=moment.ids.run(row.store, row.id, flow.id, trigger.event_id),
        flow=flow.id,
        version=moment.program.version,
        trigger=trigger,
        started_at=trigger.occurred_at,
        entered_at=now,
        step=FIRST,
        reached_at=now,
    )
    memory_key = _memory_key(plan, trigger)
    reasons = _objections(row, plan, memory_key, event, now)
    if moment.entered.get(memory_key or "", 0) >= AT_ONCE_MAX:
        reasons.append(IN_A_CIRCLE)
    if trigger.kind == DATE and now - trigger.occurred_at > flow.trigger_max_age:
        reasons = [*reasons, *([] if TOO_OLD in reasons else [TOO_OLD])]
    evidence: tuple[Evidence, ...] = ()
    person = Person(row, moment.program, trigger, run)
    conditions = (
        (NOT_INTERESTED, plan.interest),
        (FLOW_FILTER, plan.filter),
        (GOAL_REACHED, plan.is_open),
    )
    for reason, condition in conditions:
        if condition is not None and not condition.holds(person, now):
            reasons.append(reason)
            evidence += condition.explain(person, now)
    trace_entry(moment, run, reasons, conditions)
    if reasons:
        _refuse(moment, run, reasons, evidence)
        return
    assert memory_key is not None, "an entry without its key is refused"
    moment.entered[memory_key] = moment.entered.get(memory_key, 0) + 1
    memory = row.flows.pop(memory_key, None) or FlowMemory()
    memory.entered_at, memory.ended_at = now, None
    row.flows[memory_key] = memory
    if len(row.flows) > MEMORIES_MAX:
        del row.flows[next(iter(row.flows))]
        if "flows" not in row.coarsened:
            row.coarsened.append("flows")
    row.runs.append(run)
    moment.ready.append(run)
    triggered = FlowTriggered(
        id=run.id,
        store=row.store,
        profile_id=row.id,
        flow=flow.id,
        version=run.version,
        trigger=plan.started_by,
        trigger_event_id=trigger.event_id,
        started_at=to_timestamp(run.started_at),
        decided_at=to_timestamp(now),
    )
    moment.outputs.append(Output(FLOW_TRIGGERS.name, row.id, triggered))


def end(moment: Moment, run: FlowRun, plan: FlowPlan | None, *, for_good: bool = False) -> None:
    """End a run. It is kept for a day if it has sent, for a send of it may expire yet; one that is
    over for good plans nothing anew.
    """
    row, now = moment.row, moment.now
    row.runs.remove(run)
    run.wake_at, run.ended_at, run.listening = None, now, False
    if run.anew:
        return
    key = None if plan is None else _memory_key(plan, run.trigger)
    if key is not None and (memory := row.flows.get(key)) is not None:
        memory.ended_at = now
    settle(row, now)
    newest = max((sent.at for sent in row.sent if sent.run_id == run.id), default=0)
    if not for_good and newest > now - SETTLED_FOR:
        row.settled.append(run)
        del row.settled[:-SETTLED_MAX]


def settle(row: ProfileRow, now: Instant) -> None:
    """Forget the runs that ended more than a day ago."""
    if row.settled:
        row.settled = [run for run in row.settled if (run.ended_at or 0) > now - SETTLED_FOR]


def _objections(
    row: ProfileRow, plan: FlowPlan, memory_key: str | None, event: Event | None, now: Instant
) -> list[str]:
    """All reasons against an entry but the flow's filter, in the order in which they are asked."""
    flow = plan.flow
    reasons = []
    if row.erased_at is not None:
        reasons.append(PROFILE_ERASED)
    if flow.state != "live":
        reasons.append(FLOW_PAUSED if flow.state == "paused" else FLOW_DRAINING)
    if event is not None:
        if event.backfill:
            reasons.append(BACKFILL)
        if event.received_at - event.occurred_at > flow.trigger_max_age:
            reasons.append(TOO_OLD)
    if memory_key is None:
        reasons.append(NO_KEY)
        return reasons
    if any(
        run.flow == flow.id
        and not run.anew
        and not _is_to_come(run)
        and _memory_key(plan, run.trigger) == memory_key
        for run in row.runs
    ):
        reasons.append(ALREADY_RUNNING)
    memory = row.flows.get(memory_key)
    if memory is not None and flow.re_entry.rule != "always":
        allowed_at = memory.entered_at + flow.re_entry.after
        if flow.re_entry.rule == "never" or now < allowed_at:
            reasons.append(RE_ENTRY)
    if sum(not _is_to_come(run) for run in row.runs) >= RUNS_MAX:
        reasons.append(TOO_MANY_RUNS)
        if "runs" not in row.coarsened:
            row.coarsened.append("runs")
    return reasons


def _memory_key(plan: FlowPlan, trigger: Trigger) -> str | None:
    """`flow` or `flow/key`; None where the trigger lacks the flow's key."""
    if plan.key is None:
        return plan.flow.id
    value = plan.key(trigger)
    if value is None:
        return None
    text = str(value)
    return f"{plan.flow.id}/{text if len(text) <= KEY_MAX else key_number(text)}"


def _refuse(
    moment: Moment, run: FlowRun, reasons: list[str], evidence: tuple[Evidence, ...]
) -> None:
    row = moment.row
    decided = SendDecided(
        id=moment.ids.derive("refused", run.id, moment.now),
        store=row.store,
        profile_id=row.id,
        flow=run.flow,
        flow_run_id=None,
        message=None,
        channel=None,
        outcome="refused",
        reason=reasons[0],
        reasons=tuple(reasons),
        trigger_event_id=run.trigger.event_id,
        decided_at=to_timestamp(moment.now),
        evidence=evidence,
    )
    moment.outputs.append(Output(SEND_DECISIONS.name, row.id, decided))
