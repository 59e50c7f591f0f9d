"""Something that is started again when it fails, later each time it fails at once."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from agents.logs import told

BACKOFF_SECONDS = 1.0
BACKOFF_SECONDS_MAX = 30.0
SECONDS_UNTIL_SOUND = 60.0

Say = Callable[[str], None]


async def keep(
    run: Callable[[], Awaitable[None]], stopping: asyncio.Event, *, what: str, say: Say
) -> None:
    """Run until `stopping`, whatever happens. what: as it is called where its end is said."""
    backoff = BACKOFF_SECONDS
    while not stopping.is_set():
        began = time.monotonic()
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - the path goes on without it
            if stopping.is_set():
                return
            if time.monotonic() - began > SECONDS_UNTIL_SOUND:
                backoff = BACKOFF_SECONDS
            say(f"{what} stopped ({told(error)}); again in {backoff:.0f} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), backoff)
            backoff = min(2 * backoff, BACKOFF_SECONDS_MAX)
