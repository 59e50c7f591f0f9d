"""`tillstream catalog watch`: the catalogue's watcher by itself (`up` runs one)."""

import argparse
import asyncio
import signal
import sys

from agents.catalog import CatalogWatcher
from agents.cli.failures import CommandFailed
from agents.cli.looking import database
from agents.live.asking import NotReached, reached
from agents.live.kept import keep
from agents.settings import Settings
from schemas.topics import STORE_EVENTS, TIMELINE


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verbs.add_parser(
        "watch",
        help="find whom price drops, low stock and products back in stock concern; until Ctrl-C",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    assert options.verb == "watch"
    return asyncio.run(_watch(settings))


async def _watch(settings: Settings) -> int:
    stopping = asyncio.Event()
    try:
        async with reached(settings, STORE_EVENTS, TIMELINE) as there:
            with database(settings) as client:
                watcher = CatalogWatcher(there, client)

                def stop() -> None:
                    stopping.set()
                    watcher.stop()

                for number in (signal.SIGINT, signal.SIGTERM):
                    asyncio.get_running_loop().add_signal_handler(number, stop)
                _say("watching; Ctrl-C ends it")
                await keep(watcher.run, stopping, what="the watcher", say=_say)
                _say(f"{watcher.appended:,} appended")
    except NotReached as error:
        raise CommandFailed(str(error)) from error
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
