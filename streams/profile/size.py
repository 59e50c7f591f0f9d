"""A row that is over the cap of all of it lets go of what it can best do without.

Each part has a cap of its own; all together are too large where many segments look far back, ids
are long, or the history of a split is awaited. First the oldest history of the features goes; if
that is not enough, also older traits, what triggers said, and what is remembered of splits and
merges that are not over. Identifiers, consent, lists and sends stay.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from schemas.rows import NOTHING_SAID, FeatureState, FlowRun, ProfileRow, Trait
from streams.core import ROW, ROW_BYTES_MAX
from streams.definitions.program import Program
from streams.flows.entry import RUNS_MAX
from streams.profile.facts import TRAITS_BYTES_MAX, coarsen, newest_traits
from streams.profile.sides import is_quiet
from streams.segments.features import LEFT_OUT, saturate
from streams.segments.keeping import shorten
from streams.segments.person import TO_COME

ROOMY: Final = ROW_BYTES_MAX // 2
"""Bytes of a row that has room again: the next event must not take it over its cap."""

_ENTRIES: Final = (256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Entries that each feature keeps, until the row has room."""

_STRANGERS_MAX: Final = 10
_TRAIT_BYTES_MAX: Final = 1_000


def lessen(row: ProfileRow, program: Program) -> None:
    """Give a row room, as far as that goes. It depends on nothing but the row and the program."""
    coarsen(row, ROW)
    facts = [row] if row.retold is None else [row, row.retold]
    for keep in _ENTRIES:
        if len(_encode(row)) <= ROOMY:
            return
        for part in facts:
            _shorten_features(part.features, program, keep)
    if len(_encode(row)) <= ROOMY:
        return
    for part in facts:
        part.traits = newest_traits(_short(part.traits), TRAITS_BYTES_MAX // 8)
    if is_quiet(row):  # nobody else has more for long
        _forget_oldest_runs(row)
    _forget_what_was_said((*row.runs, *row.settled))
    row.united = dict(list(row.united.items())[-1:])  # one is enough to have segments looked at
    for side in row.sides:
        side.identifiers = side.identifiers[:_STRANGERS_MAX]  # the one that was named comes first


def _shorten_features(features: dict[str, FeatureState], program: Program, keep: int) -> None:
    for key, state in features.items():
        feature = program.features.get(key.rstrip(LEFT_OUT))
        shorten(state, "newest" if feature is None else feature.content.kind, keep)
        saturate(state)


def _short(traits: dict[str, Trait]) -> dict[str, Trait]:
    """Without long ones: one of them would take the room of all others."""
    return {
        name: trait for name, trait in traits.items() if len(_encode(trait)) <= _TRAIT_BYTES_MAX
    }


def _forget_oldest_runs(row: ProfileRow) -> None:
    """Keep as many as may run at once, and those that wait for a date."""
    running = [run.id for run in row.runs if run.trigger.kind != TO_COME]
    over = set(running[: max(0, len(running) - RUNS_MAX)])
    row.runs = [run for run in row.runs if run.id not in over]


def _forget_what_was_said(runs: Iterable[FlowRun]) -> None:
    for run in runs:
        run.trigger = msgspec.structs.replace(run.trigger, said=NOTHING_SAID)


_encode = msgspec.msgpack.Encoder().encode
