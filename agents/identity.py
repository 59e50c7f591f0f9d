"""The identity agent: which profile is this, and what may this address receive? Its table has one
row an identifier. Renaming it orphans its changelog.
"""

from typing import Any

from agents.app import StageApp, rounds_of
from agents.settings import Settings
from schemas.topics import IDENTITY_ROWS
from streams.identity.step import IdentityCore
from streams.ids import Ids


def identity_app(settings: Settings, ids: Ids) -> StageApp:
    """The app of this stage."""
    make_intake = rounds_of(IdentityCore(ids))
    stage = StageApp("identity", settings, rows_topic=IDENTITY_ROWS, make_intake=make_intake)

    @stage.app.agent(stage.channel, name="identity")
    async def identity(stream: Any) -> None:
        """Resolve every event to its profile; tell the other identifiers."""
        await stage.run(stream)

    return stage
