"""A dry sender's delivery: everything is asked and rendered, nobody gets anything."""

from collections.abc import Callable

from agents.sender.letters import Letters
from schemas.outputs import SendCommand

Say = Callable[[SendCommand, str | None], None]
"""Told of what would go out, with its subject where it was rendered."""


class DryDelivery:
    """Renders and tells. letters: None: nothing is rendered."""

    def __init__(self, letters: Letters | None, say: Say) -> None:
        self._letters, self._say = letters, say

    async def deliver(self, command: SendCommand) -> None:
        """Tell of one. Raises: LetterRefused."""
        renders = self._letters is not None and command.channel == "email"
        letter = self._letters.render(command) if renders and self._letters else None
        self._say(command, None if letter is None else letter.subject)

    async def close(self) -> None:
        return
