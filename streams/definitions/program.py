"""Definitions -> a program: everything a profile step needs, compiled once, never changed.

In: the documents of a store, as published. A condition is compiled where it is written down (in a
segment, a filter, a split); the step asks for it by the typed condition it holds in its hand.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from schemas import conditions as c
from schemas import definitions as d
from schemas.records import Cut
from schemas.values import FlowId, ListId, Origin, SegmentId
from streams.definitions.conditions import NEVER
from streams.definitions.parse import parse
from streams.definitions.problems import DefinitionsError
from streams.definitions.products import interested
from streams.definitions.references import in_order, walk
from streams.segments.conditions import compile_condition
from streams.segments.features import (
    SHADOW,
    Feature,
    FeatureKey,
    MetricIndex,
    Registry,
    index_features,
)
from streams.segments.person import Compiled, Needs
from streams.segments.ranked import Ranking, mark_of


class CompiledSegment(NamedTuple):
    """rank: segments that others refer to have a smaller one."""

    id: SegmentId
    definition: d.Segment
    condition: Compiled
    rank: int


class Past(NamedTuple):
    """How a version comes by what it asks about the past.

    shadow:  features that are only noted, under keys of their own, while it is filled in.
    switch:  of the back-fill under way; filled: of the last one that went live.
    unready: the features in shadow; after that, those that were.
    """

    shadow: tuple[Feature, ...] = ()
    switch: Origin = ()
    filled: Origin = ()
    unready: frozenset[FeatureKey] = frozenset()


class Program:
    """The definitions of a store, in force. Immutable.

    A condition is looked up by identity: pass the very object that stands in the typed definition.

    cuts: that its rankings ask for; population: what a row notes that was asked under them.
    mark: what a row notes that was brought here: the version, and whether it is in shadow.
    """

    def __init__(
        self,
        version: str,
        settings: d.StoreSettings,
        parsed: Iterable[d.Definition],
        *,
        past: "Past | None" = None,
        cuts: Sequence[Cut] = (),
    ) -> None:
        definitions = list(parsed)
        self.version = version
        self.past = past or Past()
        self.mark = version + SHADOW if self.past.shadow else version
        self.settings = settings
        self.lists: Mapping[ListId, d.ProfileList] = MappingProxyType(
            {one.id: one for one in definitions if isinstance(one, d.ProfileList)}
        )
        self.flows: Mapping[FlowId, d.Flow] = MappingProxyType(
            {one.id: one for one in definitions if isinstance(one, d.Flow)}
        )
        registry = Registry(settings.currency, {cut.ranking: cut for cut in cuts})
        segments = [one for one in definitions if isinstance(one, d.Segment)]
        self.segments = _compile_segments(segments, registry)
        self._held = definitions
        self._conditions: dict[int, Compiled] = {}
        for flow in self.flows.values():
            self._compile_flow(flow, registry)
        shadowed = {SHADOW + one.key: one.under(SHADOW + one.key) for one in self.past.shadow}
        self.features: Mapping[FeatureKey, Feature] = MappingProxyType(registry.build() | shadowed)
        self.features_by_metric: Mapping[str, MetricIndex] = MappingProxyType(
            index_features(self.features.values())
        )
        self.rankings: Mapping[str, Ranking] = MappingProxyType(registry.rankings)
        self.cuts = tuple(cut for cut in cuts if cut.ranking in self.rankings)
        self.population = mark_of(self.cuts)
        self._users = _users(self.segments)

    def condition(self, condition: c.Condition | d.Interested | c.EventFilter) -> Compiled:
        """The compiled form of a condition of a flow (filter, split, send filter, interest); of a
        goal: that it has not been reached since the start of the run.
        """
        return self._conditions[id(condition)]

    def segments_for(
        self,
        *,
        features: Iterable[FeatureKey] = (),
        traits: Iterable[str] = (),
        channels: Iterable[str] = (),
        lists: Iterable[ListId] = (),
        segments: Iterable[SegmentId] = (),
        rankings: Iterable[str] = (),
    ) -> set[SegmentId]:
        """The segments that look at any of these.

        traits: names of traits that changed, and kinds of identifiers that were added.
        """
        users = self._users
        found: set[SegmentId] = set()
        for kind, names in enumerate((features, traits, channels, lists, segments, rankings)):
            for name in names:
                found |= users[kind].get(name, NO_SEGMENTS)
        return found

    def _compile_flow(self, flow: d.Flow, registry: Registry) -> None:
        conditions = [flow.filter]
        for part, _ in walk(flow):
            match part:
                case d.Split(where=where):
                    conditions.append(where)
                case d.Send(filter=where):
                    conditions.append(where)
                case d.Interested():
                    interest = compile_condition(interested(part), registry)
                    self._conditions[id(part)] = interest
        if flow.goal is not None:
            is_open = c.Did(flow.goal, NEVER, c.SinceFlowStart())
            self._conditions[id(flow.goal)] = compile_condition(is_open, registry)
        for condition in conditions:
            if condition is not None:
                self._conditions[id(condition)] = compile_condition(condition, registry)


NO_SEGMENTS: frozenset[SegmentId] = frozenset()


def _compile_segments(
    segments: Sequence[d.Segment], registry: Registry
) -> Mapping[SegmentId, CompiledSegment]:
    """In the order of their ranks."""
    by_id = {segment.id: segment for segment in segments}
    edges = {
        segment.id: {part.segment for part, _ in walk(segment) if isinstance(part, c.InSegment)}
        for segment in segments
    }
    compiled: dict[SegmentId, CompiledSegment] = {}
    for rank, name in enumerate(in_order(edges)):
        definition = by_id[name]
        compiled[name] = CompiledSegment(
            name, definition, compile_condition(definition.where, registry), rank
        )
    return MappingProxyType(compiled)


def _users(
    segments: Mapping[SegmentId, CompiledSegment],
) -> tuple[dict[str, frozenset[SegmentId]], ...]:
    """For each kind of need: what is needed -> the segments that need it."""
    users: tuple[dict[str, set[SegmentId]], ...] = tuple({} for _ in Needs._fields)
    for segment in segments.values():
        for kind, names in enumerate(segment.condition.needs):
            for name in names:
                users[kind].setdefault(name, set()).add(segment.id)
    return tuple({name: frozenset(ids) for name, ids in kind.items()} for kind in users)


def compile_program(
    documents: Sequence[Mapping[str, Any]],
    *,
    version: str,
    past: Past | None = None,
    cuts: Sequence[Cut] = (),
) -> Program:
    """Compile the documents of one store.

    Raises: DefinitionsError with every problem found.
    """
    parsed = parse(documents)
    if parsed.errors:
        raise DefinitionsError(parsed.errors)
    return Program(version, parsed.settings, parsed.definitions.values(), past=past, cuts=cuts)
