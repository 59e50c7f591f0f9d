"""`tillstream flow draw FLOW|FILE`: a flow as an outline, as Mermaid, as a picture.

`tillstream flow preview FLOW`: would the last trigger events have entered, check by check?
"""

import argparse
import sys
from pathlib import Path

import msgspec

from agents.cli.failures import CommandFailed
from agents.cli.looking import database, ids_of, looked_at, looking_arguments
from agents.cli.meant import (
    definitions_argument,
    documents_meant,
    flow_in,
    flow_named,
    published_meant,
)
from agents.cli.pictures import write_picture
from agents.cli.printing import Printer, json_argument
from agents.cli.telling import leaf_of
from agents.drawing.blocks import blocks_of, outline
from agents.drawing.mermaid import mermaid
from agents.drawing.svg import svg
from agents.reports.explanations import Teller
from agents.reports.flow_preview import NothingTriggers, Previewed, previews
from agents.settings import Settings
from streams.flows.preview import TRIGGER, Check

FILES = (".yaml", ".yml")


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    draw = actions.add_parser("draw", help="the flow as a graph")
    draw.add_argument("flow", metavar="FLOW|FILE", help="the id of a flow, or its YAML file")
    form = draw.add_mutually_exclusive_group()
    form.add_argument("--svg", type=Path, metavar="FILE", help="write a picture")
    form.add_argument("--mermaid", action="store_true", help="print a Mermaid flowchart")
    preview = actions.add_parser("preview", help="would the last trigger events have entered?")
    preview.add_argument("flow", metavar="FLOW", help="the id of a flow")
    preview.add_argument("--last", type=int, default=10, metavar="N", help="how many (default: 10)")
    for action in (draw, preview):
        definitions_argument(action)
        looking_arguments(action)
        json_argument(action)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Raises: CommandFailed."""
    return (_draw if options.action == "draw" else _preview)(options, settings)


def _draw(options: argparse.Namespace, settings: Settings) -> int:
    if Path(options.flow).suffix in FILES:
        flow = flow_in(Path(options.flow))
    else:
        flow = flow_named(documents_meant(options, settings), options.flow)
    blocks = blocks_of(flow)
    if options.svg is not None:
        write_picture(options.svg, svg(blocks, flow.name or flow.id))
        sys.stderr.write(f"wrote {options.svg}\n")
        return 0
    printer = Printer(as_json=options.json)
    if options.mermaid:
        sys.stdout.write(mermaid(blocks))
        return 0
    printer.data(blocks)
    printer.heading(f"Flow {flow.id}" + (f": {flow.name}" if flow.name else ""))
    for line in outline(blocks):
        printer.line(line)
    return 0


def _preview(options: argparse.Namespace, settings: Settings) -> int:
    if options.last < 1:
        raise CommandFailed(f"--last: {options.last} is not 1 or more")
    looked = looked_at(options, settings)
    published = published_meant(options, settings)
    flow_named(published.documents, options.flow)
    with database(looked) as client:
        teller = Teller(client, published, ids_of(looked))
        plan = teller.definitions.plans.flows[options.flow]
        try:
            found = previews(client, options.store, plan, teller, last=options.last)
        except NothingTriggers as error:
            raise CommandFailed(str(error)) from error
    printer = Printer(as_json=options.json)
    printer.data(found)
    printer.heading(
        f"{options.flow}: {sum(one.enters for one in found)} of the last {len(found)} would enter"
    )
    for one in found:
        _show_preview(printer, one)
    return 0


def _show_preview(printer: Printer, one: Previewed) -> None:
    answer = "enters" if one.enters else "does not enter"
    when = one.at[:19].replace("T", " ")
    printer.line(f"{when}  {one.profile_id}  {one.name} {one.event_id}: {answer}")
    passed = [
        check.name
        for check in one.checks
        if check.passes and check.name != TRIGGER and not check.evidence
    ]
    for check in one.checks:
        if not check.passes or check.evidence or check.name == TRIGGER:
            printer.line(f"    {'passes ' if check.passes else 'objects'}  {_asked(check)}")
            for leaf in check.evidence:
                printer.line(f"{'':13}{leaf_of(msgspec.to_builtins(leaf))}")
    if passed:
        printer.line(f"    passes   {', '.join(passed)}")


def _asked(check: Check) -> str:
    """A check that objects says why; one that passes, what was asked."""
    if check.name == TRIGGER:
        return f"trigger: {check.words}"
    return check.name if check.passes else check.words
