"""A flow was edited while people were in it: where each step of the former version is now.

Steps are matched level by level, in their order, as many and as alike as possible: a send is known
by its message, everything else by its kind, and by its content where several are of one kind. A
step that is gone leads to what now follows the last step before it that is left.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from schemas.definitions import Flow, Send, Step, Wait, WaitForDate, WaitUntil
from schemas.rows import FlowRun
from schemas.values import FlowId
from streams.flows.moment import Moment
from streams.flows.plan import BEHIND, FlowPlans, StepPath, branches
from streams.flows.sending import about_send, drop_held, say

STEP_GONE = "step-gone"
FLOW_GONE = "flow-gone"


class Moved(NamedTuple):
    """path: where to go on. kept: the step is there; else what follows it is."""

    path: StepPath
    kept: bool


Moves: TypeAlias = Mapping[FlowId, Mapping[StepPath, Moved]]
"""Flow -> path in the former version -> place in this one; only of flows whose steps changed."""


def moves_between(former: FlowPlans, plans: FlowPlans) -> Moves:
    """Where the steps of all flows have gone."""
    found = {}
    for name, plan in plans.flows.items():
        before = former.flows.get(name)
        if before is not None and before.flow.steps != plan.flow.steps:
            found[name] = moved_steps(before.flow, plan.flow)
    return found


def moved_steps(former: Flow, flow: Flow) -> dict[StepPath, Moved]:
    """Where every step of the former version has gone."""
    found: dict[StepPath, Moved] = {}
    _move(former.steps, flow.steps, (), (), found)
    return found


def relocate(moment: Moment, runs: Sequence[FlowRun], former: FlowPlans, moves: Moves) -> None:
    """Put runs that stand in the former version where they belong in this one; a wait goes on, and
    a held send that is not there any more is dropped.
    """
    for run in runs:
        if run.flow not in moment.plans.flows and run.held_since is not None:
            drop_held(moment, run, former.flows.get(run.flow), FLOW_GONE)
            run.step = BEHIND
            continue
        moved = moves.get(run.flow, {}).get(run.step)
        if moved is None:
            continue
        step = former.flows[run.flow].places[run.step].step
        if run.anew:
            assert isinstance(step, Send), "only sends are planned anew"
            path = moment.plans.flows[run.flow].sends.get(step.message, BEHIND)
            moved = Moved(path, kept=path != BEHIND)
        if not moved.kept and run.held_since is not None:
            assert isinstance(step, Send), "only sends are held"
            say(moment, run, about_send(moment, run, step), "dropped", (STEP_GONE,))
        run.step = moved.path
        if not moved.kept:
            run.passed = run.listening = False
            run.held_since, run.attempt = None, 0


def _move(
    old: Sequence[Step],
    new: Sequence[Step],
    before: StepPath,
    now: StepPath,
    found: dict[StepPath, Moved],
) -> None:
    matched = _matched(old, new)
    follows = 0
    for index, step in enumerate(old):
        path, place = (*before, index), matched.get(index)
        if place is None:
            found[path] = gone = Moved((*now, follows), kept=False)
            _lose(step, path, gone, found)
            continue
        follows = place + 1
        found[path] = Moved((*now, place), kept=True)
        there = branches(new[place])
        for name, steps in branches(step).items():
            if name in there:
                _move(steps, there[name], (*path, name), (*now, place, name), found)
            else:
                gone = Moved((*now, follows), kept=False)
                _lose_all(steps, (*path, name), gone, found)


def _lose(step: Step, path: StepPath, gone: Moved, found: dict[StepPath, Moved]) -> None:
    for name, steps in branches(step).items():
        _lose_all(steps, (*path, name), gone, found)


def _lose_all(
    steps: Sequence[Step], path: StepPath, gone: Moved, found: dict[StepPath, Moved]
) -> None:
    for index, step in enumerate(steps):
        found[(*path, index)] = gone
        _lose(step, (*path, index), gone, found)


_WAITS = (Wait, WaitUntil, WaitForDate)


def _likeness(one: Step, other: Step) -> int:
    """0: not the same step. All waits are of one kind."""
    if isinstance(one, Send) or isinstance(other, Send):
        same = isinstance(one, Send) and isinstance(other, Send) and one.message == other.message
        return 3 if same else 0
    if one == other:
        return 2
    alike = type(one) is type(other) or (isinstance(one, _WAITS) and isinstance(other, _WAITS))
    return 1 if alike else 0


def _matched(old: Sequence[Step], new: Sequence[Step]) -> dict[int, int]:
    """Index in the old -> index in the new, rising, with the largest likeness in all."""
    best = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in reversed(range(len(old))):
        for j in reversed(range(len(new))):
            alike = _likeness(old[i], new[j])
            both = best[i + 1][j + 1] + alike if alike else 0
            best[i][j] = max(both, best[i + 1][j], best[i][j + 1])
    matched: dict[int, int] = {}
    i = j = 0
    while i < len(old) and j < len(new):
        alike = _likeness(old[i], new[j])
        if alike and best[i][j] == best[i + 1][j + 1] + alike:
            matched[i] = j
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return matched
