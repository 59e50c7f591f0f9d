"""`tillstream identity explain|split|erase`: how a person came to be one, and support."""

import argparse
import asyncio

import msgspec
from aiokafka.errors import KafkaError

from agents.cli import explain_identity, split_identity
from agents.cli.agreement import agreed
from agents.cli.failures import CommandFailed
from agents.cli.looking import database
from agents.cli.printing import Printer, json_argument, printer_for
from agents.identity_log import (
    Erasure,
    NobodyThere,
    NoIdentifier,
    erase,
    identifier_meant,
)
from agents.live.asking import NotReached, reached
from agents.settings import Settings
from agents.split_log import NotToSplit, made, tell_history, unfinished
from schemas.topics import (
    IDENTITY_ERASURES,
    IDENTITY_ROWS,
    INGEST_ROWS,
    PROFILE_ROWS,
    STORE_EVENTS,
)
from schemas.values import ProfileId

IDENTIFIER = "an address, KIND/VALUE (external_id/17), or a profile id"
SHOWN_MAX = 10


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """outcome: erased, unknown, no (not agreed), or asked where no worker has answered yet."""

    outcome: str
    request: str | None
    profile_ids: list[ProfileId]
    set_aside: list[str]


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    explaining = actions.add_parser(
        "explain", help="which event joined what, when, by which rule (docs/identity.md)"
    )
    explain_identity.arguments(explaining)
    splitting = actions.add_parser(
        "split", help="take an identifier out of a profile, with its past (docs/identity.md)"
    )
    split_identity.arguments(splitting)
    erasing = actions.add_parser(
        "erase", help="erase a person: rows, timeline and reports (docs/identity.md)"
    )
    erasing.add_argument("who", metavar="IDENTIFIER", help=IDENTIFIER)
    erasing.add_argument("--store", default="main", help="the store (default: main)")
    erasing.add_argument("--yes", action="store_true", help="do not ask (for scripts)")
    json_argument(erasing)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Returns: 1 where nobody is known by the identifier, or the answer was no.

    Raises: CommandFailed.
    """
    if options.action == "explain":
        return explain_identity.run(options, settings)
    if options.action == "split":
        return split_identity.run(options, settings)
    printer = printer_for(options)
    erasure, without = None, "no"
    try:
        erasure = asyncio.run(_erase(options, settings, printer))
    except NobodyThere:
        without = "unknown"
    except (NotReached, NoIdentifier, NotToSplit) as error:
        raise CommandFailed(str(error)) from error
    except (KafkaError, TimeoutError) as error:
        raise CommandFailed(
            f"not to its end ({type(error).__name__}): say the same command again"
        ) from error
    return _show(printer, options.store, erasure, without)


async def _erase(
    options: argparse.Namespace, settings: Settings, printer: Printer
) -> Erasure | None:
    """Whoever was just split has their history told first: else the other would lack theirs.

    Returns: None where it was not agreed.
    """
    store = options.store
    needed = (STORE_EVENTS, INGEST_ROWS, IDENTITY_ROWS, PROFILE_ROWS, IDENTITY_ERASURES)
    async with reached(settings, *needed) as there:
        identifier = await identifier_meant(there, store, options.who)
        kind, value = identifier
        printer.line(
            f"This erases all that is held of {kind} {value} in the store {store}, for ever"
        )
        if not options.yes and not await asyncio.to_thread(agreed, "erase", "erase"):
            return None
        while (name := await unfinished(there, store, identifier)) is not None:
            printer.line(f"the split {name} has no history yet: it is told first")
            with database(settings) as client:
                if not await tell_history(there, client, await made(client, store, name)):
                    break
        return await erase(there, store, identifier)


def _show(printer: Printer, store: str, erasure: Erasure | None, without: str) -> int:
    """without: the outcome where there is no erasure."""
    answer = None if erasure is None else erasure.answer
    outcome = without if erasure is None else "asked" if answer is None else answer.outcome
    leftover = [] if erasure is None else erasure.leftover
    printer.data(
        Erased(
            outcome=outcome,
            request=None if answer is None else answer.request,
            profile_ids=[] if answer is None else list(answer.profile_ids),
            set_aside=leftover,
        )
    )
    match outcome:
        case "unknown":
            printer.line(f"nobody is known by this identifier in the store {store}")
        case "no":
            printer.line("nothing was erased")
        case "asked":
            printer.line("asked for, and no worker has answered yet: it is done when one runs")
        case _:
            assert answer is not None
            printer.line(
                f"erased: {answer.profile_ids[0]}, known under {_ids(len(answer.profile_ids))} "
                f"(request {answer.request})"
            )
    if leftover:
        shown = ", ".join(leftover[:SHOWN_MAX]) + (", ..." if len(leftover) > SHOWN_MAX else "")
        printer.line(
            f"{len(leftover)} records that were set aside still name this person: {shown}. "
            "They go with their topic's retention (docs/identity.md, Erasing)"
        )
    return 1 if outcome in ("unknown", "no") else 0


def _ids(count: int) -> str:
    return "1 id" if count == 1 else f"{count:,} ids"
