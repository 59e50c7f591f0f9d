"""`tillstream segment preview FILE|ID`, `tillstream segment history ID`."""

import argparse
from datetime import date
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from agents.cli.failures import CommandFailed, NotThere
from agents.cli.looking import (
    at_argument,
    database,
    ids_of,
    instant_meant,
    looked_at,
    looking_arguments,
)
from agents.cli.meant import definitions_argument, documents_meant, settings_meant
from agents.cli.pictures import write_picture
from agents.cli.printing import Printer, json_argument, printer_for
from agents.definitions import load_file
from agents.drawing.sizes import picture
from agents.reports.habits import traffic_in
from agents.reports.preview import Preview, preview
from agents.reports.sizes import DayOfSegment, sizes
from agents.settings import Settings
from schemas.values import SegmentId
from streams.definitions.parse import id_of, kind_of
from streams.definitions.problems import DefinitionsError

OVERLAPS_SHOWN = 20
DAYS_SHOWN = 31


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    looking = actions.add_parser("preview", help="who would be in it, before it is published")
    looking.add_argument("what", metavar="FILE|ID", help="a segment's file, or its id")
    at_argument(looking, "at this instant (default: now)")
    telling = actions.add_parser("history", help="its size by day: joined, left, net")
    telling.add_argument("what", metavar="ID", help="the segment's id")
    telling.add_argument("--from", dest="since", type=date.fromisoformat, metavar="DAY")
    telling.add_argument("--to", dest="until", type=date.fromisoformat, metavar="DAY")
    telling.add_argument("--svg", type=Path, metavar="FILE", help="also as a picture")
    for action in (looking, telling):
        definitions_argument(action)
        looking_arguments(action)
        json_argument(action)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Returns: 1 where there is nothing to tell.

    Raises: CommandFailed.
    """
    if options.action == "preview":
        return _preview(options, settings)
    return _history(options, settings)


# --- preview -------------------------------------------------------------------------------------


def _preview(options: argparse.Namespace, settings: Settings) -> int:
    printer = printer_for(options)
    segment, documents = _meant(options, settings)
    looked = looked_at(options, settings)
    with database(looked) as client:
        at = instant_meant(options, client, looked)
        try:
            found = preview(client, options.store, documents, segment, at, ids_of(looked))
        except DefinitionsError as error:
            raise CommandFailed(str(error)) from error
        if _is_file(options.what):
            traffic = traffic_in(client, options.store)
            loaded = load_file(Path(options.what), documents, advised_by=traffic)
            found = replace(found, warnings=list(map(str, loaded.problems)))
    printer.data(found)
    _show_preview(printer, found)
    return 0


def _meant(
    options: argparse.Namespace, settings: Settings
) -> tuple[SegmentId, list[dict[str, Any]]]:
    """The segment's id, and the definitions with it in the place of what is in force.

    Raises: CommandFailed.
    """
    documents = documents_meant(options, settings)
    if not _is_file(options.what):
        if options.what not in _segments(documents):
            there = ", ".join(sorted(_segments(documents))) or "none"
            raise NotThere(f"there is no segment '{options.what}'; there are: {there}")
        return options.what, documents
    loaded = load_file(Path(options.what), documents)
    if loaded.errors:
        raise CommandFailed("\n".join(map(str, loaded.errors)))
    (document,) = loaded.documents
    if kind_of(document) != "segment":
        raise CommandFailed(f"{options.what} is no segment")
    segment = id_of(document)
    others = [one for one in documents if (kind_of(one), id_of(one)) != ("segment", segment)]
    return segment, [*others, document]


def _is_file(what: str) -> bool:
    return what.endswith((".yaml", ".yml"))


def _segments(documents: list[dict[str, Any]]) -> set[SegmentId]:
    return {id_of(one) for one in documents if kind_of(one) == "segment"}


def _show_preview(printer: Printer, found: Preview) -> None:
    share = _share(found.profiles, found.everybody)
    printer.heading(
        f"Segment {found.segment}: {found.profiles:,} of {found.everybody:,} profiles ({share})"
    )
    for warning in found.warnings:
        printer.line(warning)
    if found.examples:
        printer.line(f"Among them {', '.join(found.examples)}")
    shown = [one for one in found.overlap if one.both][:OVERLAPS_SHOWN]
    if shown:
        printer.table(
            ("also in", "profiles", "both", "of this", "of the other"),
            [
                (
                    one.segment,
                    one.profiles,
                    one.both,
                    _share(one.both, found.profiles),
                    _share(one.both, one.profiles),
                )
                for one in shown
            ],
        )
    at = found.at[:16].replace("T", " ")
    printer.line(f"Nothing was published; told from the timeline, as of {at} UTC.")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


# --- history -------------------------------------------------------------------------------------


def _history(options: argparse.Namespace, settings: Settings) -> int:
    printer = printer_for(options)
    zone = settings_meant(options, settings).zone
    with database(looked_at(options, settings)) as client:
        every_day = sizes(client, options.store, options.what, zone)
    days = [
        day
        for day in every_day
        if (options.since is None or day.day >= str(options.since))
        and (options.until is None or day.day <= str(options.until))
    ]
    printer.data(days)
    if not days:
        nobody = f"nobody has entered {options.what} in the store {options.store}"
        known = f"the history of {options.what} has none of these days"
        printer.line(known if every_day else nobody)
        return 1
    _show_history(printer, options.what, days)
    if options.svg is not None:
        write_picture(options.svg, picture(options.what, days))
        printer.line(f"drawn in {options.svg}")
    return 0


def _show_history(printer: Printer, segment: SegmentId, days: list[DayOfSegment]) -> None:
    printer.heading(f"Segment {segment}: {days[-1].profiles:,} profiles on {days[-1].day}")
    if len(days) > DAYS_SHOWN:
        printer.line(f"the last {DAYS_SHOWN} of {len(days):,} days (--json and --svg have all)")
    printer.table(
        ("day", "joined", "left", "net", "profiles"),
        [(one.day, one.joined, one.left, one.net, one.profiles) for one in days[-DAYS_SHOWN:]],
    )
