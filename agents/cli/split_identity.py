"""`tillstream identity split IDENTIFIER`: take an identifier out of a profile, with its past."""

import argparse
import asyncio
from typing import Any

import msgspec
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.client import Client

from agents.cli.agreement import agreed
from agents.cli.author import author_argument, author_of
from agents.cli.failures import CommandFailed
from agents.cli.looking import database
from agents.cli.printing import Printer, json_argument, printer_for
from agents.identity_log import NobodyThere, NoIdentifier, identifier_meant
from agents.live.asking import NotReached, reached
from agents.settings import Settings
from agents.split_log import NotToSplit, Outlook, made, outlook, split_off, tell_history
from schemas.outputs import ProfileSplit
from schemas.topics import (
    IDENTITY_ROWS,
    IDENTITY_SPLITS,
    INGEST_ROWS,
    PROFILE_ROWS,
    STORE_EVENTS,
    TIMELINE,
)
from streams.ids import is_profile_id

NEEDED = (STORE_EVENTS, INGEST_ROWS, IDENTITY_ROWS, PROFILE_ROWS, IDENTITY_SPLITS, TIMELINE)
REASON_CHARACTERS_MAX = 500
REFUSED = {
    "unknown": "nobody is known by it any more",
    "already-split": "it was split off already",
    "only-identifier": "nothing else names the profile",
    "busy": "a back-fill or another split of this profile is under way: ask again when it is over",
}


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """outcome: split, told-again (an earlier split has its history now), asked where no worker has
    answered yet, no (not agreed, or a dry run), unknown, or why it was refused. going, staying:
    events. has_history: whether both profiles have their past.
    """

    outcome: str
    split: str | None = None
    old: str | None = None
    new: str | None = None
    identifiers: tuple[tuple[str, str], ...] = ()
    going: int = 0
    staying: int = 0
    has_history: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    who = "an address, or KIND/VALUE (external_id/17)"
    parser.add_argument("who", metavar="IDENTIFIER", help=who)
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; it is kept")
    parser.add_argument("--store", default="main", help="the store (default: main)")
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and stop")
    parser.add_argument("--yes", action="store_true", help="do not ask (for scripts)")
    author_argument(parser)
    json_argument(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Returns: 1 where nothing was split.

    Raises: CommandFailed.
    """
    printer = printer_for(options)
    if not options.reason.strip():
        raise CommandFailed("--reason: say why; it is kept with the split")
    if is_profile_id(options.who):
        raise CommandFailed("a profile is not split off: name the identifier that is not theirs")
    try:
        with database(settings) as client:
            done = asyncio.run(_split(options, settings, client, printer))
    except NobodyThere as error:
        printer.line(str(error))
        done = Split(outcome="unknown")
    except (NotReached, NoIdentifier, NotToSplit) as error:
        raise CommandFailed(str(error)) from error
    except (KafkaError, TimeoutError) as error:
        raise CommandFailed(
            f"not to its end ({type(error).__name__}): the same command goes on where it was"
        ) from error
    printer.data(done)
    return 0 if done.outcome in ("split", "told-again", "asked") else 1


async def _split(
    options: argparse.Namespace, settings: Settings, client: Client, printer: Printer
) -> Split:
    async with reached(settings, *NEEDED) as there:
        store = options.store
        identifier = await identifier_meant(there, store, options.who)
        seen = await outlook(there, client, store, identifier)
        while seen.unfinished is not None:
            printer.line(f"the split {seen.unfinished} has no history yet: it is told first")
            if options.dry_run:
                return Split(outcome="no", split=seen.unfinished)
            done = await made(client, store, seen.unfinished)
            told = await _told(there, client, printer, done, seen, "told-again")
            if identifier in done.identifiers or not told.has_history:
                return told
            seen = await outlook(there, client, store, identifier)
        _show(printer, seen)
        if options.dry_run or not (
            options.yes or await asyncio.to_thread(agreed, "split", "split")
        ):
            printer.line("nothing was split")
            return Split(outcome="no", **_counted(seen))
        answer = await split_off(
            there,
            store,
            seen.identifiers,
            author=author_of(options),
            reason=options.reason.strip()[:REASON_CHARACTERS_MAX],
        )
        if answer is None:
            printer.line("asked for, and no worker has answered yet: ask again when one runs")
            return Split(outcome="asked", **_counted(seen))
        if answer.outcome != "split":
            printer.line(f"nothing was split: {REFUSED[answer.outcome]}")
            return Split(outcome=answer.outcome, split=answer.split)
        return await _told(there, client, printer, answer, seen, "split")


async def _told(
    settings: Settings,
    client: Client,
    printer: Printer,
    done: ProfileSplit,
    seen: Outlook,
    outcome: str,
) -> Split:
    has_history = await tell_history(settings, client, done)
    printer.line(f"{_named(done.identifiers)} went from {done.old} to {done.new}")
    printer.line(
        "both have their past"
        if has_history
        else "their past is on its way: it was told, and no worker has taken it in yet"
    )
    counted = {**_counted(seen), "identifiers": done.identifiers}
    return Split(
        outcome=outcome,
        split=done.split,
        old=done.old,
        new=done.new,
        has_history=has_history,
        **counted,
    )


def _counted(seen: Outlook) -> dict[str, Any]:
    return {"identifiers": seen.identifiers, "going": seen.going, "staying": seen.staying}


def _show(printer: Printer, seen: Outlook) -> None:
    printer.heading(f"Profile {seen.profile_id}")
    printer.line(f"These go to a profile of their own: {_named(seen.identifiers)}")
    printer.line(
        f"events: {seen.going:,} go with them, {seen.staying:,} stay; sends that were made stay, "
        "and what answers them"
    )


def _named(identifiers: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{kind} {value}" for kind, value in identifiers)
