"""A worker that keeps next to nothing waiting: the log is its buffer. Not for production."""

import os
import sys
from typing import Any

from agents import app, worker
from agents.settings import Settings
from streams.core import RowT
from streams.intake import RoundIntake

WAITING_MAX = 120
BOUNDS_MAX = 10
STEPS_MAX = 17


class NarrowIntake(RoundIntake[RowT]):
    """Forgets whatever does not fit into a hundred and twenty records and ten boundaries."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(
            *arguments, waiting_max=WAITING_MAX, bounds_max=BOUNDS_MAX, steps_max=STEPS_MAX
        )

    def read_again_from(self) -> int | None:
        again = super().read_again_from()
        if again is not None:
            sys.stderr.write(f"read again: {self.core.stage} from {again}\n")
        return again


if __name__ == "__main__":
    setattr(app, RoundIntake.__name__, NarrowIntake)
    worker.run(Settings.from_environ(os.environ), simulated=True)
