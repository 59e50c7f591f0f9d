"""The identity agent: which profile is this, and what may this address receive? Its table has one
row an identifier. Renaming it orphans its changelog.
"""

from collections.abc import MutableMapping
from typing import Any

from agents.app import StageApp
from agents.settings import Settings
from schemas.rows import IdentityRow, Position
from schemas.topics import IDENTITY_ROWS
from streams.core import Core
from streams.identity.step import IdentityCore
from streams.ids import Ids
from streams.intake import RoundIntake, adopted_in


def identity_app(settings: Settings, ids: Ids) -> StageApp:
    """The app of this stage."""

    def make_intake(
        partition: int, position: Position, rows: MutableMapping[bytes, bytes]
    ) -> RoundIntake[IdentityRow]:
        core: Core[IdentityRow] = IdentityCore(ids)
        for published in adopted_in(rows.items()):
            core = core.adopt(published)
        return RoundIntake(core, partition, position, rows)

    stage = StageApp("identity", settings, rows_topic=IDENTITY_ROWS, make_intake=make_intake)

    @stage.app.agent(stage.channel, name="identity")
    async def identity(stream: Any) -> None:
        """Resolve every event to its profile; tell the other identifiers."""
        await stage.run(stream)

    return stage
