"""`tillstream profile show|export ID`: one person, as the row has it and the timeline tells it."""

import argparse
import asyncio
import sys
from typing import Any

import msgspec

from agents.changelog import read_row
from agents.cli.failures import CommandFailed
from agents.cli.looking import cluster, database, looked_at, looking_arguments
from agents.cli.printing import Printer, json_argument
from agents.cli.telling import leaf_of, line_of
from agents.replay.profiles import consent_of, profile_state
from agents.replay.profiles import read_row as decode_row
from agents.reports.export import Held, held
from agents.reports.people import profiles_meant
from agents.reports.stories import ProfileStory, profile_story
from agents.settings import Settings
from schemas.outputs import ProfileState
from schemas.rows import ProfileRow
from schemas.topics import PROFILE_ROWS
from schemas.values import ProfileId
from streams.intake import partition_of

LAST_ROWS = 30


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A person: the state now, and the story so far."""

    state: ProfileState
    story: ProfileStory


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """All that is held about a person. addresses: channel -> address -> what it may receive now."""

    state: ProfileState
    addresses: dict[str, dict[str, str]]
    timeline: Held


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="traits, consent, segments, timeline")
    show.add_argument(
        "who", metavar="ID", help="a profile id, or an identifier: ann@example.com, external_id/17"
    )
    show.add_argument("--all", action="store_true", help=f"more than the last {LAST_ROWS} rows")
    looking_arguments(show)
    json_argument(show)
    export = actions.add_parser("export", help="all that is held about a person, as JSON")
    export.add_argument("who", metavar="ID", help="as for show")
    looking_arguments(export)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Show one person. Returns: 1 where nobody is meant.

    Raises: CommandFailed.
    """
    looked = looked_at(options, settings)
    if options.action == "export":
        return _export(options, looked)
    printer = Printer(as_json=options.json)
    with database(looked) as client:
        meant = profiles_meant(client, options.store, options.who)
        if not meant:
            printer.line(_nobody(options))
            printer.data(None)
            return 1
        story = profile_story(client, options.store, meant[0])
    events = [row.id for row in story.rows if row.kind in ("event", "outcome")]
    state = asyncio.run(_state(looked, story.profile_id, events))
    printer.data(Shown(state=state, story=story))
    _show_state(printer, state)
    _show_story(printer, story, everything=options.all)
    if len(meant) > 1:
        printer.line(f"Also known by this identifier: {', '.join(meant[1:])}")
    return 0


def _export(options: argparse.Namespace, looked: Settings) -> int:
    """Print all that is held, as one JSON document. Returns: 1 where nobody is meant."""
    printer = Printer(as_json=True)
    with database(looked) as client:
        meant = profiles_meant(client, options.store, options.who)
        if not meant:
            sys.stderr.write(f"{_nobody(options)}\n")
            printer.data(None)
            return 1
        timeline = held(client, options.store, meant[0])
    row = asyncio.run(_row(looked, timeline.profile_id))
    state = profile_state(row, [one["event_id"] for one in timeline.events])
    printer.data(Exported(state=state, addresses=consent_of(row), timeline=timeline))
    return 0


def _nobody(options: argparse.Namespace) -> str:
    return f"nobody known as {options.who} in the store {options.store}"


async def _state(settings: Settings, profile_id: ProfileId, events: list[str]) -> ProfileState:
    return profile_state(await _row(settings, profile_id), events)


async def _row(settings: Settings, profile_id: ProfileId) -> ProfileRow:
    """The newest row of a profile.

    Raises: CommandFailed.
    """
    async with cluster(settings, PROFILE_ROWS) as there:
        partition = partition_of(profile_id, there.partitions)
        blob = await read_row(there, PROFILE_ROWS, partition, profile_id.encode())
    if blob is None:
        raise CommandFailed(f"{profile_id} is in the timeline, but has no row in the changelog")
    return decode_row(blob)


def _show_state(printer: Printer, state: ProfileState) -> None:
    printer.heading(f"Profile {state.profile_id}")
    facts: list[tuple[str, Any]] = [
        *((kind, ", ".join(values)) for kind, values in state.identifiers.items()),
        *((f"trait {name}", value) for name, value in sorted(state.traits.items())),
        *((f"consent {channel}", _consent(said)) for channel, said in state.consent.items()),
        ("lists", ", ".join(state.lists) or "none"),
        ("segments", ", ".join(state.segments) or "none"),
        ("orders", f"{state.figures['orders']}, together {state.figures['revenue']}"),
        ("events", len(state.events)),
    ]
    printer.table(("what", "value"), facts)


def _consent(said: dict[str, Any]) -> str:
    suppressed = f", suppressed: {', '.join(said['suppressed'])}" if said.get("suppressed") else ""
    return f"{said['state']} at {said['address']}{suppressed}"


def _show_story(printer: Printer, story: ProfileStory, *, everything: bool) -> None:
    rows = story.rows if everything else story.rows[-LAST_ROWS:]
    printer.heading("Timeline")
    if len(rows) < len(story.rows):
        printer.line(f"... {len(story.rows) - len(rows)} rows before (--all shows them)")
    for row in rows:
        printer.line(line_of(row))
        if row.kind == "entered" and isinstance(row.details, list):
            for leaf in row.details:
                printer.line(f"{'':32}{leaf_of(leaf)}")
