"""`tillstream flow draw FLOW|FILE`: a flow as an outline, as Mermaid, as a picture."""

import argparse
import sys
from pathlib import Path

from agents.cli.looking import looking_arguments
from agents.cli.meant import definitions_argument, documents_meant, flow_in, flow_named
from agents.cli.printing import Printer, json_argument
from agents.drawing.blocks import blocks_of, outline
from agents.drawing.mermaid import mermaid
from agents.drawing.svg import svg
from agents.settings import Settings

FILES = (".yaml", ".yml")


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    draw = actions.add_parser("draw", help="the flow as a graph")
    draw.add_argument("flow", metavar="FLOW|FILE", help="the id of a flow, or its YAML file")
    form = draw.add_mutually_exclusive_group()
    form.add_argument("--svg", type=Path, metavar="FILE", help="write a picture")
    form.add_argument("--mermaid", action="store_true", help="print a Mermaid flowchart")
    definitions_argument(draw)
    looking_arguments(draw)
    json_argument(draw)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Raises: CommandFailed."""
    return _draw(options, settings)


def _draw(options: argparse.Namespace, settings: Settings) -> int:
    if Path(options.flow).suffix in FILES:
        flow = flow_in(Path(options.flow))
    else:
        flow = flow_named(documents_meant(options, settings), options.flow)
    blocks = blocks_of(flow)
    if options.svg is not None:
        options.svg.write_text(svg(blocks, flow.name or flow.id), encoding="utf-8")
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
