"""Processes that run until Ctrl-C or SIGTERM."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable


def say(text: str) -> None:
    """Tell what happens, at once: standard output may hold what the process is for."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


async def until_told(work: Awaitable[None], stop: Callable[[], None]) -> None:
    """Do `work`; SIGINT and SIGTERM call `stop`, after which it has to end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    await work
