"""Chance without chance: a random choice is a hash of ids, the same in every process for ever."""

from collections.abc import Mapping

from streams.ids import Ids

MILLION = 1_000_000


def choose(ids: Ids, weights: Mapping[str, int], *of: str) -> str:
    """One of the names, by weight and a hash of `of`."""
    names = sorted(weights)
    total = sum(weights.values())
    assert total > 0, "at least one weight above 0"
    place = _number(ids, *of) * total >> 64
    for name in names:
        place -= weights[name]
        if place < 0:
            return name
    raise AssertionError("the place lies within the total")


def falls_in(ids: Ids, share: int, *of: str) -> bool:
    """Does the hash of `of` lie in the first `share` millionths?"""
    return share > 0 and _number(ids, *of) * MILLION >> 64 < share


def _number(ids: Ids, *of: str) -> int:
    return int(ids.derive("choice", *of)[:16], 16)
