"""A choice is a hash of ids: the demo's dice, fixed by one seed and the same on every machine."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from heapq import nsmallest
from typing import TypeVar

SEED = b"tillstream demo 1"
"""Another seed makes another year. Raised with the number at its end, never otherwise."""

Chosen = TypeVar("Chosen")
_HASH = blake2b(key=SEED, digest_size=8)


def throw(what: str, *ids: str | int) -> float:
    """A number in [0, 1) for this question about these ids; `what` names the question."""
    return _number(what, *ids) / (1 << 64)


def between(low: int, high: int, what: str, *ids: str | int) -> int:
    """A whole number, both ends included."""
    assert low <= high
    return low + _number(what, *ids) % (high - low + 1)


def happens(share: float, what: str, *ids: str | int) -> bool:
    """Whether this is one of the `share` (0..1) of cases in which it happens."""
    return throw(what, *ids) < share


def pick(choices: Sequence[Chosen], what: str, *ids: str | int) -> Chosen:
    """One of `choices`, which are not empty."""
    return choices[_number(what, *ids) % len(choices)]


def sample(ids: Iterable[str], count: int, what: str) -> frozenset[str]:
    """`count` of these ids, or all where there are fewer; the order of `ids` does not matter."""
    return frozenset(nsmallest(count, set(ids), key=lambda one: (_number(what, one), one)))


def _number(what: str, *ids: str | int) -> int:
    digest = _HASH.copy()
    digest.update("/".join((what, *map(str, ids))).encode())
    return int.from_bytes(digest.digest(), "big")
