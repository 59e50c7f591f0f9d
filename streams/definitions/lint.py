"""Advice: definitions that are right, and most likely not what is wanted.

Segments that nobody can be in, or everybody is, that are equal, that lie within another (`logic`
says what is found: nothing wrong, not everything); parts that never hold; segments that cost much
(`cost`); countries that are none; properties that no event ever had; flows (`flow_lint`); what most
likely means something else (`doubts`).
"""

from collections.abc import Iterator, Mapping

from schemas import conditions as c
from schemas import definitions as d
from schemas.values import SegmentId
from streams.definitions.cost import Cost, Traffic, cost_of
from streams.definitions.doubts import advise_on_words
from streams.definitions.exclusion import why_never
from streams.definitions.flow_lint import advise_on_flows
from streams.definitions.logic import Logic, told_apart
from streams.definitions.problems import Problem, near
from streams.definitions.program import Program
from streams.definitions.references import walk
from streams.places.countries import country_codes

COMPARED_MAX = 300
"""More segments than these are not compared with each other: it takes the square of the time."""

FEATURES_MAX = 20
BYTES_MAX = 4_000
TIMERS_MAX = 2.0
"""From here on a segment costs much, for each profile (and day)."""


def advise(
    definitions: Mapping[int, d.Definition], program: Program, traffic: Traffic
) -> list[Problem]:
    """definitions: by the number of their document, without errors; program: compiled of them."""
    segments = {one.id: n for n, one in definitions.items() if isinstance(one, d.Segment)}
    conditions = {name: program.segments[name].definition.where for name in segments}
    problems = [
        Problem(("where",), message, "warning", segments[name])
        for name, message in [*_compared(conditions), *_costly(conditions, program, traffic)]
    ]
    problems += _dead(definitions)
    problems += _no_countries(definitions)
    problems += _unheard_of(definitions, traffic)
    problems += _words_that_stop(definitions)
    problems += advise_on_flows(definitions, program.settings)
    problems += advise_on_words(definitions)
    if len(segments) > COMPARED_MAX:
        message = f"more than {COMPARED_MAX} segments: they were not compared with each other"
        problems.append(Problem((), message, "warning", min(segments.values())))
    return problems


def _words_that_stop(definitions: Mapping[int, d.Definition]) -> Iterator[Problem]:
    """A list of a store's own takes the place of the default one; people go on to say those."""
    for number, settings in definitions.items():
        if isinstance(settings, d.StoreSettings):
            said = {word.upper() for word in settings.sms_keywords.stop} | {"STOP"}
            left_out = [word for word in d.SmsKeywords().stop if word not in said]
            if left_out:
                words = ", ".join(left_out)
                message = f"{words}: carriers expect that these stop texts, too; here they do not"
                yield Problem(("sms_keywords", "stop"), message, "warning", number)


def total_cost(program: Program, traffic: Traffic) -> Cost:
    """The estimate for all segments together."""
    conditions = [one.definition.where for one in program.segments.values()]
    return cost_of(conditions, program.features.values(), traffic)


def _compared(conditions: Mapping[SegmentId, c.Condition]) -> Iterator[tuple[SegmentId, str]]:
    conditions = {name: told_apart(where) for name, where in conditions.items()}
    logic = Logic(conditions)
    empty = {name for name, where in conditions.items() if logic.is_empty(where)}
    every = {name for name, where in conditions.items() if logic.is_empty(c.NoneOf((where,)))}
    for name in sorted(empty):
        why = why_never(conditions[name]) or "its conditions exclude each other"
        yield name, f"nobody can be in this segment: {why}"
    for name in sorted(every):
        yield name, "everybody is in this segment: its conditions exclude nobody"
    others = [name for name in conditions if name not in empty | every]
    if len(others) > COMPARED_MAX:
        return
    within = {
        name: {
            other
            for other in others
            if other != name and logic.is_contained(conditions[name], conditions[other])
        }
        for name in others
    }
    for name, wider in within.items():
        equal = {other for other in wider if name in within[other]}
        for other in sorted(equal):
            if other < name:
                yield name, f"this is the same as the segment '{other}'"
        next_wider = {
            other
            for other in wider - equal
            if not any(other in within[between] for between in wider - equal if between != other)
        }
        if equal and min(equal) < name:
            continue
        for other in sorted(next_wider):
            if not _names(conditions[name], other):
                yield name, f"everybody in it is also in the segment '{other}'"


def _names(condition: c.Condition, segment: SegmentId) -> bool:
    """Whoever writes `in_segment` knows that it is within."""
    return any(isinstance(p, c.InSegment) and p.segment == segment for p, _ in walk(condition))


def _dead(definitions: Mapping[int, d.Definition]) -> Iterator[Problem]:
    """Parts that never hold, wherever they stand but for whole segments."""
    for number, definition in definitions.items():
        for part, path in walk(definition):
            why = why_never(part)
            if why is not None and path != ("where",):
                yield Problem(path, f"this never holds: {why}", "warning", number)


def _no_countries(definitions: Mapping[int, d.Definition]) -> Iterator[Problem]:
    """The trait may hold any text; but one that is no country is misspelt, most likely."""
    codes = country_codes()
    known = {*codes, *codes.values()}
    for number, definition in definitions.items():
        for part, path in walk(definition):
            if not isinstance(part, c.InCountry):
                continue
            for name in part.countries:
                if name.casefold() not in known:
                    message = f"'{name}' is no country of ISO 3166 such as DE{near(name, codes)}"
                    yield Problem((*path, "country"), message, "warning", number)


def _unheard_of(definitions: Mapping[int, d.Definition], traffic: Traffic) -> Iterator[Problem]:
    """Properties that no event of their metric ever had; of a path its first name."""
    for number, definition in definitions.items():
        for part, path in walk(definition):
            match part:
                case c.EventFilter(metric, where):
                    asked = [((*path, "where", one.path), one.path) for one in where]
                case c.Measured(event=c.EventFilter(metric), of=of):
                    asked = [(path, of)]
                case _:
                    continue
            known = traffic.properties.get(metric)
            if known is None:
                continue
            for place, name in asked:
                first = name.partition(".")[0].removesuffix("[]")
                if name != "value" and not known & {name, first}:
                    message = f"no event '{metric}' ever had the property '{first}'"
                    yield Problem(place, message + near(first, known), "warning", number)


def _costly(
    conditions: Mapping[SegmentId, c.Condition], program: Program, traffic: Traffic
) -> Iterator[tuple[SegmentId, str]]:
    for name, where in conditions.items():
        needed = program.segments[name].condition.needs.features
        cost = cost_of([where], [program.features[key] for key in needed], traffic)
        if cost.features > FEATURES_MAX:
            yield name, f"it counts {cost.features} different things for every profile"
        if cost.bytes > BYTES_MAX:
            yield name, f"it keeps about {cost.bytes:,} bytes for every profile"
        if cost.timers > TIMERS_MAX:
            yield name, f"it needs about {cost.timers:.1f} timers a day for every profile"
