"""Definitions of a folder -> `store-events`: in force from one place in the order of time.

In: a folder, checked as `definitions check` does. Out: one record in every partition, in one
transaction, so that no partition ever has another version than the others.
"""

import time
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import msgspec

from agents.definitions import Loaded, Problem, load
from agents.settings import Settings
from agents.switches import Control, Place, in_force
from agents.switches import publish as publish_numbered
from agents.topics import ends_of, places_of
from schemas.outputs import DefinitionsAnnounced
from schemas.records import DefinitionsPublished
from schemas.rows import DefinitionsRow
from schemas.topics import TIMELINE
from schemas.values import StoreId
from streams.definitions.parse import kind_of
from streams.definitions.problems import DefinitionsError
from streams.definitions.program import Program, compile_program
from streams.definitions.switch import live_documents, lived, unready, waiting
from streams.ingest.control import definitions
from streams.instants import to_timestamp

BYTES_MAX = 1_500_000
"""Of one version as JSON: workers keep up to three of them in one row, and a row has 6 MiB."""


class DefinitionsRefused(Exception):
    """Definitions that must not be published. problems: every reason, a line each."""

    def __init__(self, folder: Path, problems: list[Problem]) -> None:
        self.problems = problems
        count = len(problems)
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(
            f"the definitions in {folder} have {count} error{'s' * (count > 1)}; nothing was "
            f"published:\n{lines}"
        )


class Prepared(NamedTuple):
    """What is to be published. counts: definitions by kind."""

    published: DefinitionsPublished
    program: Program
    counts: dict[str, int]
    warnings: list[Problem]


def version_of(documents: tuple[dict[str, object], ...]) -> str:
    """The version of definitions: a short hash of what they say, as `replay` has it."""
    content = msgspec.json.encode(documents, order="deterministic")
    return blake2b(content, digest_size=6).hexdigest()


def prepare(folder: Path, author: str) -> Prepared:
    """Read a folder and check it.

    Raises: DefinitionsRefused, with everything that is wrong.
    """
    loaded = load(folder)
    problems = loaded.errors or _further(folder, loaded)
    if problems:
        raise DefinitionsRefused(folder, problems)
    documents = tuple(loaded.documents)
    version = version_of(documents)
    try:
        program = compile_program(documents, version=version)
    except DefinitionsError as error:
        raise DefinitionsRefused(folder, [Problem(str(folder), 0, "", str(error))]) from error
    published = DefinitionsPublished(program.settings.store, version, author, documents)
    kinds = [kind_of(document) or "" for document in documents]
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    return Prepared(published, program, counts, loaded.problems)


def _further(folder: Path, loaded: Loaded) -> list[Problem]:
    """What only shows when definitions that read well are to be used."""
    if not loaded.documents:
        return [Problem(str(folder), 0, "", "holds no definitions (*.yaml)")]
    size = len(msgspec.json.encode(loaded.documents))
    if size > BYTES_MAX:
        return [Problem(str(folder), 0, "", f"{size:,} bytes; at most {BYTES_MAX:,}")]
    return []


async def publish(settings: Settings, published: DefinitionsPublished) -> tuple[int, list[Place]]:
    """Publish with the next number of the store. Returns: the number, and where the copies stand.

    Raises: AnotherPublishes.
    """

    def numbered(number: int) -> Control:
        said = msgspec.structs.replace(published, number=number)
        note = DefinitionsAnnounced(
            store=said.store,
            number=number,
            version=said.version,
            author=said.author,
            at=to_timestamp(time.time_ns() // 1_000_000),
        )
        return Control(*definitions(said, settings.secret_bytes), note)

    return await publish_numbered(settings, published.store, numbered)


async def rows_in_force(settings: Settings) -> dict[StoreId, DefinitionsRow]:
    """The definitions that ingest has taken up, by store."""
    return (await in_force(settings)).definitions


async def definitions_in_force(settings: Settings) -> dict[StoreId, DefinitionsPublished]:
    """The same, as they were published."""
    return {store: row.published for store, row in (await rows_in_force(settings)).items()}


async def had_events(settings: Settings) -> bool:
    """Whether any event has come to a profile yet."""
    ends = await ends_of(settings, places_of(settings, TIMELINE))
    return any(end > 0 for end in ends.values())


def asking_the_past(before: DefinitionsRow | None, after: Program) -> list[str]:
    """What asks about events before the switch that no row has kept: segments, and `(flows)`."""
    live = lived(() if before is None else live_documents(before))
    keys = unready(live, after)
    segments = [
        name
        for name in sorted(waiting(after, keys))
        if name not in live.segments
        or live.segments[name].definition != after.segments[name].definition
    ]
    in_segments = {key for one in after.segments.values() for key in one.condition.needs.features}
    return [*segments, *(["(conditions of flows)"] if keys - in_segments else [])]
