"""Splits whose command was ended too early have their history told, while `up` runs."""

import asyncio
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from agents.clickhouse import open_client
from agents.live.kept import Say, keep_looking
from agents.logs import told
from agents.settings import Settings
from agents.split_log import awaits_history, made_between, tell_history
from schemas.outputs import ProfileSplit
from schemas.values import Instant, Millis
from streams.instants import DAY, MINUTE

COMMANDS_OWN = 3 * MINUTE
"""So long a split is its command's, which waits a minute each for the timeline and the rows."""

LOOKED_BACK = 7 * DAY
AGAIN = 15 * MINUTE
"""After so long a split that was tried in vain is tried again, then after twice as long each time:
each telling appends the whole history."""


class InVain(NamedTuple):
    """The last try of a split that could not be told, or that nobody has taken in yet."""

    why: str
    wait: Millis
    again_at: Instant


class Tried:
    """What `up` knows of splits. whole: those that have their history."""

    def __init__(self) -> None:
        self.whole = set[str]()
        self._in_vain = dict[str, InVain]()

    def is_due(self, split: str, now: Instant) -> bool:
        last = self._in_vain.get(split)
        return split not in self.whole and (last is None or last.again_at <= now)

    def put_off(self, split: str, why: str, now: Instant) -> bool:
        """Try it again later. Returns: whether why is another reason than the last time."""
        last = self._in_vain.get(split)
        wait = AGAIN if last is None else 2 * last.wait
        self._in_vain[split] = InVain(why, wait, now + wait)
        return last is None or last.why != why


async def keep_telling(settings: Settings, say: Say) -> None:
    """Tell whatever is due, until cancelled. settings: with the addresses of the servers."""
    tried = Tried()
    await keep_looking(
        lambda now: tell_what_is_due(settings, now, tried, say),
        failed="the histories of splits could not be looked at",
        say=say,
    )


async def tell_what_is_due(settings: Settings, now: Instant, tried: Tried, say: Say) -> int:
    """Tell the history of the splits of the last days that have none, and no command any more.
    One that cannot be told holds up no other.

    tried: kept up to date.
    Returns: how many were told and have taken it in.
    """
    client = await asyncio.to_thread(open_client, settings)
    taken_in = 0
    try:
        for done in await asyncio.to_thread(_made, client, now):
            if not tried.is_due(done.split, now):
                continue
            try:
                if not await awaits_history(settings, done):
                    tried.whole.add(done.split)
                    continue
                say(f"the split {done.split} has no history yet: it is told now")
                if await tell_history(settings, client, done):
                    taken_in += 1
                    continue
                why = "it was told, and no worker has taken it in yet"
            except Exception as error:  # noqa: BLE001 - the others are told
                why = told(error)
            if tried.put_off(done.split, why, now):
                say(f"the split {done.split} still has no history ({why}); again later")
    finally:
        client.close()
    return taken_in


def _made(client: Client, now: Instant) -> list[ProfileSplit]:
    return made_between(client, now - LOOKED_BACK, now - COMMANDS_OWN)
