"""The flow runs of two profiles that become one, and what is remembered of their entries."""

from collections.abc import Iterable, Iterator

from schemas.rows import FlowMemory, FlowRun, ProfileRow
from schemas.values import FlowId, Instant
from streams.flows.entry import MEMORIES_MAX, SETTLED_MAX, settle
from streams.flows.moment import Moment
from streams.flows.sending import drop_held
from streams.segments.person import TO_COME

SAME_RUN = "same-run"


def drop_doubled(ours: Moment, theirs: Moment) -> None:
    """Say that nothing comes of what is held in runs that do not go on when two profiles unite."""
    going_on = {id(run) for run in _going_on(ours.row, theirs.row)}
    for moment in (ours, theirs):
        for run in moment.row.runs:
            if id(run) not in going_on:
                drop_held(moment, run, moment.plans.flows.get(run.flow), SAME_RUN)


def unite_flows(row: ProfileRow, lost: ProfileRow, now: Instant) -> None:
    """Two runs become one only if they are of the same flow and the same trigger: then that which
    began first goes on, none if one is over and has sent. Over the cap of runs they are ended when
    the row is next looked at.
    """
    row.runs = _going_on(row, lost)
    settled = _earliest([*row.settled, *lost.settled])
    row.settled = sorted(settled, key=lambda run: (run.ended_at or 0, run.id))[-SETTLED_MAX:]
    settle(row, now)
    begun = (run for run in row.runs if run.trigger.kind != TO_COME and not run.anew)
    united, going_on = dict(row.flows), {run.flow for run in begun}
    for key, memory in lost.flows.items():
        ours = united.get(key)
        if ours is not None:
            memory = _both(ours, memory, goes_on=_flow_of(key) in going_on)
        united[key] = memory
    if len(united) > MEMORIES_MAX and "flows" not in row.coarsened:
        row.coarsened.append("flows")
    by_entry = sorted(united, key=lambda key: (united[key].entered_at, key))[-MEMORIES_MAX:]
    row.flows = {key: united[key] for key in by_entry}


def _identity(run: FlowRun) -> tuple[object, ...]:
    """What makes two runs the same: flow and trigger; of a send planned anew, also which."""
    again = (run.id, run.step, run.attempt) if run.anew else ()
    return (run.flow, run.trigger.kind, run.trigger.event_id, again)


def _going_on(row: ProfileRow, lost: ProfileRow) -> list[FlowRun]:
    over = [*_also_in(lost.settled, row.runs), *_also_in(row.settled, lost.runs)]
    runs = _earliest((*row.runs, *lost.runs))
    return [run for run in runs if not any(run is one for one in over)]


def _also_in(settled: Iterable[FlowRun], runs: Iterable[FlowRun]) -> Iterator[FlowRun]:
    known = set(map(_identity, settled))
    return (run for run in runs if _identity(run) in known)


def _earliest(runs: Iterable[FlowRun]) -> list[FlowRun]:
    """One of each, in the order in which they began; a variant once assigned stays."""
    kept: dict[tuple[object, ...], FlowRun] = {}
    for run in sorted(runs, key=lambda run: (run.entered_at, run.id)):
        first = kept.setdefault(_identity(run), run)
        if first is not run:
            first.variants = {**run.variants, **first.variants}
    return list(kept.values())


def _flow_of(memory_key: str) -> FlowId:
    return memory_key.partition("/")[0]


def _both(one: FlowMemory, other: FlowMemory, *, goes_on: bool) -> FlowMemory:
    """The newest entry counts for re-entry; it is over when both are, or no run goes on."""
    ends = [memory.ended_at for memory in (one, other) if memory.ended_at is not None]
    ended = max(ends, default=None) if len(ends) == 2 or not goes_on else None
    return FlowMemory(max(one.entered_at, other.entered_at), ended_at=ended)
