"""What is right as it is written, and most likely means something else: advice, no error."""

from collections.abc import Iterator, Mapping

from schemas import conditions as c
from schemas import definitions as d
from streams.definitions.comparisons import is_written_as_one
from streams.definitions.problems import Path, Problem, show
from streams.definitions.references import walk
from streams.segments.leaves import IDENTIFIERS


def advise_on_words(definitions: Mapping[int, d.Definition]) -> Iterator[Problem]:
    """The doubts about each definition, in the order in which they stand."""
    for number, definition in definitions.items():
        for part, path in walk(definition):
            for below, message in _doubts(part):
                yield Problem((*path, *below), message, "warning", number)


def _doubts(part: object) -> Iterator[tuple[Path, str]]:
    match part:
        case c.IsOneOf(values) | c.IsNoneOf(values):
            yield from (((), _a_text(one)) for one in values if is_written_as_one(one))
        case c.TraitHeld(value=value) if is_written_as_one(value):
            yield ("held",), _a_text(value)
        case d.OnEvent(event):
            for filter_ in event.where:
                if any(isinstance(test, c.SameAsTrigger) for test in filter_.tests):
                    message = "nothing starts this: the trigger has none before it to compare with"
                    yield ("where", filter_.path), message
        case d.WaitForDate(before=before, after=after) if before and after:
            yield (
                ("wait", "after"),
                "a wait ends `before` its date or `after` it; here it is both",
            )
        case d.SetTraits():
            yield from _about_traits(part)


def _a_text(value: object) -> str:
    return f"{show(value)} is a text here; a comparison stands after `is`, and not in a list"


def _about_traits(step: d.SetTraits) -> Iterator[tuple[Path, str]]:
    for word, traits in (("set", step.set), ("add", step.add), ("remove", step.remove)):
        for name, value in traits.items():
            if name in IDENTIFIERS:
                message = f"this changes no identifier, and `trait: {name}` asks for that"
                yield (word, name), message
            if isinstance(value, dict) and value.keys() == {"trigger"}:
                yield (word, name), "the trait will be this map; no step copies from the trigger"
