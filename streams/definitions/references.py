"""What definitions say about each other: unknown names, circles, a flow that starts itself.

A walk over the typed definitions; every place is found again by its path in the document.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from schemas import conditions as c
from schemas import definitions as d
from streams.definitions.problems import Path, Problem, near


class Place(NamedTuple):
    """A part of a definition and where it stands."""

    part: Any
    path: Path


def walk(part: Any, path: Path = ()) -> Iterator[Place]:
    """Every struct inside of a definition, itself first."""
    if isinstance(part, msgspec.Struct):
        yield Place(part, path)
        for name in part.__struct_fields__:
            yield from walk(getattr(part, name), _below(part, path, name))
    elif isinstance(part, tuple):
        for i, item in enumerate(part):
            yield from walk(item, _within(item, path, i))
    elif isinstance(part, dict):
        for key, item in part.items():
            yield from walk(item, (*path, str(key)))


def _within(item: Any, path: Path, i: int) -> Path:
    """Filters are found by their property, tests stand where their value does."""
    if isinstance(item, c.Filter):
        return (*path, item.path)
    return path if isinstance(item, c.ValueTest) else (*path, i)


def _below(part: msgspec.Struct, path: Path, name: str) -> Path:
    """The path of a field as it is written in YAML."""
    match part:
        case c.AllOf() | c.AnyOf() | c.NoneOf():
            return (*path, str(part.__struct_config__.tag))
        case d.Split() | d.SplitTrigger():
            return (*path, "split", "else" if name == "otherwise" else name)
        case d.SplitRandom() if name == "branches":
            return (*path, "split")
        case d.WaitFor() if name == "event":
            return (*path, "wait_for")
        case c.OfNewest() if name == "of":
            return (*path, "of_newest")
        case c.Sequence() if name == "steps":
            return (*path, "sequence")
        case c.Did() | c.Measured() | c.Filter() | d.OnEvent() | c.OfNewest() | c.SequenceStep():
            return (*path, name) if name == "where" and isinstance(part, c.OfNewest) else path
        case c.TraitIs() if name == "tests":
            return path
        case c.TriggerPasses():
            return (*path, "trigger")
        case _:
            return (*path, name)


def metrics_in(definitions: Mapping[int, d.Definition]) -> set[str]:
    """The metrics that definitions ask about."""
    return {
        part.metric
        for definition in definitions.values()
        for part, _ in walk(definition)
        if isinstance(part, c.EventFilter)
    }


def check_references(
    written: Mapping[str, set[str]],
    definitions: Mapping[int, d.Definition],
    known_metrics: Collection[str] | None,
) -> list[Problem]:
    """written: kind -> ids of all documents, also of those that could not be read."""
    problems = []
    for number, definition in definitions.items():
        for part, path in walk(definition):
            messages = _unknown(part, written)
            problems += [Problem(path, message, document=number) for message in messages]
            if known_metrics is not None:
                problems += _unknown_metrics(part, path, number, known_metrics)
        if isinstance(definition, d.Flow):
            problems += _flow_problems(definition, number)
        elif isinstance(definition, d.Segment | d.Campaign):
            problems += _flow_only(definition, number)
    return problems + _segment_circles(definitions) + _flow_circles(definitions)


NAMING: dict[str, str] = {
    "in_segment": "segment",
    "enters": "segment",
    "in_list": "list",
    "list": "list",
    "joins": "list",
    "join": "list",
    "leave": "list",
    "in_flow": "flow",
    "start": "flow",
}
"""Key of a document -> what kind of definition its text names."""


def unknown_in(document: Any, written: Mapping[str, set[str]], number: int) -> Iterator[Problem]:
    """What a document names that is not there, as far as it can be told of one with errors of
    shape: by the keys that name a definition wherever they stand.
    """
    for path, kind, name in _named_below(document, ()):
        if name not in written[kind]:
            message = f"there is no {kind} '{name}'{near(name, written[kind])}"
            yield Problem(path, message, document=number)


def _named_below(part: Any, path: Path) -> Iterator[tuple[Path, str, str]]:
    if isinstance(part, list):
        for i, item in enumerate(part):
            yield from _named_below(item, (*path, i))
    elif isinstance(part, dict):
        for key, item in part.items():
            if _names_the_stores_own(part, key, path):
                continue
            if key in NAMING and isinstance(item, str):
                yield (*path, key), NAMING[key], item
            else:
                yield from _named_below(item, (*path, key))


def _names_the_stores_own(part: Mapping[str, Any], key: str, path: Path) -> bool:
    """What stands below is named as the store names it: traits to set, properties to filter by."""
    of_event = key == "where" and not part.keys().isdisjoint(("did", "did_not"))
    of_trigger = key == "trigger" and bool(path)
    return key in ("set", "add", "remove") or of_event or of_trigger


def named_in(part: Any) -> list[tuple[str, str]]:
    """The definitions that a part names: (kind, id)."""
    match part:
        case c.InSegment(segment=segment) | d.OnSegment(segment=segment):
            return [("segment", segment)]
        case c.InList(list=name) | d.OnList(list=name) | d.Join(list=name) | d.Leave(list=name):
            return [("list", name)]
        case c.CanReceive(list=str(name)):
            return [("list", name)]
        case c.InFlow(flow=name) | d.Start(flow=name):
            return [("flow", name)]
        case _:
            return []


def _unknown(part: Any, written: Mapping[str, set[str]]) -> Iterator[str]:
    for kind, name in named_in(part):
        if name not in written[kind]:
            yield f"there is no {kind} '{name}'{near(name, written[kind])}"


def _unknown_metrics(
    part: Any, path: Path, number: int, known: Collection[str]
) -> Iterator[Problem]:
    if isinstance(part, c.EventFilter) and part.metric not in known:
        message = f"no event ever had the metric '{part.metric}'{near(part.metric, known)}"
        yield Problem(path, message, "warning", number)


def _flow_problems(flow: d.Flow, number: int) -> Iterator[Problem]:
    seen: set[str] = set()
    for part, path in walk(flow):
        if isinstance(part, d.Send):
            if part.message in seen:
                message = f"there is a message '{part.message}' in this flow already"
                yield Problem((*path, "send"), message, document=number)
            seen.add(part.message)
    if flow.key is not None and isinstance(
        flow.trigger, d.OnSegment | d.OnList | d.OnDate | d.OnPrediction
    ):
        message = "only a flow that an event or a product starts has a key"
        yield Problem(("key",), message, document=number)


def _flow_only(definition: d.Segment | d.Campaign, number: int) -> Iterator[Problem]:
    """Outside of a flow there is no trigger and no start to compare with."""
    for part, path in walk(definition):
        word = FLOW_ONLY.get(type(part))
        if word is not None:
            yield Problem(path, f"{word} means something in flows only", document=number)


FLOW_ONLY: dict[type, str] = {
    c.SinceFlowStart: "'since: flow_start'",
    c.TriggerPasses: "'trigger'",
    c.SameAsTrigger: "a comparison with the trigger",
    c.InFlow: "'in_flow'",
    c.Received: "'received'",
}


def _segment_circles(definitions: Mapping[int, d.Definition]) -> list[Problem]:
    segments = {s.id: (n, s) for n, s in definitions.items() if isinstance(s, d.Segment)}
    edges = {
        name: {part.segment for part, _ in walk(segment) if isinstance(part, c.InSegment)}
        for name, (_, segment) in segments.items()
    }
    return [
        Problem(
            ("where",),
            f"the segments go round in a circle: {' -> '.join(circle)}",
            document=segments[circle[0]][0],
        )
        for circle in circles(edges)
    ]


def _flow_circles(definitions: Mapping[int, d.Definition]) -> list[Problem]:
    """A flow that starts itself, directly or by others, with no wait in between."""
    flows = {f.id: (n, f) for n, f in definitions.items() if isinstance(f, d.Flow)}
    edges = {
        name: {part.flow for part, _ in walk(flow) if isinstance(part, d.Start)}
        for name, (_, flow) in flows.items()
    }
    return [
        Problem(
            ("steps",),
            f"the flow starts itself in a circle: {' -> '.join(circle)}",
            document=flows[circle[0]][0],
        )
        for circle in circles(edges)
    ]


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Each circle once, from its least name and back to it."""
    found = []
    for start in sorted(edges):
        trail: list[str] = [start]
        below = [sorted(edges[start])]
        visited: set[str] = set()
        while below:
            if not below[-1]:
                below.pop()
                trail.pop()
                continue
            name = below[-1].pop(0)
            if name == start:
                found.append([*trail, start])
                break
            if name in edges and name > start and name not in visited:
                visited.add(name)
                trail.append(name)
                below.append(sorted(edges[name]))
    return found


def in_order(edges: Mapping[str, set[str]]) -> list[str]:
    """Names so that each comes after those it refers to; there are no circles."""
    order: list[str] = []
    done: set[str] = set()

    def visit(name: str) -> None:
        if name in done or name not in edges:
            return
        done.add(name)
        for other in sorted(edges[name]):
            visit(other)
        order.append(name)

    for name in sorted(edges):
        visit(name)
    return order
