"""Folders of definitions -> what is published to `store-events`, and when."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import msgspec

from agents.definitions import load
from agents.replay.arrivals import instant_said
from schemas.definitions import StoreSettings
from schemas.records import DefinitionsPublished
from schemas.values import Instant, StoreId
from streams.definitions.parse import parse
from streams.grid import Arrival
from streams.ids import REPLAY_SECRET
from streams.ingest.control import definitions
from streams.instants import to_timestamp

AUTHOR = "replay"


class Wrong(Exception):
    """The definitions cannot be used. Arguments: a sentence for each reason."""


class Edition(NamedTuple):
    """Definitions of a store from an instant on; `since` None: from the beginning."""

    since: Instant | None
    settings: StoreSettings
    published: DefinitionsPublished


def editions(asked: Sequence[str]) -> list[Edition]:
    """Read every `DIR` or `DIR@T`; what is from the beginning comes first, then by T.

    Raises: Wrong, with everything that is wrong.
    """
    wrong: list[str] = []
    found: list[Edition] = []
    for one in asked:
        try:
            found.append(_edition(one))
        except Wrong as error:
            wrong += error.args
    places = [(edition.since, edition.published.store) for edition in found]
    for since, store in sorted(set(places), key=str):
        if places.count((since, store)) > 1:
            when = "without @T" if since is None else f"at {to_timestamp(since)}"
            wrong.append(f"--definitions: several for the store '{store}' {when}; one can be")
    if not wrong and not any(edition.since is None for edition in found):
        wrong.append("--definitions: one folder without @T is needed, in force from the beginning")
    if wrong:
        raise Wrong(*wrong)
    return sorted(found, key=lambda edition: edition.since or 0)


def arrivals_of(editions: Sequence[Edition], first: Instant) -> list[Arrival]:
    """The records with which they are published, in order.

    first: the first arrival of the history; what is from the beginning comes just before it.
    """
    since = [edition.since for edition in editions if edition.since is not None]
    start = min([first, *since])
    return [
        Arrival(start if edition.since is None else edition.since, value, None, headers)
        for edition in editions
        for value, headers in [definitions(edition.published, REPLAY_SECRET)]
    ]


def settings_at_the_end(
    editions: Sequence[Edition], until: Instant
) -> dict[StoreId, StoreSettings]:
    """The settings of each store that are in force at `until`."""
    return {
        edition.settings.store: edition.settings
        for edition in editions
        if edition.since is None or edition.since <= until
    }


def _edition(asked: str) -> Edition:
    folder, since = _place(asked)
    loaded = load(folder)
    if loaded.errors:
        if not folder.is_dir():
            raise Wrong(f"--definitions: there is no folder {folder}")
        raise Wrong(*(f"--definitions: {folder}/{problem}" for problem in loaded.errors))
    settings = parse(loaded.documents).settings
    documents = tuple(loaded.documents)
    version = blake2b(
        msgspec.json.encode(documents, order="deterministic"), digest_size=6
    ).hexdigest()
    fill = since is not None
    published = DefinitionsPublished(settings.store, version, AUTHOR, documents, fill)
    return Edition(since, settings, published)


def _place(asked: str) -> tuple[Path, Instant | None]:
    """Split `DIR@T`; a folder may have an @ in its own name."""
    folder, at, since = asked.rpartition("@")
    if not at or Path(asked).is_dir():
        return Path(asked), None
    try:
        return Path(folder), instant_said(number_or_text(since))
    except ValueError as error:
        raise Wrong(f"--definitions: '{since}' after the @ {error}") from error


def number_or_text(text: str) -> str | float:
    """What JSON would have without quotes is a number."""
    try:
        return float(text)
    except ValueError:
        return text
