"""Bounded sets of words about an address: what is kept of them, whatever comes first or twice.

A word is known by its event and the time at which that happened; of its copies the first receipt
counts, so a repeat changes nothing. Of each kind the newest few are kept. What speaks against an
address counts even when it is not kept any more: the older words are told as one, without event,
which has the latest times of all of them, repeats included.
"""

from collections.abc import Iterable
from typing import TypeAlias, TypeVar

import msgspec

from schemas.records import Reasoned, Word
from schemas.values import Instant

Times: TypeAlias = tuple[Instant, Instant]
"""(occurred_at, received_at)."""

BEFORE_EVERY_DENIAL: Instant = 1
"""When a grant was received that no denial is older than: it counts only where there is none."""

Kept = TypeVar("Kept", bound=Word | Reasoned)

WORDS_MAX = 4
"""Words of a kind (of a reason) that an address keeps one by one."""

OF_SEVERAL = 0
"""The event of a word that stands for several, or that no event has said."""


def newest(words: Iterable[Kept]) -> tuple[Kept, ...]:
    """The newest words, the newest first; the rest is forgotten. What any denial outdoes (a
    browser's grant, an opt-out list's) comes behind all others, however new it is, and is no copy
    of a word that was received otherwise.
    """
    outdone: list[Kept] = []
    others: list[Kept] = []
    for word in words:
        (outdone if word.received_at == BEFORE_EVERY_DENIAL else others).append(word)
    return (*_apart(others), *_apart(outdone))[:WORDS_MAX]


def all_of(words: Iterable[Kept]) -> tuple[Kept, ...]:
    """The newest words, and the rest as one behind them."""
    said = list(words)
    apart = _apart(word for word in said if word.event != OF_SEVERAL)
    several = [word for word in said if word.event == OF_SEVERAL]
    rest = several + [without_event(word) for word in apart[WORDS_MAX:]]
    return (*apart[:WORDS_MAX], *_as_one(rest))


def without_event(word: Kept) -> Kept:
    """The times alone, those of its last receipt: it is not known again."""
    received_at = max(word.received_at, word.again_at)
    texts: dict[str, object] = {}
    if isinstance(word, Word):
        texts = {"method": None, "source": None, "list": None, "asked": (0, 0)}
    return msgspec.structs.replace(
        word, event=OF_SEVERAL, received_at=received_at, again_at=0, **texts
    )


def latest(words: Iterable[Kept]) -> Times:
    """The latest of both times, which need not be of one word."""
    times = [(word.occurred_at, word.received_at) for word in words]
    return max((at[0] for at in times), default=0), max((at[1] for at in times), default=0)


def is_later(word: Word | Reasoned, than: Times) -> bool:
    """In both times?"""
    return word.occurred_at > than[0] and word.received_at > than[1]


def _apart(words: Iterable[Kept]) -> list[Kept]:
    """Each word once, as it was received first, the newest before the older."""
    known: dict[tuple[Instant, int], Kept] = {}
    for word in words:
        key = word.occurred_at, word.event
        known[key] = _first_of(known[key], word) if key in known else word
    return [known[key] for key in sorted(known, reverse=True)]


def _first_of(one: Kept, other: Kept) -> Kept:
    """A word that was received twice."""
    if one == other:
        return one
    first = min(one, other, key=_by_receipt)
    last = max(one.received_at, one.again_at, other.received_at, other.again_at)
    found: dict[str, object] = {"again_at": last if last > first.received_at else 0}
    if isinstance(one, Word) and isinstance(other, Word):
        found["asked"] = max(one.asked, other.asked)
    return msgspec.structs.replace(first, **found)


def _by_receipt(word: Word | Reasoned) -> tuple[Instant, tuple[str, ...]]:
    return word.received_at, _texts(word)


def _texts(word: Word | Reasoned) -> tuple[str, ...]:
    if isinstance(word, Reasoned):
        return (word.reason,)
    return word.method or "", word.source or "", word.list or ""


def _as_one(words: list[Kept]) -> tuple[Kept, ...]:
    """One word with the latest times of all, and the texts of the newest."""
    if not words:
        return ()
    shown = max(words, key=lambda word: (word.occurred_at, _texts(word)))
    return (msgspec.structs.replace(shown, received_at=latest(words)[1]),)
