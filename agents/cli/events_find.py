"""`tillstream events find ID`: where an event is, what became of it, what it led to."""

import argparse
import asyncio

from agents.cli.failures import CommandFailed
from agents.cli.looking import database
from agents.cli.printing import Printer, json_argument, printer_for
from agents.cli.telling import line_of
from agents.live.asking import reached
from agents.live.finding import Asked, Found, Topics, asked, in_timeline
from agents.settings import Settings
from schemas.topics import DEAD_LETTERS, INGEST_ROWS, STORE_EVENTS, STORE_EVENTS_REJECTED
from schemas.values import Millis
from streams.definitions.durations import to_millis

LATELY = "1h"

STATES = {
    "accepted": "accepted",
    "rejected": "rejected; it is in store-events-rejected",
    "dead-letter": "its step raised; it is in dead-letters",
    "waiting": "not passed on by ingest yet: that is done with each tick, while a worker runs",
    "ours": "no event: a record by which Tillstream speaks to itself",
    "on its way": "read; not in the timeline. It waits for its round, it is a repeat, or its "
    "person was erased",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id", type=_id, metavar="ID", help="an event's id, or its place: partition/offset"
    )
    parser.add_argument(
        "--within",
        type=_duration,
        default=LATELY,
        metavar="TIME",
        help=f"how far back to look in the topics for what is not accepted (default: {LATELY})",
    )
    json_argument(parser)


def _id(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("no event has an empty id")
    return text


def _duration(text: str) -> Millis:
    millis = to_millis(text)
    if millis is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration such as 4h or 30d")
    return millis


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Returns: 1 where it is nowhere.

    Raises: CommandFailed; NotReached.
    """
    printer = printer_for(options)
    what = asked(options.id)
    found = _accepted(settings, what)
    if not found:
        found = asyncio.run(_in_topics(settings, what, options.within))
    printer.data(found)
    for one in found:
        _show(printer, one)
    if not found:
        printer.line(
            f"no event {options.id}: not in the timeline, and not among what was received lately "
            "(--within 30d looks further back)"
        )
    return 0 if found else 1


def _accepted(settings: Settings, what: Asked) -> list[Found]:
    try:
        with database(settings) as client:
            return in_timeline(client, what)
    except CommandFailed:
        return []


async def _in_topics(settings: Settings, what: Asked, within: Millis) -> list[Found]:
    needed = (STORE_EVENTS, STORE_EVENTS_REJECTED, DEAD_LETTERS, INGEST_ROWS)
    async with reached(settings, *needed) as there:
        return await Topics(there, within=within).find(what)


def _show(printer: Printer, found: Found) -> None:
    printer.heading(f"{found.metric or 'Event'} {found.id or ''}".strip())
    printer.line(
        f"store-events, partition {found.partition}, offset {found.offset}, received "
        f"{found.received_at[:19].replace('T', ' ')}"
    )
    printer.line(STATES[found.state])
    if found.why:
        printer.line(f"{found.why}{f' ({found.field})' if found.field else ''}")
    if found.profile_id is None:
        return
    printer.line(f"profile {found.profile_id} (store {found.store})")
    printer.heading("What it led to")
    for row in found.led_to:
        ids = f"  {row.id}" if row.kind in {"commanded", "sent", "held", "dropped"} else ""
        printer.line(f"{line_of(row)}{ids}")
    if not found.led_to:
        printer.line("nothing: no segment changed, no flow began")
    commands = [row.id for row in found.led_to if row.kind == "commanded"]
    printer.line()
    printer.line(f"further: tillstream profile show {found.profile_id}")
    if commands:
        printer.line(f"         tillstream explain {commands[0]}")
