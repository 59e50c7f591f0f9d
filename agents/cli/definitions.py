"""`tillstream definitions check|apply DIR`: every error at once; published, where there is none.
`tillstream definitions backfill`: what they ask about the past, filled in.
"""

import argparse
import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
from aiokafka.errors import ProducerFenced

from agents.cli.author import author_argument, author_of
from agents.cli.failures import CommandFailed
from agents.cli.looking import database, looked_at, looking_arguments
from agents.cli.printing import Printer, json_argument, printer_for
from agents.clickhouse import ClickHouseFailed
from agents.definitions import Problem, check, load
from agents.definitions_log import (
    DefinitionsRefused,
    Prepared,
    asking_the_past,
    had_events,
    prepare,
    publish,
    rows_in_force,
)
from agents.live.asking import NotReached, reached
from agents.live.filling import fill_what_is_due, keep_filling
from agents.live.place import database_address
from agents.reports.habits import overlapping, show_overlap, traffic_in
from agents.settings import Settings, SettingsError
from agents.switches import AnotherPublishes, Place
from schemas.topics import DEFINITIONS, INGEST_ROWS, STORE_EVENTS, SWITCHES, TIMELINE
from schemas.values import StoreId
from streams.definitions.cost import Traffic


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What `apply` did. number: of what was published last.

    filling: segments that ask about events before; they go live when those are filled in.
    not_filled: segments that count from now on, for nothing was to be filled in.
    """

    store: StoreId
    version: str
    number: int
    author: str
    was: str | None
    published: bool
    definitions: dict[str, int]
    places: list[tuple[int, int]]
    filling: list[str]
    not_filled: list[str]
    warnings: list[str]


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    checking = actions.add_parser("check", help="print every error of a folder")
    checking.add_argument("folder", type=Path, metavar="DIR")
    checking.add_argument(
        "--timeline",
        action="store_true",
        help="also compare with what happened: metrics and properties that no event ever had, "
        "segments that overlap, what they cost",
    )
    looking_arguments(checking)
    json_argument(checking)
    applying = actions.add_parser("apply", help="check a folder, then put it in force")
    applying.add_argument("folder", type=Path, metavar="DIR")
    author_argument(applying)
    applying.add_argument(
        "--again", action="store_true", help="publish also what is in force already"
    )
    applying.add_argument(
        "--no-backfill", action="store_true", help="new segments count from now on, all is in force"
    )
    json_argument(applying)
    filling = actions.add_parser(
        "backfill", help="fill in what new definitions ask about the past (`up` does it by itself)"
    )
    filling.add_argument("--watch", action="store_true", help="go on with what is applied later")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Returns: 1 where the definitions have errors."""
    printer = printer_for(options)
    if options.action == "check":
        return _check(options, settings, printer)
    if options.action == "backfill":
        return _backfill(settings, watch=options.watch)
    try:
        prepared = prepare(options.folder, author_of(options))
    except DefinitionsRefused as refused:
        printer.data({"published": False, "errors": [str(one) for one in refused.problems]})
        sys.stderr.write(f"tillstream: {refused}\n")
        return 1
    try:
        applied = asyncio.run(
            _apply(settings, prepared, again=options.again, fill=not options.no_backfill)
        )
    except (NotReached, AnotherPublishes) as error:
        raise CommandFailed(str(error)) from error
    printer.data(applied)
    _show(printer, applied)
    return 0


def _check(options: argparse.Namespace, settings: Settings, printer: Printer) -> int:
    traffic, overlap = Traffic(), ""
    if options.timeline:
        with database(looked_at(options, settings)) as client:
            traffic = traffic_in(client, options.store)
            overlap = show_overlap(overlapping(client, options.store))
    loaded = load(options.folder, advised_by=traffic)
    if overlap:
        loaded.problems.append(Problem(str(options.folder), 0, "", overlap, "warning"))
    if not printer.as_json:
        return check(loaded)
    printer.data({"definitions": len(loaded.documents), "problems": list(loaded.problems)})
    return 1 if loaded.errors else 0


def _backfill(settings: Settings, *, watch: bool) -> int:
    """Fill in what is due; beside `up`, through its database.

    Raises: CommandFailed.
    """
    try:
        asyncio.run(_fill(settings, watch=watch))
    except (NotReached, SettingsError, ClickHouseFailed) as error:
        raise CommandFailed(str(error)) from error
    except ProducerFenced as error:
        raise CommandFailed("another back-fill of this namespace has begun; it goes on") from error
    return 0


async def _fill(settings: Settings, *, watch: bool) -> None:
    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    settings = replace(settings, clickhouse=database_address(settings) or settings.clickhouse)
    async with reached(settings, STORE_EVENTS, TIMELINE, DEFINITIONS) as there:
        if not await fill_what_is_due(there, say):
            say("nothing is to be filled in")
        if watch:
            await keep_filling(there, say)


async def _apply(settings: Settings, prepared: Prepared, *, again: bool, fill: bool) -> Applied:
    published = prepared.published
    async with reached(settings, STORE_EVENTS, INGEST_ROWS, SWITCHES, TIMELINE) as there:
        row = (await rows_in_force(there)).get(published.store)
        before = None if row is None else row.published
        same = before is not None and before.version == published.version
        number, places = (0 if before is None else before.number), list[Place]()
        asking: list[str] = []
        if not same and await had_events(there):
            asking = asking_the_past(row, prepared.program)
        if again or not same:
            said = msgspec.structs.replace(published, fill=fill and bool(asking))
            number, places = await publish(there, said)
    return Applied(
        store=published.store,
        version=published.version,
        number=number,
        author=published.author,
        was=None if before is None else before.version,
        published=bool(places),
        definitions=prepared.counts,
        places=[(place.partition, place.offset) for place in places],
        filling=asking if fill else [],
        not_filled=[] if fill else asking,
        warnings=[str(warning) for warning in prepared.warnings],
    )


def _show(printer: Printer, applied: Applied) -> None:
    for warning in applied.warnings:
        printer.line(warning)
    counts = ", ".join(f"{count} {kind}" for kind, count in applied.definitions.items())
    if not applied.published:
        printer.line(
            f"version {applied.version} of store {applied.store} is in force already ({counts}); "
            "nothing was published"
        )
        return
    was = f", in the place of {applied.was}" if applied.was else ""
    printer.line(f"store {applied.store}: version {applied.version}{was} ({counts})")
    printer.line(
        f"published into all {len(applied.places)} partitions of store-events at once; it holds "
        "for what is received from now on"
    )
    if applied.filling:
        printer.line(
            f"ask about the past: {', '.join(applied.filling)}. It is filled in from the timeline "
            "by `tillstream up`, or by `tillstream definitions backfill`; until then these are as "
            "they were, and then they go live (tillstream status tells how far it is)"
        )
    if applied.not_filled:
        printer.line(
            f"count from now on: {', '.join(applied.not_filled)}. What happened before is not "
            "filled in"
        )
