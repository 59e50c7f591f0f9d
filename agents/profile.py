"""The profile agent: all that belongs to one person, and what follows from it. Its table has one
row a profile. Renaming it orphans its changelog.
"""

from typing import Any

from agents.app import StageApp, rounds_of
from agents.settings import Settings
from schemas.topics import PROFILE_ROWS
from streams.ids import Ids
from streams.profile.step import ProfileCore


def profile_app(settings: Settings, ids: Ids) -> StageApp:
    """The app of this stage."""
    make_intake = rounds_of(ProfileCore(ids))
    stage = StageApp("profile", settings, rows_topic=PROFILE_ROWS, make_intake=make_intake)

    @stage.app.agent(stage.channel, name="profile")
    async def profile(stream: Any) -> None:
        """Apply every event to the person it is about; announce what follows from it."""
        await stage.run(stream)

    return stage
