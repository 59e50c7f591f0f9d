"""`tillstream schemas`: the JSON Schemas of what is pushed, of every public topic, of the replay.

Made from the types; docs/schemas/ holds them (`tillstream schemas --out docs/schemas` writes them
anew, a test compares). What a schema cannot say is in docs/topics.md and docs/event-shapes.md.
"""

import argparse
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from agents.cli.failures import CommandFailed
from agents.cli.printing import Printer, json_argument
from agents.replay import contracts
from agents.settings import Settings
from schemas import outputs
from schemas.topics import (
    CONSENT,
    DEAD_LETTERS,
    DEFINITIONS,
    FLOW_TRIGGERS,
    IDENTITY_CONFLICTS,
    IDENTITY_ERASURES,
    IDENTITY_MERGES,
    IDENTITY_SPLITS,
    NOTIFICATIONS,
    SEGMENT_CHANGES,
    SEND_COMMANDS,
    SEND_DECISIONS,
    STORE_EVENTS,
    STORE_EVENTS_REJECTED,
    SWITCHES,
    TIMELINE,
)
from streams.ingest.klaviyo import KlaviyoBody
from streams.ingest.segment import Call
from streams.ingest.sent import SentEvent

SUFFIX = ".schema.json"

EVENTS: Mapping[str, tuple[str, Any]] = MappingProxyType(
    {
        "events/store-event": ("A store event", SentEvent),
        "events/klaviyo-event": ("The body of Klaviyo's Events API", KlaviyoBody),
        "events/segment-call": ("A Segment call", Call),
    }
)
"""The shapes that are taken on `store-events`."""

RECORDS: Mapping[str, Any] = MappingProxyType(
    {
        CONSENT.name: outputs.ConsentStated | outputs.ClockStruck,
        SWITCHES.name: outputs.DefinitionsAnnounced
        | outputs.SendsSwitched
        | outputs.PopulationStated,
        IDENTITY_ERASURES.name: outputs.ProfileErased,
        IDENTITY_SPLITS.name: outputs.ProfileSplit,
        IDENTITY_MERGES.name: outputs.IdentityMerged,
        IDENTITY_CONFLICTS.name: outputs.IdentityConflict,
        SEGMENT_CHANGES.name: outputs.SegmentChanged,
        FLOW_TRIGGERS.name: outputs.FlowTriggered,
        SEND_COMMANDS.name: outputs.SendCommand | outputs.ClockStruck,
        SEND_DECISIONS.name: outputs.SendDecided,
        NOTIFICATIONS.name: outputs.NotificationRequested,
        TIMELINE.name: outputs.TimelineEntry | outputs.DefinitionsSwitched,
        DEFINITIONS.name: outputs.DefinitionsStated,
    }
)
"""Public topic that we write -> what its records are."""

HEADERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        STORE_EVENTS_REJECTED.name: (
            "reason",
            "detail",
            "field",
            "position",
            "topic",
            "partition",
            "offset",
        ),
        DEAD_LETTERS.name: ("station", "reason", "topic", "partition", "offset"),
    }
)
"""Public topic whose values are the original bytes -> the headers, which say the rest."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="print this one")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write all of them below DIR")
    json_argument(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:  # noqa: ARG001
    """List, print or write schemas."""
    found = dict(schemas())
    if options.name is not None and options.name not in found:
        raise CommandFailed(f"there is no schema `{options.name}`: `tillstream schemas` lists them")
    if options.name is not None:
        found = {options.name: found[options.name]}
    if options.out is not None:
        write(options.out, found)
        return 0
    printer = Printer(as_json=options.json or options.name is not None)
    printer.table(("name", "of"), ((name, schema["title"]) for name, schema in found.items()))
    printer.data(found if options.name is None else found[options.name])
    return 0


def schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all by name: of events, of topics, of the files of the replay."""
    for name, (title, kind) in EVENTS.items():
        yield name, open_schema(title, kind)
    kinds = [kind for _, kind in EVENTS.values()]
    yield f"topics/{STORE_EVENTS.name}", open_schema(f"A record of {STORE_EVENTS.name}", *kinds)
    for topic, kind in RECORDS.items():
        yield f"topics/{topic}", schema_of(f"A record of {topic}", kind)
    for topic, headers in HEADERS.items():
        yield f"topics/{topic}", headers_schema(topic, headers)
    for name in contracts.LINES:
        yield name, msgspec.json.decode(contracts.schema_of(name))


def write(folder: Path, found: Mapping[str, Any]) -> None:
    """Write each into its file below the folder."""
    for name, schema in found.items():
        path = folder / f"{name}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written(schema))


def written(schema: Mapping[str, Any]) -> bytes:
    """A schema as it stands in its file."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def schema_of(title: str, *kinds: Any) -> dict[str, Any]:
    """The schema of what is of one of these types."""
    found, parts = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for part in parts.values():
        if "description" in part:
            part["description"] = inspect.cleandoc(part["description"])
    schema = {"$schema": contracts.DIALECT, "title": title}
    return {**schema, **(found[0] if len(found) == 1 else {"anyOf": [*found]}), "$defs": parts}


def open_schema(title: str, *kinds: Any) -> dict[str, Any]:
    """The schema of what is pushed: unknown keys are taken, so the schema must not forbid them."""
    schema = schema_of(title, *kinds)
    for part in schema["$defs"].values():
        part.pop("additionalProperties", None)
    return schema


def headers_schema(topic: str, headers: tuple[str, ...]) -> dict[str, Any]:
    """The schema of the headers of a topic, as an object; each is text."""
    return {
        "$schema": contracts.DIALECT,
        "title": f"The headers of a record of {topic}",
        "description": "The value of the record is the original bytes. What is not known is empty.",
        "type": "object",
        "properties": {name: {"type": "string"} for name in headers},
        "required": [*headers],
    }
