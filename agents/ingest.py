"""The ingest agent: what a store pushes, read, and passed on or rejected. Its table has one row a
partition (how far it has come) and one a store (the definitions in force).
"""

import time
from collections.abc import MutableMapping
from typing import Any

from streams.ingest.read import EventReader
from streams.ingest.settings import IngestSettings

from agents.app import StageApp
from agents.settings import Settings
from schemas.rows import Position
from schemas.topics import INGEST_ROWS
from schemas.values import Instant, Millis
from streams.ids import Ids
from streams.intake import PassIntake, adopted_in

TICK_TRUSTED_WITHIN: Millis = 5 * 60_000
"""A tick further from our own watch is not believed: somebody's clock was set."""


def is_about_now(tick_at: Instant) -> bool:
    """The one place where a watch is looked at."""
    return abs(time.time_ns() // 1_000_000 - tick_at) <= TICK_TRUSTED_WITHIN


def ingest_app(settings: Settings, ids: Ids, *, simulated: bool) -> StageApp:
    """The app of this stage.

    simulated: time comes from a feeder, so a tick of the past is believed.
    """

    def make_intake(
        partition: int, position: Position, rows: MutableMapping[bytes, bytes]
    ) -> PassIntake:
        region = settings.default_region or None
        reader = EventReader(ids, IngestSettings(default_region=region))
        for published in adopted_in(rows.items()):
            reader.adopt(published)
        if simulated:
            return PassIntake(reader, partition, position)
        return PassIntake(reader, partition, position, believes=is_about_now)

    stage = StageApp("ingest", settings, rows_topic=INGEST_ROWS, make_intake=make_intake)

    @stage.app.agent(stage.channel, name="ingest")
    async def ingest(stream: Any) -> None:
        """Read every record a store pushed; pass it on to identity, or say why not."""
        await stage.run(stream)

    return stage
