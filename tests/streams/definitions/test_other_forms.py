"""Whoever writes a value wrongly is told every form that it may have."""

from typing import Any

import pytest

from streams.definitions.problems import DefinitionsError, show_path
from streams.definitions.program import compile_program

NEITHER = "is not one of always, never"
TRIGGERS = "back_in_stock, date, did, enters, joins, low_stock, predicted, price_drop"
NO_DURATION = "is not a duration such as 4h or 3d"
WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"re_entry": "sometimes"},
        f"re_entry: 'sometimes' {NEITHER}; {{after: 7d}} is possible, too",
    ),
    (
        {"re_entry": "nevr"},
        f"re_entry: 'nevr' {NEITHER}; did you mean 'never'?; {{after: 7d}} is possible, too",
    ),
    (
        {"steps": [{"wait": "soon"}]},
        f"steps[0].wait: 'soon' {NO_DURATION}; {{until: \"15:00\"}} is possible, too",
    ),
    (
        {"trigger": "Placed Order"},
        f"trigger: 'Placed Order' is not a trigger: a map was expected, told by {TRIGGERS}",
    ),
]


def refused(document: dict[str, Any]) -> str:
    with pytest.raises(DefinitionsError) as raised:
        compile_program([document], version="v1")
    (problem,) = raised.value.problems
    return f"{show_path(problem.path)}: {problem.message}"


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=[str(*one) for one, _ in WRONG])
def test_a_flow(wrong: dict[str, Any], message: str) -> None:
    flow = {"flow": "f", "trigger": {"did": "A"}, "steps": [{"exit": "over"}]}
    assert refused(flow | wrong) == message


def test_what_null_switches_off() -> None:
    store = {"store": "main", "smart_sending": {"email": "off"}}
    assert refused(store) == f"smart_sending.email: 'off' {NO_DURATION}; null switches it off"


def test_what_is_wrong_within_a_form_is_not_told_of_the_others() -> None:
    store = {"store": "main", "quiet_hours": {"sms": {"from": "9:00", "until": "x"}}}
    assert refused(store) == "quiet_hours.sms.until: 'x' is not a time of day such as \"15:00\""
