"""The profile agent: all that belongs to one person, and what follows from it. Its table has one
row a profile. Renaming it orphans its changelog.
"""

from collections.abc import MutableMapping
from typing import Any

from agents.app import StageApp
from agents.settings import Settings
from schemas.rows import Position, ProfileRow
from schemas.topics import PROFILE_ROWS
from streams.core import Core
from streams.ids import Ids
from streams.intake import RoundIntake, adopted_in
from streams.profile.step import ProfileCore


def profile_app(settings: Settings, ids: Ids) -> StageApp:
    """The app of this stage."""

    def make_intake(
        partition: int, position: Position, rows: MutableMapping[bytes, bytes]
    ) -> RoundIntake[ProfileRow]:
        core: Core[ProfileRow] = ProfileCore(ids)
        for published in adopted_in(rows.items()):
            core = core.adopt(published)
        return RoundIntake(core, partition, position, rows)

    stage = StageApp("profile", settings, rows_topic=PROFILE_ROWS, make_intake=make_intake)

    @stage.app.agent(stage.channel, name="profile")
    async def profile(stream: Any) -> None:
        """Apply every event to the person it is about; announce what follows from it."""
        await stage.run(stream)

    return stage
