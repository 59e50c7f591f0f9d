"""The path in memory, watched: how much CPU each stage takes, and each kind of its work."""

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, process_time
from typing import Any

import pytest

from streams.apply import remember
from streams.identity.step import IdentityCore
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.read import EventReader
from streams.intake import RoundIntake
from streams.profile.step import ProfileCore
from streams.replay import Replay
from streams.rounds import Rounds


class TimedReplay(Replay):
    """The path in memory, with the seconds of CPU that each stage took: its steps and the decoding
    and encoding of what it reads and writes; no broker.
    """

    def __init__(self, partitions: int) -> None:
        ids = Ids(REPLAY_SECRET)
        super().__init__(
            partitions,
            reader=lambda: EventReader(ids),
            identity=IdentityCore(ids),
            profile=ProfileCore(ids),
        )
        self.seconds: Counter[str] = Counter()

    def run(self) -> list[object]:  # type: ignore[override]
        moved = True
        while moved:
            moved = False
            for (stage, _), seat in self._seats.items():
                began = process_time()
                for work in seat.works():
                    moved = True
                    remember(seat.rows, work.rows)
                    self._deliver(work.writes)
                self.seconds[stage] += process_time() - began
        return []


KINDS: dict[str, tuple[tuple[type, str], ...]] = {
    "reading": ((RoundIntake, "read"),),
    "order": ((Rounds, "pop"),),
    "rows": (
        (IdentityCore, "decode"),
        (IdentityCore, "encode"),
        (ProfileCore, "decode"),
        (ProfileCore, "encode"),
    ),
    "steps": (
        (IdentityCore, "step"),
        (ProfileCore, "step"),
        (ProfileCore, "wake"),
    ),
    "outputs": ((RoundIntake, "_work"),),
}
"""kind of work -> the methods that do it; none of them is called by another."""

APPLYING = "applying"
"""All but the reading, that is: the other kinds and what is between them."""


@contextmanager
def by_kind() -> Iterator[Counter[str]]:
    """Within it, the seconds of each kind of work, and of `APPLYING`, are counted."""
    seconds: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        for kind, methods in (KINDS | {APPLYING: ((RoundIntake, "next"),)}).items():
            for owner, name in methods:
                patch.setattr(owner, name, _timed(getattr(owner, name), kind, seconds))
        yield seconds


def _timed(method: Callable[..., Any], kind: str, seconds: Counter[str]) -> Callable[..., Any]:
    @functools.wraps(method)
    def timed(*given: Any, **named: Any) -> Any:
        began = perf_counter()
        try:
            return method(*given, **named)
        finally:
            seconds[kind] += perf_counter() - began

    return timed
