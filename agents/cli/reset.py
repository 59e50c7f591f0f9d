"""`tillstream reset`: delete what the namespace holds; asks first, refuses while `up` runs."""

import argparse
import asyncio

from agents.cli.agreement import agreed
from agents.cli.failures import CommandFailed
from agents.cli.printing import Printer, json_argument, printer_for
from agents.clickhouse import ClickHouseFailed
from agents.live.asking import NotReached, reached
from agents.live.place import AlreadyUp, alone
from agents.live.resetting import Held, InUse, delete, held
from agents.settings import Settings

NO_NAMESPACE = "tillstream"
"""Typed where the namespace has no name."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask (for scripts)")
    json_argument(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Returns: 1 where the answer was no.

    Raises: CommandFailed.
    """
    printer = printer_for(options)
    if settings.embedded_kafka and not (settings.data / "kafka").exists():
        printer.line(f"nothing has run below {settings.data}: there is nothing to delete")
        printer.data({"deleted": None})
        return 0
    try:
        with alone(settings):
            done = asyncio.run(_reset(options, settings, printer))
    except AlreadyUp as error:
        raise CommandFailed(str(error)) from error
    except (NotReached, InUse, ClickHouseFailed) as error:
        raise CommandFailed(str(error)) from error
    printer.data({"deleted": done})
    printer.line("nothing was deleted" if done is None else "deleted")
    return 1 if done is None else 0


async def _reset(options: argparse.Namespace, settings: Settings, printer: Printer) -> Held | None:
    async with reached(settings) as there:
        found = await held(there)
        name = settings.namespace or NO_NAMESPACE
        _show(printer, found, settings)
        if not options.yes and not await asyncio.to_thread(agreed, "reset", name):
            return None
        await delete(there, found)
    return found


def _show(printer: Printer, found: Held, settings: Settings) -> None:
    named = f"The namespace {settings.namespace}" if settings.namespace else "No namespace"
    printer.heading(f"{named} at {', '.join(settings.kafka or ('the embedded broker',))}")
    printer.line(f"topics    {', '.join(found.topics) or 'none'}")
    printer.line(f"groups    {', '.join(found.groups) or 'none'}")
    printer.line(f"database  {found.database or 'none'}")
    printer.line(f"files     {', '.join(found.folders) or 'none'}")
    printer.line("All of it is deleted, for ever. The secret stays.")
