"""`tillstream identity explain ID`: which event joined what, when, by which rule."""

import argparse
import sys
from pathlib import Path

from agents.cli.looking import database, ids_of, looked_at, looking_arguments
from agents.cli.meant import definitions_argument, published_if_any
from agents.cli.pictures import write_picture
from agents.cli.printing import json_argument, printer_for
from agents.drawing.joins import picture
from agents.reports.joins import PersonTold, explain_person
from agents.reports.people import profiles_meant
from agents.settings import Settings
from streams.ids import is_profile_id

ID = "a profile id, or an identifier: ann@example.com, external_id/17"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("who", metavar="ID", help=ID)
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a picture")
    definitions_argument(parser)
    looking_arguments(parser)
    json_argument(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Explain one person. Returns: 1 where nobody is meant.

    Raises: CommandFailed.
    """
    printer = printer_for(options)
    looked = looked_at(options, settings)
    published = published_if_any(options, settings)
    with database(looked) as client:
        meant = profiles_meant(client, options.store, options.who)
        if not meant and is_profile_id(options.who):
            meant = [options.who]
        found = explain_person(client, published, meant[0], ids_of(looked)) if meant else None
    printer.data(found)
    if found is None:
        printer.line(f"nobody known as {options.who} in the store {options.store}")
        return 1
    if options.svg is not None:
        write_picture(options.svg, picture(found))
        sys.stderr.write(f"wrote {options.svg}\n")
    printer.heading(f"Profile {found.profile_id}")
    printer.table(("identifier", "since", "points to"), _standing(found))
    printer.heading("How they were joined")
    for one in found.joins:
        printer.line(f"{_at(one.at)}  {one.rule:<11}  {one.words}")
    if len(meant) > 1:
        printer.line(f"Also known by this identifier: {', '.join(meant[1:])}")
    return 0


def _standing(found: PersonTold) -> list[tuple[str, str, str]]:
    return [
        (
            f"{one.kind} {one.value}",
            _at(one.since),
            "nobody any more: too many share it"
            if one.shared
            else "them"
            if one.profile_id == found.profile_id
            else f"another: {one.profile_id}",
        )
        for one in found.identifiers
    ]


def _at(at: str) -> str:
    return at[:19].replace("T", " ")
