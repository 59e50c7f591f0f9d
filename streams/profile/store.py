"""A store's definitions, ready for its profiles: the program, the plans of its flows, the rules."""

from typing import Final, NamedTuple

from schemas.records import DefinitionsPublished
from schemas.rows import DefinitionsRow, ProfileRow
from streams.consent.statements import ConsentRules, rules_of
from streams.definitions.program import Program
from streams.definitions.switch import in_force, program_of
from streams.flows.edited import Moves, moves_between, relocate
from streams.flows.moment import Moment
from streams.flows.plan import FlowPlans, plan_flows
from streams.segments.features import SHADOW
from streams.visits import Visits


class Former(NamedTuple):
    """The definitions before these, as far as runs stand in them."""

    version: str
    plans: FlowPlans
    moves: Moves


class Store(NamedTuple):
    """A store's definitions, ready."""

    program: Program
    plans: FlowPlans
    rules: ConsentRules
    former: Former | None = None
    visits: Visits = Visits()


def ready(definitions: DefinitionsRow) -> Store:
    """Make definitions ready, and say where the runs of the former version have to go."""
    program = program_of(definitions)
    plans = plan_flows(program.flows, program.condition)
    visits = Visits(*definitions.visits)
    store = Store(program, plans, rules_of(program.settings, program.lists), visits=visits)
    before = definitions.former
    if before is None:
        return store
    former = ready(in_force(None, before, ())).plans
    return store._replace(former=Former(before.version, former, moves_between(former, plans)))


NOTHING: Final = ready(in_force(None, DefinitionsPublished("", "\x1f", "", ()), ()))
"""Of a store that has published nothing. It has a version, which nobody can publish: who was there
before the first definitions is brought under them, and is not asked like somebody new.
"""


def relocate_runs(moment: Moment, row: ProfileRow, store: Store) -> None:
    """Put the runs of a row that stands under the former definitions where their steps are now.

    row: that of the moment, or one that it absorbs.
    """
    former = store.former
    if former is not None and row.definitions.rstrip(SHADOW) == former.version:
        relocate(moment, row.runs, former.plans, former.moves)
