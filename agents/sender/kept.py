"""A sender as a process of its own: begun again when it fails, with probes and metrics."""

import asyncio
import time
from collections.abc import Callable

from agents.live.kept import Say, keep
from agents.metrics import SENDER_ASIDE, SENDER_FRESHNESS
from agents.probes import STALLED_SECONDS
from agents.sender.reference import ReferenceSender


class KeptSender:
    """`keep` it running until `stop`. make: a sender that has not run yet."""

    def __init__(self, make: Callable[[], ReferenceSender], say: Say) -> None:
        self._make, self._say = make, say
        self._sender: ReferenceSender | None = None
        self._stopping = asyncio.Event()

    async def keep(self) -> None:
        """Deliver until `stop`, whatever happens."""
        await keep(self._run, self._stopping, what="the sender", say=self._say)

    def stop(self) -> None:
        """Let it end after the batch it is at."""
        self._stopping.set()
        if self._sender is not None:
            self._sender.stop()

    def why_not(self) -> list[str]:
        """Why it does not do its work now; nothing where it does."""
        if self._sender is None or not self._sender.has_begun:
            return ["it has not begun to read"]
        behind = self._behind()
        if behind is None:
            return ["no clock has been heard on `consent` in every partition"]
        if behind > STALLED_SECONDS:
            return [f"`consent` is {behind:.0f} s behind the wall: nothing may be delivered"]
        return []

    def measure(self) -> None:
        """Set the gauges."""
        behind = self._behind()
        SENDER_ASIDE.set(0 if self._sender is None else self._sender.aside)
        if behind is not None:
            SENDER_FRESHNESS.set(behind)

    def _behind(self) -> float | None:
        reached = 0 if self._sender is None else self._sender.consent_read_to
        return time.time() - reached / 1000 if reached else None

    async def _run(self) -> None:
        self._sender = self._make()
        try:
            await self._sender.run()
        finally:
            self._sender = None
