"""The trace of flows: what they did on the way, kept only where somebody asks (previews,
explanations).

The same code that runs live writes it, so it cannot say otherwise than what is done.
"""

from collections.abc import Iterable, Sequence

import msgspec

from schemas.outputs import Evidence
from schemas.rows import FlowRun
from schemas.values import EventId, FlowId, FlowRunId, Instant
from streams.flows.moment import Moment
from streams.flows.plan import Place, StepPath
from streams.flows.words import branch_words, step_words
from streams.segments.person import Compiled, Person


class Asked(msgspec.Struct, frozen=True, kw_only=True, tag="asked"):
    """A flow's trigger matched: who enters?

    reasons:  all that objected; none: a run started.
    evidence: reason of a condition -> its leaves, whether it objected or not.
    """

    at: Instant
    flow: FlowId
    run: FlowRunId
    trigger: EventId
    reasons: tuple[str, ...]
    evidence: dict[str, tuple[Evidence, ...]]


class Reached(msgspec.Struct, frozen=True, kw_only=True, tag="reached"):
    """A run came to a step. evidence: what the condition of a split found."""

    at: Instant
    run: FlowRunId
    path: StepPath
    step: str
    words: tuple[str, ...]
    evidence: tuple[Evidence, ...]


class Branched(msgspec.Struct, frozen=True, kw_only=True, tag="branched"):
    """A run went on by one of a step's branches. words: when that branch is taken."""

    at: Instant
    run: FlowRunId
    path: StepPath
    branch: str
    words: str


class Waits(msgspec.Struct, frozen=True, kw_only=True, tag="waits"):
    """A run stays where it is until an instant (a `wait_for`: at most)."""

    at: Instant
    run: FlowRunId
    path: StepPath
    until: Instant


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """A run is over."""

    at: Instant
    run: FlowRunId


Traced = Asked | Reached | Branched | Waits | Ended


def trace_entry(
    moment: Moment,
    run: FlowRun,
    reasons: Sequence[str],
    conditions: Iterable[tuple[str, Compiled | None]],
) -> None:
    """conditions: what was asked at the entry, by the reason with which it objects."""
    if moment.trace is None:
        return
    person = Person(moment.row, moment.program, run.trigger, run)
    evidence = {
        reason: condition.explain(person, moment.now)
        for reason, condition in conditions
        if condition is not None
    }
    moment.trace.append(
        Asked(
            at=moment.now,
            flow=run.flow,
            run=run.id,
            trigger=run.trigger.event_id,
            reasons=tuple(reasons),
            evidence=evidence,
        )
    )


def trace_step(moment: Moment, run: FlowRun, place: Place) -> None:
    if moment.trace is None:
        return
    person = Person(moment.row, moment.program, run.trigger, run)
    condition = place.condition
    moment.trace.append(
        Reached(
            at=moment.now,
            run=run.id,
            path=run.step,
            step=str(place.step.__struct_config__.tag),
            words=tuple(step_words(place.step)),
            evidence=() if condition is None else condition.explain(person, moment.now),
        )
    )


def trace_branch(moment: Moment, run: FlowRun, place: Place | None, name: str) -> None:
    if moment.trace is not None:
        words = name if place is None else branch_words(place.step, name)
        moment.trace.append(
            Branched(at=moment.now, run=run.id, path=run.step, branch=name, words=words)
        )


def trace_rest(moment: Moment, run: FlowRun) -> None:
    """Whether a run waits now, or is over."""
    if moment.trace is None:
        return
    if run.ended_at is not None:
        moment.trace.append(Ended(at=moment.now, run=run.id))
    elif run.wake_at is not None:
        moment.trace.append(Waits(at=moment.now, run=run.id, path=run.step, until=run.wake_at))
