"""What a condition is asked about, and what every leaf answers."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from schemas.definitions import StoreSettings
from schemas.outputs import Evidence
from schemas.rows import FlowRun, ProfileRow, Trigger
from schemas.values import Instant


class InForce(Protocol):
    """What leaves need of a program."""

    @property
    def settings(self) -> StoreSettings: ...


TO_COME = "date-to-come"
"""Kind of the trigger of a run that has not begun: it waits for its date."""


class Person(NamedTuple):
    """One profile, seen from a segment (row, program) or from a flow (with trigger and run)."""

    row: ProfileRow
    program: InForce
    trigger: Trigger | None = None
    run: FlowRun | None = None


Answer: TypeAlias = tuple[bool, Instant | None]
"""(holds, next flip): when time alone may change the answer; None: never. The flip is later than
`now`; it may be too early (then asking again at the flip gives the next one), never too late."""

Ask: TypeAlias = Callable[[Person, Instant], Answer]
Explain: TypeAlias = Callable[[Person, Instant], tuple[Evidence, ...]]

HOLDS: Answer = (True, None)
FAILS: Answer = (False, None)


class Needs(NamedTuple):
    """What an answer depends on besides time: whatever of it changes, the leaf is asked again."""

    features: frozenset[str] = frozenset()
    traits: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()
    rankings: frozenset[str] = frozenset()

    def joined(self, other: "Needs") -> "Needs":
        return Needs(*(mine | theirs for mine, theirs in zip(self, other, strict=True)))


class Compiled:
    """A condition, compiled.

    ask:     (person, now) -> (holds, next flip). explain: its leaves with what was found.
    """

    __slots__ = ("ask", "explain", "needs")

    def __init__(self, ask: Ask, explain: Explain, needs: Needs) -> None:
        self.ask = ask
        self.explain = explain
        self.needs = needs

    def holds(self, person: Person, now: Instant) -> bool:
        return self.ask(person, now)[0]
