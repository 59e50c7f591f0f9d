"""Back-fills under care: whatever definitions ask about the past is filled in, one after the other.

One that fails is taken up again where it was, later each time.
"""

import asyncio
import time

from aiokafka.errors import ProducerFenced

from agents.backfill import fill_in, published
from agents.clickhouse import open_client
from agents.live.kept import Say
from agents.logs import told
from agents.settings import Settings
from schemas.outputs import DefinitionsStated

LOOK_SECONDS = 4.0
GOES_LIVE_SECONDS_MAX = 15.0
BACKOFF_SECONDS = 2.0
BACKOFF_SECONDS_MAX = 60.0
SECONDS_WHERE_ANOTHER_FILLS = 60.0


async def keep_filling(settings: Settings, say: Say) -> None:
    """Fill in whatever is due, until cancelled. settings: with the addresses of the servers."""
    backoff = BACKOFF_SECONDS
    while True:
        try:
            await fill_what_is_due(settings, say)
        except ProducerFenced:
            await asyncio.sleep(SECONDS_WHERE_ANOTHER_FILLS)
        except Exception as error:  # noqa: BLE001 - the path goes on without it
            say(f"the back-fill stopped ({told(error)}); again in {backoff:.0f} s")
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, BACKOFF_SECONDS_MAX)
        else:
            backoff = BACKOFF_SECONDS
            await asyncio.sleep(LOOK_SECONDS)


async def fill_what_is_due(settings: Settings, say: Say) -> int:
    """Fill in what is due now. Returns: how many versions went live."""
    due = [stated for stated in (await published(settings)).values() if stated.filling]
    if not due:
        return 0
    client = await asyncio.to_thread(open_client, settings)
    try:
        for stated in due:
            say(f"filling in the past of version {stated.version} of store {stated.store}")
            await fill_in(settings, client, stated, say=say)
            await _gone_live(settings, stated)
    finally:
        client.close()
    return len(due)


async def _gone_live(settings: Settings, stated: DefinitionsStated) -> None:
    """Wait until ingest has heard the end; where it takes long, it is only looked at later."""
    deadline = time.monotonic() + GOES_LIVE_SECONDS_MAX
    while time.monotonic() < deadline:
        now = (await published(settings)).get(stated.store)
        if now is None or now.switch != stated.switch or not now.filling:
            return
        await asyncio.sleep(LOOK_SECONDS / 8)
