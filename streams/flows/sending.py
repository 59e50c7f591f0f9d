"""A run comes to a send: it is planned, asked through the gates, and the answer is written down."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from schemas.definitions import Flow, OnDate, OnList, OnSegment, Send
from schemas.outputs import Evidence, SendDecided
from schemas.rows import FlowRun
from schemas.topics import SEND_COMMANDS, SEND_DECISIONS
from schemas.values import Channel, Instant, SendId
from streams.consent.receiving import address_of
from streams.consent.state import ADDRESS_KINDS
from streams.core import Output
from streams.definitions.dates import to_day
from streams.flows.chance import falls_in
from streams.flows.entry import DATE
from streams.flows.moment import Moment
from streams.flows.plan import FlowPlan, Place
from streams.flows.zones import zone_of
from streams.instants import to_timestamp
from streams.lists import is_member
from streams.segments.person import TO_COME, Compiled, Person
from streams.sends.command import choose_variant, command_of
from streams.sends.gates import Deliver, Drop, Hold, PlannedSend, Standing, decide
from streams.sends.standing import Ahead, remember, standing_of
from streams.sends.stops import stop_of

LEFT_SEGMENT = "left-segment"
LEFT_LIST = "left-list"
DATE_MOVED = "date-moved"


class About(NamedTuple):
    """The send that a decision is about."""

    send_id: SendId
    message: str
    channel: Channel


class Filtered(NamedTuple):
    passes: bool
    evidence: tuple[Evidence, ...]


def send(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    """Make the send, or say why not. Returns: whether the run goes on (False: the send is held)."""
    step, now = place.step, moment.now
    assert isinstance(step, Send)
    choose_variant(moment.row, run, step, moment.ids, now=now)
    about = about_send(moment, run, step)
    planned = PlannedSend(
        id=about.send_id,
        flow=run.flow,
        run_id=run.id,
        step=step,
        address=_address(moment, run, step),
        attempt=run.attempt,
        held_since=run.held_since,
    )
    left = left_reason(moment, plan, run)
    if left is not None:
        say(moment, run, about, "skipped", (left,))
        return True
    standing = _standing(moment, plan, run, place, planned)
    decision = decide(planned, standing, now=now)
    match decision:
        case Deliver(valid_until):
            _deliver(moment, run, planned, valid_until)
        case Drop(reasons):
            say(moment, run, about, "dropped", reasons, evidence=standing.explain(reasons))
        case Hold(until, reasons):
            assert until > now, "held until a time that is over"
            evidence = standing.explain(reasons)
            say(moment, run, about, "held", reasons, until=until, evidence=evidence)
            run.held_since = now if run.held_since is None else run.held_since
            run.wake_at = until
            return False
    return True


def about_send(moment: Moment, run: FlowRun, step: Send) -> About:
    """The present attempt of a run at a send."""
    return About(moment.ids.send(run.id, step.message, run.attempt), step.message, step.channel)


def drop_held(moment: Moment, run: FlowRun, plan: FlowPlan | None, reason: str) -> None:
    """Say that nothing comes of the send that is held, if one is."""
    place = None if plan is None else plan.places.get(run.step)
    if run.held_since is None or place is None:
        return
    assert isinstance(place.step, Send), "only sends are held"
    say(moment, run, about_send(moment, run, place.step), "dropped", (reason,))
    run.held_since = None


def left_reason(moment: Moment, plan: FlowPlan, run: FlowRun) -> str | None:
    """Why the profile is not the flow's any more: it left the segment or list and had to stay, or
    the date is another.
    """
    if not plan.flow.stay:
        return None
    row = moment.row
    match plan.flow.trigger:
        case OnSegment(segment):
            membership = row.segments.get(segment)
            return None if membership is not None and membership.since is not None else LEFT_SEGMENT
        case OnList(name):
            return None if is_member(row.lists.get(name)) else LEFT_LIST
        case OnDate(trait) if run.trigger.kind == DATE:
            zone = zone_of(row, moment.program.settings.zone)
            said, held = run.trigger.properties.get(trait), row.traits.get(trait)
            moved = held is None or to_day(held.value, zone) != to_day(said, zone)
            return DATE_MOVED if moved else None
        case _:
            return None


def say(
    moment: Moment,
    run: FlowRun,
    about: About | None,
    outcome: Literal["sent", "held", "dropped", "skipped"],
    reasons: tuple[str, ...],
    *,
    until: Instant | None = None,
    evidence: tuple[Evidence, ...] = (),
) -> None:
    """Write down what became of a send, or (without one) what ended a run."""
    row, now = moment.row, moment.now
    what = run.attempt if about is None else about.send_id
    decided = SendDecided(
        id=moment.ids.derive("decided", run.id, what, outcome, now),
        store=row.store,
        profile_id=row.id,
        flow=run.flow,
        flow_run_id=run.id,
        message=None if about is None else about.message,
        channel=None if about is None else about.channel,
        outcome=outcome,
        reason=reasons[0] if reasons else None,
        reasons=reasons,
        send_id=None if about is None else about.send_id,
        until=None if until is None else to_timestamp(until),
        trigger_event_id=run.trigger.event_id or None,
        decided_at=to_timestamp(now),
        evidence=evidence,
    )
    moment.outputs.append(Output(SEND_DECISIONS.name, row.id, decided))


def _address(moment: Moment, run: FlowRun, step: Send) -> str | None:
    """The address on the triggering event, if it is this profile's (a browser may name anybody's),
    else the one in use.
    """
    kind = ADDRESS_KINDS[step.channel]
    held = moment.row.identifiers.get(kind, {})
    for identifier in run.trigger.identifiers:
        if identifier[0] == kind and identifier[1] in held:
            return identifier[1]
    return address_of(moment.row, step.channel)


def _standing(
    moment: Moment, plan: FlowPlan, run: FlowRun, place: Place, planned: PlannedSend
) -> Standing:
    row, flow = moment.row, plan.flow
    person = Person(row, moment.program, run.trigger, run)
    flow_filter = _filtered(plan.filter, person, moment.now)
    send_filter = _filtered(place.condition, person, moment.now)
    return standing_of(
        row,
        run,
        planned,
        moment.program.settings,
        now=moment.now,
        stop=stop_of(moment.stops, run.flow, planned.channel),
        ahead=() if planned.step.transactional else tuple(_ahead(moment, run, planned.step)),
        held_out=_is_held_out(moment, flow),
        passes_flow=flow_filter.passes,
        passes_send=send_filter.passes,
        evidence=flow_filter.evidence + send_filter.evidence,
    )


def _is_held_out(moment: Moment, flow: Flow) -> bool:
    row = moment.row
    return falls_in(moment.ids, flow.holdout, "holdout", row.store, flow.id, row.id)


def _ahead(moment: Moment, run: FlowRun, step: Send) -> Iterator[Ahead]:
    """The sends of a higher priority that come next in other runs, as far as their filters hold."""
    if not moment.program.settings.frequency_cap or step.priority == PRIORITIES[-1]:
        return
    for other in moment.row.runs:
        plan = moment.plans.flows.get(other.flow)
        if other is run or plan is None or plan.flow.state == "paused" or other.listening:
            continue
        place = plan.places.get(other.step)
        if place is not None and other.passed:
            place = None if place.after is None else plan.places.get(place.after)
        if place is None or not isinstance(place.step, Send) or place.step.transactional:
            continue
        higher = PRIORITIES.index(place.step.priority) > PRIORITIES.index(step.priority)
        if higher and _may_come(moment, plan, other, place):
            at = moment.now if other.wake_at is None else other.wake_at
            yield Ahead(place.step.channel, at, f"{other.flow}/{place.step.message}")


PRIORITIES = ("low", "normal", "high")


def _may_come(moment: Moment, plan: FlowPlan, run: FlowRun, place: Place) -> bool:
    if run.trigger.kind == TO_COME or _is_held_out(moment, plan.flow):
        return False
    person = Person(moment.row, moment.program, run.trigger, run)
    conditions = [one for one in (plan.filter, place.condition) if one is not None]
    return all(condition.holds(person, moment.now) for condition in conditions)


def _filtered(condition: Compiled | None, person: Person, now: Instant) -> Filtered:
    if condition is None or condition.holds(person, now):
        return Filtered(True, ())
    return Filtered(False, condition.explain(person, now))


def _deliver(moment: Moment, run: FlowRun, planned: PlannedSend, valid_until: Instant) -> None:
    row, settings, now = moment.row, moment.program.settings, moment.now
    command = command_of(row, run, planned, settings, moment.ids, now=now, valid_until=valid_until)
    moment.outputs.append(Output(SEND_COMMANDS.name, row.id, command))
    say(moment, run, about_send(moment, run, planned.step), "sent", ())
    remember(row, run, planned, settings, now)
