"""`tillstream definitions check|apply DIR`: every error at once; published, where there is none."""

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec

from agents.cli.author import author_argument, author_of
from agents.cli.failures import CommandFailed
from agents.cli.looking import database, looked_at, looking_arguments
from agents.cli.printing import Printer, json_argument, printer_for
from agents.definitions import Problem, check, load
from agents.definitions_log import (
    DefinitionsRefused,
    Prepared,
    counting_from_now,
    definitions_in_force,
    had_events,
    prepare,
    publish,
)
from agents.live.asking import NotReached, reached
from agents.reports.habits import overlapping, show_overlap, traffic_in
from agents.settings import Settings
from agents.switches import AnotherPublishes, Place
from schemas.topics import INGEST_ROWS, STORE_EVENTS, SWITCHES, TIMELINE
from schemas.values import StoreId
from streams.definitions.cost import Traffic


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What `apply` did. number: of what was published last.

    not_filled: segments that know nothing of the events before.
    """

    store: StoreId
    version: str
    number: int
    author: str
    was: str | None
    published: bool
    definitions: dict[str, int]
    places: list[tuple[int, int]]
    not_filled: list[str]
    warnings: list[str]


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    checking = actions.add_parser("check", help="print every error of a folder")
    checking.add_argument("folder", type=Path, metavar="DIR")
    checking.add_argument(
        "--timeline",
        action="store_true",
        help="also compare with what happened: metrics that no event ever had, segments that "
        "overlap, what they cost",
    )
    looking_arguments(checking)
    json_argument(checking)
    applying = actions.add_parser("apply", help="check a folder, then put it in force")
    applying.add_argument("folder", type=Path, metavar="DIR")
    author_argument(applying)
    applying.add_argument(
        "--again", action="store_true", help="publish also what is in force already"
    )
    json_argument(applying)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Returns: 1 where the definitions have errors."""
    printer = printer_for(options)
    if options.action == "check":
        return _check(options, settings, printer)
    try:
        prepared = prepare(options.folder, author_of(options))
    except DefinitionsRefused as refused:
        printer.data({"published": False, "errors": [str(one) for one in refused.problems]})
        sys.stderr.write(f"tillstream: {refused}\n")
        return 1
    try:
        applied = asyncio.run(_apply(settings, prepared, again=options.again))
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


async def _apply(settings: Settings, prepared: Prepared, *, again: bool) -> Applied:
    published = prepared.published
    async with reached(settings, STORE_EVENTS, INGEST_ROWS, SWITCHES, TIMELINE) as there:
        before = (await definitions_in_force(there)).get(published.store)
        same = before is not None and before.version == published.version
        number, places = (0 if before is None else before.number), list[Place]()
        if again or not same:
            number, places = await publish(there, published)
        unfilled: list[str] = []
        if not same and await had_events(there):
            unfilled = counting_from_now(before, prepared.program)
    return Applied(
        store=published.store,
        version=published.version,
        number=number,
        author=published.author,
        was=None if before is None else before.version,
        published=bool(places),
        definitions=prepared.counts,
        places=[(place.partition, place.offset) for place in places],
        not_filled=unfilled,
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
    if applied.not_filled:
        printer.line(
            f"count from now on: {', '.join(applied.not_filled)}. What happened before is not "
            "filled in yet (back-fill is not there yet), and who does nothing enters no new segment"
        )
