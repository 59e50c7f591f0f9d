"""Parts of the definitions that raised for one profile: left out there, until the next version.

A segment stays as it was. A flow starts no run, and its runs end. A feature that raises takes with
it every segment and flow that asks for it: what it would have kept is missing.
"""

from collections.abc import Iterable

from schemas.rows import ProfileRow
from streams.definitions.program import Program
from streams.flows.plan import FlowPlan, FlowPlans


def disable(row: ProfileRow, parts: Iterable[str], program: Program, plans: FlowPlans) -> None:
    """Leave these parts out of the row, as long as this version is in force."""
    row.disabled = {part: mark for part, mark in row.disabled.items() if mark == program.mark}
    for part in parts:
        row.disabled[part] = program.mark
        kind, _, name = part.partition("/")
        if kind == "feature":
            segments = program.segments_for(features=(name,))
            flows = [flow for flow, plan in plans.flows.items() if name in _features(plan)]
            row.disabled |= {f"segment/{one}": program.mark for one in sorted(segments)}
            row.disabled |= {f"flow/{one}": program.mark for one in flows}


def _features(plan: FlowPlan) -> frozenset[str]:
    """The features that the conditions of a flow ask for."""
    of_steps = (place.condition for place in plan.places.values())
    conditions = (plan.filter, plan.interest, plan.is_open, *of_steps)
    asked = [one.needs.features for one in conditions if one is not None]
    return frozenset[str]().union(*asked)
