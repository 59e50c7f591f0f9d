"""Where the commands that look at results look: at what the settings name, or at the demo's.

The literal commands that the demo prints must work as they stand: where nothing has been set and
nothing else has run here, the demo's data are looked at, and that is said.
"""

import argparse
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from clickhouse_connect.driver.client import Client

from agents.cli.failures import CommandFailed
from agents.clickhouse import ClickHouseFailed, open_client
from agents.demo.place import NAMESPACE as DEMO
from agents.demo.place import demo_settings
from agents.live.asking import NotReached, reached
from agents.live.place import database_address
from agents.migrations import MigrationError, missing
from agents.settings import PREFIX, Settings, kept_secret
from schemas.topics import Topic
from schemas.values import Instant
from streams.ids import Ids
from streams.instants import to_instant

DATABASE_FOLDER = "clickhouse"

NEWEST = """
SELECT max(toUnixTimestamp64Milli(received_at)) FROM events WHERE store = {store:String}
"""


def looking_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--demo` and `--store`."""
    parser.add_argument("--demo", action="store_true", help="look at the demo's data")
    parser.add_argument("--store", default="main", help="the store (default: main)")


def looked_at(options: argparse.Namespace, settings: Settings) -> Settings:
    """The settings of the data that are looked at."""
    demo = demo_settings(settings)
    if options.demo:
        return demo
    chosen = any(name.startswith(PREFIX) for name in os.environ if name != f"{PREFIX}DATA")
    own = (settings.data / DATABASE_FOLDER).exists()
    if not chosen and not own and (demo.data / DATABASE_FOLDER).exists():
        sys.stderr.write("looking at the demo's data (as with --demo)\n")
        options.demo = True  # said once, whoever asks next
        return demo
    return settings


def at_argument(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Add `--at`; it is None where the newest is meant (`instant_meant`)."""
    parser.add_argument("--at", type=_instant, metavar="T", help=meaning)


def _instant(text: str) -> Instant:
    try:
        return to_instant(text)
    except ValueError as error:
        form = "2026-11-27T09:00Z or 2026-11-27T09:00+01:00"
        raise argparse.ArgumentTypeError(f"'{text}' is no instant such as {form}") from error


def instant_meant(options: argparse.Namespace, client: Client, looked: Settings) -> Instant:
    """The instant of `--at`, else now; the demo's time is simulated and ends with its log."""
    if options.at is not None:
        at: Instant = options.at
        return at
    now = time.time_ns() // 1_000_000
    if looked.namespace != DEMO:
        return now
    asked = {"store": options.store}
    ((last,),) = client.query(NEWEST, parameters=asked).result_rows
    return int(last) or now


def ids_of(settings: Settings) -> Ids:
    """The ids of what is looked at. The embedded default keeps its secret below its data."""
    return Ids((settings.secret or kept_secret(settings.data)).encode())


@contextmanager
def database(settings: Settings) -> Iterator[Client]:
    """The timeline; while `up` runs, through the gateway of the process that owns it.

    Raises: CommandFailed.
    """
    settings = replace(settings, clickhouse=database_address(settings) or settings.clickhouse)
    if settings.clickhouse is None and not (settings.data / DATABASE_FOLDER).exists():
        raise CommandFailed(
            f"there is no timeline below {settings.data} yet: run `tillstream up` or `tillstream "
            f"demo`, or name a server with {PREFIX}CLICKHOUSE"
        )
    try:
        client = open_client(settings)
    except ClickHouseFailed as failure:
        raise CommandFailed(str(failure)) from failure
    try:
        if not client.command("EXISTS TABLE migrations"):
            raise CommandFailed(
                f"the database of the namespace '{settings.namespace}' holds no timeline yet: "
                "`tillstream up` makes it"
            )
        try:
            lacking = missing(client)
        except MigrationError as error:
            raise CommandFailed(str(error)) from error
        if lacking:
            raise CommandFailed(
                f"the timeline was made by an older version and lacks {lacking[0].name}: "
                f"`tillstream {'demo' if settings.namespace == DEMO else 'up'}` brings it here"
            )
        yield client
    finally:
        client.close()


@asynccontextmanager
async def cluster(settings: Settings, *needed: Topic) -> AsyncIterator[Settings]:
    """The settings with a cluster to talk to (`reached`).

    Raises: CommandFailed.
    """
    try:
        async with reached(settings, *needed) as there:
            yield there
    except NotReached as error:
        raise CommandFailed(str(error)) from error
