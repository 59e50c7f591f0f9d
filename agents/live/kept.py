"""Something that is started again when it fails, later each time it fails at once; and something
that is looked at again and again.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from agents.logs import told
from schemas.values import Instant

LOOK_SECONDS = 30.0
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


async def keep_looking(
    look: Callable[[Instant], Awaitable[object]], *, failed: str, say: Say
) -> None:
    """Look for what is due each `LOOK_SECONDS`, until cancelled.

    look: does what is due at an instant. failed: what is said where a look fails.
    """
    while True:
        try:
            await look(time.time_ns() // 1_000_000)
        except Exception as error:  # noqa: BLE001 - the path goes on without it
            say(f"{failed} ({told(error)}); again in {LOOK_SECONDS:.0f} s")
        await asyncio.sleep(LOOK_SECONDS)
