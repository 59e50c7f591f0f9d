"""From one version of a store's definitions to the next: shadow, then live.

In: what was in force, what is published. Out: what is in force from there on (`DefinitionsRow`, a
value that workers keep) and the program that follows from it.

Published with `fill`, a version asks things about the past that no row has kept. Until they are
filled in from the timeline, what it asks newly is only noted, from the switch on (in shadow, under
keys of its own), and segments that ask it stay as they were; all else is in force at once. Then
it goes live: what was noted and what was filled in take their places.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.outputs import DefinitionsStated, DefinitionsSwitched
from schemas.records import DefinitionsFilled, DefinitionsPublished, PopulationMeasured
from schemas.rows import DEFINITIONS_ROW_SCHEMA, DefinitionsRow
from schemas.values import Origin, SegmentId
from streams.definitions.parse import id_of, kind_of, parse
from streams.definitions.program import CompiledSegment, Past, Program, compile_program
from streams.instants import to_timestamp
from streams.segments.features import FeatureKey

Documents = tuple[dict[str, Any], ...]


def in_force(
    before: DefinitionsRow | None,
    said: DefinitionsPublished | DefinitionsFilled | PopulationMeasured,
    origin: Origin,
) -> DefinitionsRow:
    """What is in force after `said`.

    origin: of `said`. Returns: `before` itself where nothing changes: the same version again, or
            the end of a back-fill that is not under way any more.
    """
    if isinstance(said, PopulationMeasured):
        assert before is not None, "cuts without definitions"
        return msgspec.structs.replace(before, cuts=said.cuts)
    if isinstance(said, DefinitionsFilled):
        assert before is not None, "a back-fill without definitions"
        if not before.filling or said.switch != before.switch:
            return before
        return msgspec.structs.replace(before, filled=said.switch)
    if before is not None and before.published.version == said.version:
        return before
    row = DefinitionsRow(DEFINITIONS_ROW_SCHEMA, said, origin)
    if before is not None:
        row.former, row.filled, row.cuts = before.published, before.filled, before.cuts
    if not said.fill:
        return row
    live = () if before is None else live_documents(before)
    new = compile_program(said.documents, version=said.version)
    return msgspec.structs.replace(row, live=live) if unready(lived(live), new) else row


def program_of(row: DefinitionsRow) -> Program:
    """The program of what is in force."""
    documents, version, cuts = row.published.documents, row.published.version, row.cuts
    if row.live is None:
        past = Past(filled=row.filled)
        return compile_program(documents, version=version, past=past, cuts=cuts)
    new = compile_program(documents, version=version)
    keys = unready(lived(row.live), new)
    if not row.filling:
        past = Past(filled=row.filled, unready=keys)
        return compile_program(documents, version=version, past=past, cuts=cuts)
    shadow = tuple(new.features[key] for key in sorted(keys))
    parsed = parse(_mixed(row.live, documents, new, keys))
    past = Past(shadow, row.switch, row.filled, keys)
    return Program(version, new.settings, parsed.definitions.values(), past=past, cuts=cuts)


def live_documents(row: DefinitionsRow) -> Documents:
    """By what is lived now: while the past is filled in, what has to wait for it is as it was."""
    published = row.published
    if row.live is None or not row.filling:
        return published.documents
    new = compile_program(published.documents, version=published.version)
    return _mixed(row.live, published.documents, new, unready(lived(row.live), new))


def unready(live: Program, new: Program) -> frozenset[FeatureKey]:
    """The features of `new` that rows under `live` do not have, or not as far back."""
    return frozenset(
        key
        for key, feature in new.features.items()
        if key not in live.features or not live.features[key].keeps_what(feature)
    )


def waiting(new: Program, keys: frozenset[FeatureKey]) -> set[SegmentId]:
    """The segments that ask for one of these features, or for such a segment."""
    found: set[SegmentId] = set()
    for segment in new.segments.values():  # in the order of their ranks
        needs = segment.condition.needs
        if needs.features & keys or needs.segments & found:
            found.add(segment.id)
    return found


def stated(row: DefinitionsRow) -> DefinitionsStated:
    """What is in force, for who asks without reading the log."""
    published = row.published
    return DefinitionsStated(
        store=published.store,
        version=published.version,
        author=published.author,
        published_at=to_timestamp(row.origin[0]),
        switch=row.switch,
        filling=row.filling,
        live=row.live if row.filling else None,
        documents=published.documents,
    )


def marked(row: DefinitionsRow) -> DefinitionsSwitched:
    """The mark of a switch in the timeline."""
    published = row.published
    return DefinitionsSwitched(store=published.store, version=published.version, switch=row.switch)


def lived(documents: Documents) -> Program:
    """A program of mixed documents: what they refer to may be missing."""
    parsed = parse(documents)
    return Program("", parsed.settings, parsed.definitions.values())


def _mixed(
    live: Documents, new: Documents, program: Program, keys: frozenset[FeatureKey]
) -> Documents:
    """The new documents; segments that have to wait as they were, with those they refer to."""
    late = waiting(program, keys)
    kept = [one for one in new if kind_of(one) != "segment" or id_of(one) not in late]
    there = {id_of(one) for one in kept if kind_of(one) == "segment"}
    before = {id_of(one): one for one in live if kind_of(one) == "segment"}
    referred = _references(lived(live).segments)
    queue = sorted(late & before.keys())
    while queue:
        name = queue.pop(0)
        if name not in there:
            there.add(name)
            kept.append(before[name])
            queue += sorted(referred[name] & before.keys())
    return tuple(kept)


def _references(
    segments: Mapping[SegmentId, CompiledSegment],
) -> Mapping[SegmentId, frozenset[SegmentId]]:
    return {name: one.condition.needs.segments for name, one in segments.items()}
