"""Documents (plain data, one definition each) -> definitions, and every problem at once.

In: what YAML or a `DefinitionsPublished` record gives. Out: `Parsed`. Nothing is compiled here.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from schemas import definitions as d
from streams.attribution.rules import UnknownModel, rules_of
from streams.definitions import flows, settings
from streams.definitions.conditions import CONDITION, LIST, SEGMENT
from streams.definitions.problems import Problem, near, show
from streams.definitions.readers import Choice, Reading, Text
from streams.definitions.references import check_references, unknown_in
from streams.definitions.shapes import Field, Shape
from streams.definitions.zones import find_zone

KINDS: dict[str, Shape] = {
    "store": settings.SETTINGS,
    "list": Shape(
        "a list",
        {
            "list": Field(LIST, "id"),
            "name": Field(Text()),
            "opt_in": Field(Choice("double", "single", "none")),
        },
        d.ProfileList,
    ),
    "segment": Shape(
        "a segment",
        {
            "segment": Field(SEGMENT, "id"),
            "name": Field(Text()),
            "where": Field(CONDITION, required=True),
        },
        d.Segment,
    ),
    "flow": flows.FLOW_SHAPE,
    "campaign": flows.CAMPAIGN,
}
"""First key of a document -> what it defines."""


class Parsed(NamedTuple):
    """definitions: by the number of their document; one with errors is missing."""

    settings: d.StoreSettings
    definitions: dict[int, d.Definition]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")


def kind_of(document: Mapping[str, Any]) -> str | None:
    """What a document defines: its first key, or any other that is a kind."""
    return next((key for key in document if key in KINDS), None)


def id_of(document: Mapping[str, Any]) -> str:
    kind = kind_of(document)
    return "" if kind is None else str(document[kind])


def parse(
    documents: Sequence[Mapping[str, Any]], *, known_metrics: Collection[str] | None = None
) -> Parsed:
    """Read all documents.

    known_metrics: metrics that some event had; others are warned of. None: not known.
    """
    utc = _utc()
    problems: list[Problem] = []
    definitions: dict[int, d.Definition] = {}
    stores = [i for i, document in enumerate(documents) if kind_of(document) == "store"]
    store = d.StoreSettings()
    for i in stores:
        reading = Reading(utc, i)
        store = settings.SETTINGS.read(documents[i], (), reading) or store
        definitions[i] = store
        problems += reading.problems
        problems += _unknown_models(store, i)
    for i in stores[1:]:
        problems.append(Problem(("store",), "there are settings of a store already", document=i))
    zone = find_zone(store.zone) or utc
    for i, document in enumerate(documents):
        if i in definitions:
            continue
        reading = Reading(zone, i)
        definition = _read(document, reading)
        if definition is not None:
            definitions[i] = definition
        problems += reading.problems
    problems += _doubles(documents)
    written = documents_by_kind(documents)
    problems += check_references(written, definitions, known_metrics)
    for i, document in enumerate(documents):
        if i not in definitions and kind_of(document) in ("segment", "flow", "campaign"):
            problems += unknown_in(document, written, i)
    return Parsed(store, definitions, tuple(sorted(problems, key=lambda p: p.document)))


def _unknown_models(store: d.StoreSettings, number: int) -> Iterator[Problem]:
    try:
        rules_of(store)
    except UnknownModel as error:
        yield Problem(("attribution", "models"), str(error), document=number)


def _utc() -> ZoneInfo:
    zone = find_zone("UTC")
    assert zone is not None
    return zone


def documents_by_kind(documents: Sequence[Mapping[str, Any]]) -> dict[str, set[str]]:
    """kind -> ids that are written down, also those of definitions with errors."""
    ids: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for document in documents:
        kind = kind_of(document)
        if kind is not None:
            ids[kind].add(id_of(document))
    return ids


def _read(document: Any, reading: Reading) -> d.Definition | None:
    if not isinstance(document, dict):
        reading.refuse((), f"{show(document)} is no definition: a map was expected")
        return None
    kind = kind_of(document)
    if kind is None:
        first = str(next(iter(document), ""))
        reading.refuse(
            (), f"{show(first)} is no kind of definition: {', '.join(KINDS)}{near(first, KINDS)}"
        )
        return None
    definition: d.Definition | None = KINDS[kind].read(document, (), reading)
    return definition


def _doubles(documents: Sequence[Mapping[str, Any]]) -> list[Problem]:
    seen: set[tuple[str, str]] = set()
    problems = []
    for i, document in enumerate(documents):
        kind = kind_of(document)
        name = (kind or "", id_of(document))
        if kind not in (None, "store") and name in seen:
            problems.append(
                Problem((kind or "",), f"there is a {kind} '{name[1]}' already", document=i)
            )
        seen.add(name)
    return problems
