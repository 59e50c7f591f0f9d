"""When the rows of a partition are looked at that new definitions, or new cuts, concern.

All at once where there are few. Of many, each has its instant, by a hash of its key, so that
records hardly wait meanwhile; a row that something happens to is looked at then. It all follows
from the log and the rows: live and replayed alike.
"""

from typing import Final, NamedTuple

from schemas.values import Instant, Millis
from streams.ids import key_number

AT_ONCE: Final[Instant] = 0
"""Due before everything else."""

FEW: Final = 2_000
"""So many rows take a tenth of a second."""

MILLIS_PER_ROW: Final[Millis] = 1
"""A visit takes about 50 microseconds: a twentieth of the time of one partition."""


class Visits(NamedTuple):
    """From `since` on, spread `over` a time; 0: all at once."""

    since: Instant = 0
    over: Millis = 0

    def of(self, key: str) -> Instant:
        """When the row of `key` is due."""
        return self.since + key_number(key) % self.over if self.over else AT_ONCE

    @property
    def until(self) -> Instant:
        """When all are done."""
        return self.since + self.over if self.over else AT_ONCE


def plan_visits(at: Instant, rows: int) -> Visits:
    """The visits to so many rows for what is in force from `at` on."""
    return Visits(at, rows * MILLIS_PER_ROW) if rows > FEW else Visits()
