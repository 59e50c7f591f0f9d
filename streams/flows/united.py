"""The flow runs of two profiles that become one, and what is remembered of their entries."""

from schemas.rows import FlowMemory, FlowRun, ProfileRow
from schemas.values import Instant
from streams.flows.entry import MEMORIES_MAX, SETTLED_MAX, settle


def unite_flows(row: ProfileRow, lost: ProfileRow, now: Instant) -> None:
    """Two runs become one only if they are of the same flow and the same trigger: then that which
    began first goes on. Over the cap of runs they are ended when the row is next looked at.
    """
    doubled = _doubled(row, lost)
    row.runs = _earliest([*row.runs, *lost.runs])
    settled = _earliest([*row.settled, *lost.settled])
    row.settled = sorted(settled, key=lambda run: (run.ended_at or 0, run.id))[-SETTLED_MAX:]
    settle(row, now)
    united = dict(row.flows)
    for key, memory in lost.flows.items():
        ours = united.get(key)
        united[key] = memory if ours is None else _both(ours, memory, key in doubled)
    if len(united) > MEMORIES_MAX and "flows" not in row.coarsened:
        row.coarsened.append("flows")
    by_entry = sorted(united, key=lambda key: (united[key].entered_at, key))[-MEMORIES_MAX:]
    row.flows = {key: united[key] for key in by_entry}


def _identity(run: FlowRun) -> tuple[object, ...]:
    """What makes two runs the same: flow and trigger; of a send planned anew, also which."""
    again = (run.id, run.step, run.attempt) if run.anew else ()
    return (run.flow, run.trigger.kind, run.trigger.event_id, again)


def _earliest(runs: list[FlowRun]) -> list[FlowRun]:
    """One of each, in the order in which they began; a variant once assigned stays."""
    kept: dict[tuple[object, ...], FlowRun] = {}
    for run in sorted(runs, key=lambda run: (run.entered_at, run.id)):
        first = kept.setdefault(_identity(run), run)
        if first is not run:
            first.variants = {**run.variants, **first.variants}
    return list(kept.values())


def _doubled(row: ProfileRow, lost: ProfileRow) -> set[str]:
    """Memories of flows that counted an entry of the same run twice."""
    ours = {_identity(run) for run in (*row.runs, *row.settled)}
    flows = {run.flow for run in (*lost.runs, *lost.settled) if _identity(run) in ours}
    return {key for key in lost.flows if key.partition("/")[0] in flows}


def _both(one: FlowMemory, other: FlowMemory, doubled: bool) -> FlowMemory:
    """The newest entry counts for re-entry; it is over when both are."""
    ended = None
    if one.ended_at is not None and other.ended_at is not None:
        ended = max(one.ended_at, other.ended_at)
    return FlowMemory(
        max(one.entered_at, other.entered_at), one.entries + other.entries - doubled, ended
    )
