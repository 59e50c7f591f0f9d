"""Splits whose command was ended too early have their history told, while `up` runs."""

import asyncio
import time
from collections.abc import Callable

from clickhouse_connect.driver.client import Client

from agents.clickhouse import open_client
from agents.settings import Settings
from agents.split_log import awaits_history, made_between, tell_history
from schemas.outputs import ProfileSplit
from schemas.values import Instant
from streams.instants import DAY, MINUTE

LOOK_SECONDS = 30.0
COMMANDS_OWN = 3 * MINUTE
"""So long a split is its command's, which waits a minute each for the timeline and the rows."""

LOOKED_BACK = 7 * DAY

Say = Callable[[str], None]


async def keep_telling(settings: Settings, say: Say) -> None:
    """Tell whatever is due, until cancelled. settings: with the addresses of the servers."""
    whole: set[str] = set()
    while True:
        try:
            await tell_what_is_due(settings, time.time_ns() // 1_000_000, whole, say)
        except Exception as error:  # noqa: BLE001 - the path goes on without it
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            say(f"the history of a split could not be told ({said}); again later")
        await asyncio.sleep(LOOK_SECONDS)


async def tell_what_is_due(settings: Settings, now: Instant, whole: set[str], say: Say) -> int:
    """Tell the history of the splits of the last days that have none, and no command any more.

    whole: ids of splits that have theirs; kept up to date.
    Returns: how many were told.
    """
    client = await asyncio.to_thread(open_client, settings)
    told = 0
    try:
        for done in await asyncio.to_thread(_made, client, now):
            if done.split in whole:
                continue
            if await awaits_history(settings, done):
                say(f"the split {done.split} has no history yet: it is told now")
                await tell_history(settings, client, done)
                told += 1
            else:
                whole.add(done.split)
    finally:
        client.close()
    return told


def _made(client: Client, now: Instant) -> list[ProfileSplit]:
    return made_between(client, now - LOOKED_BACK, now - COMMANDS_OWN)
