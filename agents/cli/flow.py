"""`tillstream flow draw FLOW|FILE`: a flow as an outline, as Mermaid, as a picture."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.cli.failures import CommandFailed
from agents.cli.looking import cluster, looked_at, looking_arguments
from agents.cli.printing import Printer, json_argument
from agents.definitions import load, load_file
from agents.definitions_log import in_force
from agents.demo.making import DEFINITIONS
from agents.demo.place import NAMESPACE
from agents.drawing.blocks import blocks_of, outline
from agents.drawing.mermaid import mermaid
from agents.drawing.svg import svg
from agents.settings import Settings
from schemas.definitions import Flow
from streams.definitions.parse import parse

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


def definitions_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--definitions`."""
    parser.add_argument(
        "--definitions",
        type=Path,
        metavar="DIR",
        help="the definitions that are meant (default: those in force)",
    )


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


def flow_in(path: Path) -> Flow:
    """The flow in a file, whatever it refers to.

    Raises: CommandFailed.
    """
    loaded = load_file(path)
    for found in parse(loaded.documents).definitions.values():
        if isinstance(found, Flow):
            return found
    errors = "\n".join(map(str, loaded.errors))
    raise CommandFailed(errors or f"{path} is no flow")


def flow_named(documents: Sequence[dict[str, Any]], name: str) -> Flow:
    """The flow of that id.

    Raises: CommandFailed.
    """
    flows = {one.id: one for one in parse(documents).definitions.values() if isinstance(one, Flow)}
    if name not in flows:
        there = ", ".join(sorted(flows)) or "none"
        raise CommandFailed(f"there is no flow '{name}' in these definitions; there are: {there}")
    return flows[name]


def documents_meant(options: argparse.Namespace, settings: Settings) -> list[dict[str, Any]]:
    """The definitions of `--definitions`, else the demo's for the demo, else those in force.

    Raises: CommandFailed.
    """
    folder, looked = options.definitions, None
    if folder is None:
        looked = looked_at(options, settings)
        if looked.namespace == NAMESPACE:
            folder = DEFINITIONS
    if folder is not None:
        loaded = load(folder)
        if loaded.errors:
            raise CommandFailed("\n".join(map(str, loaded.errors)))
        return loaded.documents
    assert looked is not None, "without a folder it is known where to look"
    published = asyncio.run(_in_force(looked)).get(options.store)
    if published is None:
        raise CommandFailed(f"no definitions are in force for the store {options.store}")
    return list(published.documents)


async def _in_force(settings: Settings) -> Any:
    async with cluster(settings) as there:
        return await in_force(there)
