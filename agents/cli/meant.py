"""Which definitions a command means: of a folder, of the demo, or those in force."""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.cli.failures import CommandFailed, NotThere
from agents.cli.looking import cluster, looked_at
from agents.definitions import load, load_file
from agents.definitions_log import definitions_in_force, version_of
from agents.demo.making import DEFINITIONS
from agents.demo.place import NAMESPACE
from agents.settings import Settings
from schemas.definitions import Flow, StoreSettings
from schemas.records import DefinitionsPublished
from schemas.topics import INGEST_ROWS
from streams.definitions.parse import parse


def definitions_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--definitions`."""
    parser.add_argument(
        "--definitions",
        type=Path,
        metavar="DIR",
        help="the definitions that are meant (default: those in force)",
    )


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
        raise NotThere(f"there is no flow '{name}' in these definitions; there are: {there}")
    return flows[name]


def settings_meant(options: argparse.Namespace, settings: Settings) -> StoreSettings:
    """The store's settings; the defaults where it has published none.

    Raises: CommandFailed.
    """
    return parse(_documents(options, settings) or []).settings


def documents_meant(options: argparse.Namespace, settings: Settings) -> list[dict[str, Any]]:
    """The definitions of `--definitions`, else the demo's for the demo, else those in force.

    Raises: CommandFailed.
    """
    documents = _documents(options, settings)
    if documents is None:
        raise CommandFailed(f"no definitions are in force for the store {options.store}")
    return documents


def published_meant(options: argparse.Namespace, settings: Settings) -> DefinitionsPublished:
    """The same as they are published, with their version.

    Raises: CommandFailed.
    """
    documents = tuple(documents_meant(options, settings))
    return DefinitionsPublished(options.store, version_of(documents), "", documents)


def published_if_any(options: argparse.Namespace, settings: Settings) -> DefinitionsPublished:
    """The same; without documents where the store has published none.

    Raises: CommandFailed.
    """
    documents = tuple(_documents(options, settings) or ())
    return DefinitionsPublished(options.store, version_of(documents), "", documents)


def _documents(options: argparse.Namespace, settings: Settings) -> list[dict[str, Any]] | None:
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
    return None if published is None else list(published.documents)


async def _in_force(settings: Settings) -> Any:
    async with cluster(settings, INGEST_ROWS) as there:
        return await definitions_in_force(there)
