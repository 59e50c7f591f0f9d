"""Advice about what is read, and most likely means something else than what is written."""

from typing import Any

import pytest

from streams.definitions.cost import Traffic
from streams.definitions.lint import advise
from streams.definitions.parse import parse
from streams.definitions.problems import show_path
from streams.definitions.program import Program


def told(document: dict[str, Any]) -> list[str]:
    parsed = parse([document])
    assert not parsed.errors
    program = Program("", parsed.settings, parsed.definitions.values())
    problems = advise(parsed.definitions, program, Traffic())
    assert {one.severity for one in problems} <= {"warning"}
    return [f"{show_path(one.path)}: {one.message}" for one in problems]


def segment(**where: Any) -> dict[str, Any]:
    return {"segment": "s", "where": where}


def flow(step: dict[str, Any], **trigger: Any) -> dict[str, Any]:
    return {"flow": "f", "trigger": {"did": "A", **trigger}, "steps": [step, {"wait": "1h"}]}


A_TEXT = "is a text here; a comparison stands after `is`, and not in a list"
MAP = "the trait will be this map; no step copies from the trigger"


@pytest.mark.parametrize(
    ("document", "warned"),
    [
        (segment(trait="age", is_not="> 5"), f"where: '> 5' {A_TEXT}"),
        (segment(trait="age", **{"is": [18, "2..5"]}), f"where: '2..5' {A_TEXT}"),
        (segment(trait="age", is_not="5..2"), f"where: '5..2' {A_TEXT}"),
        (segment(did="A", where={"n": ["= 5", "M"]}), f"where.where.n: '= 5' {A_TEXT}"),
        (segment(trait="age", held="> 5", **{"for": "3d"}), f"where.held: '> 5' {A_TEXT}"),
        (
            flow({"wait": "1h"}, where={"x": {"trigger": "y"}}),
            "trigger.where.x: nothing starts this: the trigger has none before it to compare with",
        ),
        (
            flow({"wait": {"for": {"trigger": "x"}, "before": "1d", "after": "1h"}}),
            "steps[0].wait.after: a wait ends `before` its date or `after` it; here it is both",
        ),
        (
            flow({"set": {"email": "ann@example.com"}}),
            "steps[0].set.email: this changes no identifier, and `trait: email` asks for that",
        ),
        (flow({"add": {"orders": {"trigger": "order_id"}}}), f"steps[0].add.orders: {MAP}"),
    ],
)
def test_what_most_likely_means_something_else_is_warned_of(
    document: dict[str, Any], warned: str
) -> None:
    assert told(document) == [warned]


@pytest.mark.parametrize(
    "document",
    [
        segment(trait="age", **{"is": "> 5"}),
        segment(trait="age", is_not=["5", "> five", "a..b", 5, True]),
        segment(did="A", where={"n": {"contains": "> 5"}}),
        segment(trait="plan", held="gold", **{"for": "3d"}),
        flow({"wait_for": {"did": "B", "where": {"x": {"trigger": "y"}}}, "at_most": "1d"}),
        flow({"wait": {"for": {"trigger": "x"}, "after": "1d"}}),
        flow({"set": {"last": "now", "of": {"trigger": "x", "at": 1}}, "add": {"tags": ["vip"]}}),
    ],
)
def test_of_what_is_as_it_is_written_nothing_is_said(document: dict[str, Any]) -> None:
    assert told(document) == []
