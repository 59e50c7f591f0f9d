"""`tillstream dead-letters list|show|redrive`: what was set aside, why, and pushing it again."""

import argparse
import asyncio

from agents.cli.failures import CommandFailed
from agents.cli.looking import cluster, looked_at, looking_arguments
from agents.cli.printing import Printer, json_argument, printer_for
from agents.dead_letters import COUNTED, TOPICS, Found, redrive, set_aside, shown
from agents.definitions_log import definitions_in_force
from agents.live.pushing import Checker, PushFailed
from agents.settings import Settings
from schemas.topics import INGEST_ROWS, STORE_EVENTS

NOTHING = "Nothing was set aside."


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    told = {
        "list": "every record that was set aside, with its reason",
        "show": "one record, whole",
        "redrive": "push again what would be accepted now: rejected events as they came, failed "
        "ones as new arrivals",
    }
    for name, meaning in told.items():
        action = actions.add_parser(name, help=meaning, description=meaning)
        if name == "show":
            action.add_argument("id", metavar="ID", help="as in the list: topic/partition/offset")
        if name == "redrive":
            action.add_argument("ids", metavar="ID", nargs="*", help="as in the list")
            action.add_argument("--all", action="store_true", help="everything that was set aside")
        looking_arguments(action)
        json_argument(action)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Raises: CommandFailed."""
    looked = looked_at(options, settings)
    printer = printer_for(options)
    match options.action:
        case "list":
            return _list(printer, looked)
        case "show":
            return _show(printer, looked, options.id)
        case _:
            if options.all == bool(options.ids):
                raise CommandFailed("name the records to push again as the list does, or say --all")
            return _redrive(printer, looked, None if options.all else options.ids)


async def _find(settings: Settings, only: list[str] | None) -> list[Found]:
    async with cluster(settings, *TOPICS.values()) as there:
        if only is None:
            return [found async for found in set_aside(there)]
        return [found for one in only async for found in set_aside(there, one)]


def _list(printer: Printer, settings: Settings) -> int:
    records = [found.record for found in asyncio.run(_find(settings, None))]
    printer.data(records)
    if not records:
        printer.line(NOTHING)
        return 0
    printer.table(
        ("id", "set aside at", "reason", "field", "detail"),
        [
            (one.id, one.at, one.why.get("reason"), one.why.get("field"), one.why.get("detail"))
            for one in records
        ],
    )
    return 0


def _show(printer: Printer, settings: Settings, asked: str) -> int:
    found = asyncio.run(_find(settings, [asked]))
    if not found:
        printer.line(f"there is no {asked}")
        printer.data(None)
        return 1
    printer.data({"record": found[0].record, "value": shown(found[0])})
    printer.table(("header", "value"), list(found[0].record.why.items()))
    printer.line()
    printer.line(shown(found[0]))
    return 0


def _redrive(printer: Printer, settings: Settings, only: list[str] | None) -> int:
    """Returns: 1 where an id is not there or a record cannot be pushed again. Among all, one that
    counted is none of these.
    """
    told = asyncio.run(_push_again(settings, only))
    for missing in set(only or ()) - told.keys():
        told[missing] = "there is no such record"
    printer.data(told)
    if told:
        printer.table(("id", "what became of it"), list(told.items()))
    else:
        printer.line(NOTHING)
    good = {"pushed"} if only else {"pushed", COUNTED}
    return 0 if good.issuperset(told.values()) else 1


async def _push_again(settings: Settings, only: list[str] | None) -> dict[str, str]:
    async with cluster(settings, *TOPICS.values(), STORE_EVENTS, INGEST_ROWS) as there:
        check = Checker(there, (await definitions_in_force(there)).values())
        try:
            return await redrive(there, await _find(there, only), check)
        except PushFailed as error:
            raise CommandFailed(str(error)) from error
