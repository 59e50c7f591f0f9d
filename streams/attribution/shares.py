"""How a model shares out: integer weights, and a split that loses and invents nothing.

All is integer arithmetic, so that the query (agents/reports/attribution.py) gives the same micros.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import assert_never

from schemas.values import Micros, Millis
from streams.attribution.rules import Model

HALVINGS_MAX = 40
"""After so many half-lives (280 days by default) the weight of `time-decay` stays what it is."""


def weights(model: Model, ages: Sequence[Millis], half_life: Millis) -> list[int]:
    """Weigh the sends that a conversion is shared by, in the order in which they count.

    ages: from the touch to the conversion, oldest first, at least one.
    position: 40 % to the first and to the last, 20 % to all between; two halves if there are two.
    time-decay: half the weight with every half-life; straight lines between the halvings, because
                a power of two of a fraction is not the same number on every machine.
    """
    count = len(ages)
    match model:
        case "first":
            return [1] + [0] * (count - 1)
        case "last":
            return [0] * (count - 1) + [1]
        case "linear":
            return [1] * count
        case "position":
            if count <= 2:
                return [1] * count
            return [2 * (count - 2)] + [1] * (count - 2) + [2 * (count - 2)]
        case "time-decay":
            return [decayed(age, half_life) for age in ages]
        case _:
            assert_never(model)


def decayed(age: Millis, half_life: Millis) -> int:
    """The weight of a touch of this age: exactly half after each half-life, never 0."""
    halvings, rest = divmod(age, half_life)
    if halvings >= HALVINGS_MAX:
        halvings, rest = HALVINGS_MAX, 0
    return (2 * half_life - rest) << (HALVINGS_MAX - halvings)


def split(amount: Micros, weights: Sequence[int]) -> list[Micros]:
    """Split `amount` by `weights`: each part within a micro of its share, their sum the amount.

    The parts are the differences of the running shares, each rounded down.
    """
    total = sum(weights)
    assert total > 0, "somebody to give it to"
    running = [amount * up_to // total for up_to in accumulate(weights, initial=0)]
    return [after - before for before, after in pairwise(running)]
