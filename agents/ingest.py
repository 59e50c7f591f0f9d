"""The ingest agent: what a store pushes, read, and passed on or rejected. Its table has one row a
partition (how far it has come) and one a store (the definitions in force).
"""

import time
from collections.abc import Callable
from typing import Any

from agents.app import StageApp
from agents.rows import Rows
from agents.settings import Settings
from schemas.rows import Position
from schemas.topics import INGEST_ROWS
from schemas.values import Instant, Millis
from streams.ids import Ids
from streams.ingest.read import EventReader
from streams.ingest.settings import IngestSettings
from streams.passing import PassIntake, always
from streams.published import InForce

AHEAD_MAX: Millis = 5 * 60_000
"""A timestamp further ahead of our own watch is not believed: somebody's clock was set."""


LAG_MIN: Millis = 1_000
LAG_SHARE = 4
SPAN_MAX: Millis = 10_000


class Boundaries:
    """Which ticks of partition 0 end rounds: all, unless the path lags.

    A round costs its transactions, however little it holds. While the path lags, a boundary less
    than a quarter of the lag after the last one is left out, at most for ten seconds at a time: so
    a backlog is worked off in fewer, larger rounds, and a path that has more to do than it can
    falls a second or two behind and no further, for its rounds get cheaper. The log of identity
    tells a replay which.

    reached: how far the profile stage has come in this worker; None: nobody here knows.
    """

    def __init__(self, reached: Callable[[], Instant | None]) -> None:
        self._reached, self._last = reached, 0

    def __call__(self, at: Instant) -> bool:
        reached = self._reached()
        lag = 0 if reached is None else at - reached
        if lag >= LAG_MIN and at - self._last < min(lag // LAG_SHARE, SPAN_MAX):
            return False
        self._last = at
        return True


def can_be_true(timestamp: Instant) -> bool:
    """The one place where a watch is looked at. The past is always possible: a pipeline that lags
    takes its time with it.
    """
    return timestamp - time.time_ns() // 1_000_000 <= AHEAD_MAX


def ingest_app(
    settings: Settings, ids: Ids, *, simulated: bool, reached: Callable[[], Instant | None]
) -> StageApp:
    """The app of this stage.

    simulated: time comes from a feeder, so a tick of the past is believed, and all are boundaries.
    reached:   how far the profile stage has come in this worker.
    """
    boundaries = Boundaries(reached)

    def make_intake(partition: int, position: Position, rows: Rows) -> PassIntake:
        region = settings.default_region or None
        reader = EventReader(ids, IngestSettings(default_region=region))
        kept = InForce(rows.items())
        if simulated:
            return PassIntake(reader, partition, position, in_force=kept)
        return PassIntake(
            reader,
            partition,
            position,
            can_be_true=can_be_true,
            is_boundary=boundaries if partition == 0 else always,
            in_force=kept,
        )

    stage = StageApp("ingest", settings, rows_topic=INGEST_ROWS, make_intake=make_intake)

    @stage.app.agent(stage.channel, name="ingest")
    async def ingest(stream: Any) -> None:
        """Read every record a store pushed; pass it on to identity, or say why not."""
        await stage.run(stream)

    return stage
