"""Advice: what follows from conditions alone, and what they cost."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.definitions import Segment
from schemas.events import Event
from schemas.rows import ProfileRow
from streams.definitions.cost import Traffic
from streams.definitions.lint import COMPARED_MAX, advise, total_cost
from streams.definitions.logic import Logic
from streams.definitions.parse import parse
from streams.definitions.problems import show_path
from streams.definitions.program import Program
from tests.streams.segments import brute
from tests.streams.segments.invented import BASE, HOUR, IN_SEGMENTS, PEOPLE, histories

ORDER = "Placed Order"
NOBODY = "nobody can be in this segment: its conditions exclude each other"


def logic_of(segments: Mapping[str, Any]) -> tuple[Logic, dict[str, Any]]:
    documents = [{"segment": name, "where": where} for name, where in segments.items()]
    parsed = parse([*documents, {"list": "news"}])
    assert not parsed.errors
    read = {one.id: one.where for one in parsed.definitions.values() if isinstance(one, Segment)}
    return Logic(read), read


def is_empty(where: dict[str, Any]) -> bool:
    logic, read = logic_of({"a": where, "gold": {"trait": "plan", "is": "gold"}})
    return logic.is_empty(read["a"])


def is_contained(one: dict[str, Any], other: dict[str, Any]) -> bool:
    logic, read = logic_of({"a": one, "b": other, "gold": {"trait": "plan", "is": "gold"}})
    return logic.is_contained(read["a"], read["b"])


@pytest.mark.parametrize(
    "parts",
    [
        [{"did": ORDER}, {"did_not": ORDER}],
        [{"did": ORDER, "in_last": "30d"}, {"did_not": ORDER, "in_last": "60d"}],
        [{"did": ORDER, "times": ">= 3"}, {"did": ORDER, "times": "< 3"}],
        [
            {"did": ORDER, "times": "2..4"},
            {"did": ORDER, "times": "!= 3"},
            {"did": ORDER, "times": 3},
        ],
        [{"did": ORDER, "where": {"size": "S"}}, {"did_not": ORDER}],
        [{"did": ORDER, "where": {"size": "S"}}, {"did_not": ORDER, "where": {"size": ["S", "M"]}}],
        [{"did": ORDER, "where": {"price": "> 9"}}, {"did_not": ORDER, "where": {"price": "> 5"}}],
        [{"did": ORDER, "total": {"is": "> 5"}}, {"did_not": ORDER}],
        [
            {"did": ORDER, "average": {"is": "> 5"}, "in_last": "1d"},
            {"did_not": ORDER, "in_last": "2d"},
        ],
        [{"did": ORDER, "total": {"is": "> 5"}}, {"did": ORDER, "total": {"is": "<= 5"}}],
        [{"sequence": [{"did": "A"}, {"did": "B"}], "in_last": "1d"}, {"did_not": "B"}],
        [{"did": ORDER, "times": "< 0"}],
        [{"did": ORDER, "ago": ["1d", "2d"]}, {"did_not": ORDER, "at_least_ago": "1d"}],
        [{"did": ORDER, "after": "2026-01-02"}, {"did_not": ORDER, "after": "2026-01-01"}],
        [{"trait": "plan", "is": "gold"}, {"trait": "plan", "is": ["tin", "iron"]}],
        [{"trait": "plan", "is": "gold"}, {"trait": "plan", "is_not": ["gold", "tin"]}],
        [{"trait": "plan", "is": "gold"}, {"trait": "plan", "is_set": False}],
        [{"trait": "plan", "is": "gold"}, {"trait": "plan", "starts_with": "t"}],
        [{"trait": "age", "is": "> 30"}, {"trait": "age", "is": "18..30"}],
        [{"trait": "age", "is": 17}, {"trait": "age", "is": ">= 18"}],
        [{"trait": "plan", "held": "gold", "for": "3d"}, {"trait": "plan", "is": "tin"}],
        [{"in_segment": "gold"}, {"trait": "plan", "is": "tin"}],
        [{"in_list": "news", "joined_in_last": "3d"}, {"none": [{"in_list": "news"}]}],
        [{"can_receive": "email", "list": "news"}, {"none": [{"can_receive": "email"}]}],
        [{"consent": "email", "is": "granted"}, {"consent": "email", "is": "denied"}],
        [{"country": ["DE", "AT"]}, {"country": "us"}],
        [{"region": "eu"}, {"country": "US"}],
        [{"sample": "0%"}],
        [{"top": "0%", "by": {"did": ORDER}}],
        [{"of_newest": {"count": 3, "did": "A"}, "where": {"size": "S"}, "times": "> 3"}],
        [{"consent": "email", "is": "never", "method": "form"}],
        [{"consent": "email", "is": "never", "in_last": "3d"}],
        [{"trait": "plan", "length": "< 0"}],
        [{"trait": "plan", "length": "> 3"}, {"trait": "plan", "length": "< 3"}],
        [{"did": ORDER, "where": {"size": {"is_set": False, "is": "S"}}}],
        [{"did": ORDER, "where": {"price": {"is": "> 5", "is_not": 3}, "size": {"length": "< 0"}}}],
        [{"any": [{"did": "A"}, {"did": "B"}]}, {"did_not": "A"}, {"did_not": "B"}],
    ],
)
def test_it_is_seen_that_nobody_can_be_in(parts: list[dict[str, Any]]) -> None:
    assert is_empty({"all": parts})
    assert not any(is_empty({"any": [part, {"did": "Z"}]}) for part in parts)


@pytest.mark.parametrize(
    "possible",
    [
        {"of_newest": {"count": 3, "did": "A"}, "where": {"size": "S"}, "times": "!= 3"},
        {"did_not": ORDER, "where": {"size": {"length": "< 0"}}},
        {"did": ORDER, "where": {"items[].size": {"is": "S", "is_not": "M"}}},
        {"did": ORDER, "where": {"items[].size": {"is_set": False, "is": "S"}}},
        {"consent": "email", "is": "never"},
        {"trait": "plan", "length": "< 1"},
    ],
)
def test_of_what_is_possible_it_is_not_said_that_nobody_can_be_in(possible: dict[str, Any]) -> None:
    assert not is_empty(possible)


def warnings(*documents: dict[str, Any]) -> list[str]:
    parsed = parse([{"store": "main", "address": "Somewhere 1"}, *documents])
    assert not parsed.errors
    program = Program("", parsed.settings, parsed.definitions.values())
    problems = advise(parsed.definitions, program, Traffic())
    return [f"{show_path(problem.path)}: {problem.message}" for problem in problems]


def test_a_part_that_never_holds_is_warned_of_where_it_stands() -> None:
    empty = {"top": "0%", "by": {"did": ORDER}}
    assert warnings({"segment": "s", "where": empty}) == [
        "where: nobody can be in this segment: it is a share of nobody"
    ]
    assert warnings({"segment": "s", "where": {"any": [{"did": "A"}, empty]}}) == [
        "where.any[1]: this never holds: it is a share of nobody"
    ]
    never = {"trait": "plan", "is": "gold", "is_set": False}
    same = {"did": "A", "where": {"size": {"is": "S", "trigger": "size"}}}
    flow = {"flow": "f", "trigger": {"did": "A"}, "filter": {"none": [never, same]}}
    flow["steps"] = [{"exit": "done"}]
    assert warnings(flow) == ["filter.none[0]: this never holds: its tests exclude each other"]


def test_a_segment_of_everybody_is_warned_of_and_compared_with_no_other() -> None:
    every = {"segment": "all", "where": {"did": "A", "times": ">= 0"}}
    assert warnings(every, {"segment": "s", "where": {"did": "A"}}) == [
        "where: everybody is in this segment: its conditions exclude nobody"
    ]


@pytest.mark.parametrize(
    ("words", "left_out"),
    [
        (["ABMELDEN"], ["END, CANCEL, QUIT, UNSUBSCRIBE"]),
        (["end", "Cancel", "quit", "Unsubscribe", "ALTO"], []),
        (["STOP", "END", "CANCEL", "QUIT"], ["UNSUBSCRIBE"]),
    ],
)
def test_it_is_warned_of_words_that_stop_no_texts_any_more(
    words: list[str], left_out: list[str]
) -> None:
    parsed = parse([{"store": "main", "sms_keywords": {"stop": words}}])
    program = Program("", parsed.settings, parsed.definitions.values())
    problems = advise(parsed.definitions, program, Traffic())
    assert {show_path(problem.path) for problem in problems} <= {"sms_keywords.stop"}
    assert [problem.message.partition(":")[0] for problem in problems] == left_out


@pytest.mark.parametrize(
    ("country", "warned"),
    [
        ("de", []),
        ("Germany", []),
        ("XX", ["where.country: 'XX' is no country of ISO 3166 such as DE"]),
        (
            ["AT", "Gemany"],
            [
                (
                    "where.country: 'Gemany' is no country of ISO 3166 such as DE; "
                    "did you mean 'germany' or 'oman'?"
                )
            ],
        ),
    ],
)
def test_a_country_that_is_none_is_warned_of(country: Any, warned: list[str]) -> None:
    assert warnings({"segment": "s", "where": {"country": country}}) == warned


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"did": ORDER, "in_last": "30d"}, {"did": ORDER, "in_last": "60d"}),
        ({"did": ORDER, "times": ">= 3"}, {"did": ORDER, "times": ">= 2"}),
        ({"did_not": ORDER, "in_last": "60d"}, {"did_not": ORDER, "in_last": "30d"}),
        (
            {"did": ORDER, "between": ["2026-01-01", "2026-01-02"]},
            {"did": ORDER, "before": "2026-01-02"},
        ),
        (
            {"did": ORDER, "where": {"items[].category": "a", "x": 1}},
            {"did": ORDER, "where": {"x": 1}},
        ),
        ({"did": ORDER, "min": {"is": "> 3"}}, {"did": ORDER, "min": {"is": "> 2"}}),
        ({"trait": "plan", "is": "gold"}, {"trait": "plan", "is_set": True}),
        ({"trait": "plan", "is": "gold"}, {"trait": "plan", "matches": "^g"}),
        ({"trait": "born", "anniversary": {"in_next": "3d"}}, {"trait": "born", "is_set": True}),
        ({"trait": "ends", "in_next": "3d"}, {"trait": "ends", "in_next": "7d"}),
        (
            {"trait": "plan", "held": "gold", "for": "7d"},
            {"trait": "plan", "held": "gold", "for": "3d"},
        ),
        ({"in_segment": "gold", "for": "7d"}, {"in_segment": "gold", "for": "3d"}),
        ({"in_segment": "gold", "for": "7d"}, {"trait": "plan", "is": ["gold", "tin"]}),
        ({"sample": "5%", "seed": "x"}, {"sample": "10%", "seed": "x"}),
        (
            {"near": {"lat": 1, "lon": 2}, "within": "5km"},
            {"near": {"lat": 1, "lon": 2}, "within": "6km"},
        ),
        ({"country": ["DE"]}, {"region": "eu"}),
        (
            {"consent": "email", "is": "granted", "method": "form", "in_last": "3d"},
            {"consent": "email", "is": "granted", "in_last": "9d"},
        ),
        ({"all": [{"did": "A"}, {"did": "B"}]}, {"any": [{"did": "A"}, {"did": "C"}]}),
    ],
)
def test_it_is_seen_that_all_of_one_are_in_the_other(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert is_contained(one, other)
    assert not is_contained(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"did": ORDER, "in_last": "30d"}, {"did": ORDER, "ago": ["1d", "30d"]}),
        ({"did": "A"}, {"did": "B"}),
        ({"did": ORDER, "total": {"is": "< 5"}}, {"did": ORDER}),
        ({"did": ORDER, "where": {"x": [1, 2]}}, {"did": ORDER, "where": {"x": 1}}),
        ({"sample": "5%", "seed": "x"}, {"sample": "10%", "seed": "y"}),
        ({"trait": "plan", "is_not": "gold"}, {"trait": "plan", "is_set": True}),
        ({"trait": "age", "is": 5}, {"trait": "age", "starts_with": "5"}),
    ],
)
def test_nothing_is_said_of_what_does_not_follow(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert not is_contained(one, other)


def test_a_condition_with_too_many_ways_is_left_alone() -> None:
    parts = [{"any": [{"did": f"A{i}"}, {"did": f"B{i}"}]} for i in range(9)]
    assert not is_contained({"all": parts}, parts[0])
    assert is_contained({"all": parts[:8]}, parts[0])


FEW = st.lists(IN_SEGMENTS, min_size=2, max_size=3)


@settings(
    max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(FEW, histories(), PEOPLE)
def test_what_is_said_is_true_of_every_history(
    conditions: list[dict[str, Any]], history: list[Event], row: ProfileRow
) -> None:
    """Each condition against the others, joined and halved: what is claimed is never refuted."""
    first, *others = conditions
    more = [{"all": [first, others[0]]}, {"any": [first, others[0]]}, {"none": [first]}]
    asked = dict(enumerate([*conditions, *more, {"all": [first, {"none": [others[0]]}]}]))
    logic, read = logic_of({f"s{i}": where for i, where in asked.items()})
    instants = [BASE + hour * HOUR for hour in range(0, 30, 3)]
    inside = {
        i: {
            now
            for now in instants
            if brute.holds(
                where,
                [event for event in history if event.received_at <= now],
                now,
                row=row,
                trigger=None,
            )
        }
        for i, where in asked.items()
    }
    for i, where in asked.items():
        assert not (logic.is_empty(read[f"s{i}"]) and inside[i]), where
        for j, other in asked.items():
            if logic.is_contained(read[f"s{i}"], read[f"s{j}"]):
                assert inside[i] <= inside[j], (where, other)
    assert logic.is_contained(read["s0"], read[f"s{len(conditions) + 1}"]), "of a or b"


# --- what is told --------------------------------------------------------------------------------


def advice(segments: Mapping[str, Any], traffic: Traffic | None = None) -> dict[str, list[str]]:
    documents = [{"segment": name, "where": where} for name, where in segments.items()]
    parsed = parse(documents)
    program = Program("", parsed.settings, parsed.definitions.values())
    told: dict[str, list[str]] = {}
    for problem in advise(parsed.definitions, program, traffic or Traffic()):
        assert problem.severity == "warning"
        told.setdefault(documents[problem.document]["segment"], []).append(problem.message)
    return told


def test_equal_empty_and_contained_segments_are_told_once_each() -> None:
    said = advice(
        {
            "a": {"did": ORDER, "in_last": "30d"},
            "b": {"all": [{"did": ORDER, "times": ">= 1", "in_last": "30d"}]},
            "c": {"did": ORDER, "in_last": "60d"},
            "d": {"did": ORDER},
            "e": {"all": [{"did": ORDER}, {"did_not": ORDER}]},
            "f": {"all": [{"in_segment": "d"}, {"did": "X"}]},
            "g": {"did": "X", "times": 2},
        }
    )
    assert said == {
        "a": ["everybody in it is also in the segment 'c'"],
        "b": ["this is the same as the segment 'a'"],
        "c": ["everybody in it is also in the segment 'd'"],
        "e": [NOBODY],
    }


@pytest.mark.parametrize(
    "leaf",
    [
        {"trait": "t", "is": ...},
        {"trait": "t", "contains": ...},
        {"trait": "t", "held": ..., "for": "1d"},
        {"did": ORDER, "where": {"gift": ...}},
        {"sequence": [{"did": "X"}, {"did": ORDER, "where": {"gift": {"is_not": ...}}}]},
    ],
)
def test_true_is_not_1(leaf: dict[str, Any]) -> None:
    true, one = (filled(leaf, value) for value in (True, 1))
    said = advice({"true": true, "one": one, "both": {"all": [true, {"none": [one]}]}})
    assert "this is the same as the segment 'one'" not in said.get("true", [])
    assert NOBODY not in said.get("both", [])


def filled(leaf: Any, value: Any) -> Any:
    """The leaf with the value in its place."""
    if isinstance(leaf, dict):
        return {key: filled(part, value) for key, part in leaf.items()}
    if isinstance(leaf, list):
        return [filled(part, value) for part in leaf]
    return value if leaf is ... else leaf


def test_what_costs_much_is_told_by_what_happens_how_often() -> None:
    views = {"did": "Viewed Product", "total": {"of": "price", "is": "> 5"}, "in_last": "365d"}
    assert advice({"s": views}) == {}
    (bytes_kept, timers) = advice({"s": views}, Traffic({"Viewed Product": 3.0}))["s"]
    assert bytes_kept == "it keeps about 28,040 bytes for every profile"
    assert timers == "it needs about 3.0 timers a day for every profile"
    sizes = [{"did": "Viewed Product", "where": {"size": size}} for size in range(21)]
    assert advice({"s": {"any": sizes}}) == {
        "s": ["it counts 21 different things for every profile"]
    }


@pytest.mark.parametrize(
    ("where", "features", "kept", "timers"),
    [
        ({"did": "A"}, 1, 74, 0.0),
        ({"did": "A", "times": ">= 3", "in_last": "9d"}, 1, 40 + 3 * 34, 1.0),
        ({"did": "A", "ago": ["1d", "3d"]}, 1, 40 + 3 * 34, 2.0),
        ({"did": "A", "at_least_ago": "1d"}, 1, 74, 1.0),
        ({"did": "A", "max": {"is": "> 1"}, "in_last": "9d"}, 1, 40 + 5 * 40, 1.0),
        ({"did": "A", "total": {"is": "> 1"}, "in_last": "600d"}, 1, 40 + 500 * 40 + 1600, 1.0),
        ({"affinity": {"size": 1}}, 3, 3 * (40 + 50 * 66), 1.0),
        ({"trait": "born", "anniversary": {"in_next": "7d"}}, 0, 0, 2 / 365),
        (
            {"sequence": [{"did": "A"}, {"did_not": "B", "within": "4h"}], "in_last": "3d"},
            2,
            284,
            2.0,
        ),
    ],
)
def test_the_estimate_of_a_condition(
    where: dict[str, Any], features: int, kept: int, timers: float
) -> None:
    parsed = parse([{"segment": "s", "where": where}])
    program = Program("", parsed.settings, parsed.definitions.values())
    assert total_cost(program, Traffic(otherwise=1.0)) == (features, kept, timers)


def test_too_many_segments_are_not_compared() -> None:
    many = {f"s{i}": {"did": ORDER, "in_last": f"{i + 1}d"} for i in range(COMPARED_MAX + 1)}
    assert advice(many, Traffic(otherwise=0.001)) == {
        "s0": [f"more than {COMPARED_MAX} segments: they were not compared with each other"]
    }


def test_a_property_that_no_event_of_the_metric_ever_had_is_most_likely_misspelt() -> None:
    had = {ORDER: frozenset({"category", "items", "a.b"}), "Silent": frozenset[str]()}
    fits = {"category": "x", "items[].catgory": "x", "a.b": 1, "value": "> 1"}
    said = advice(
        {
            "fits": {"did": ORDER, "where": fits},
            "misspelt": {"did": ORDER, "where": {"catgory": "x"}},
            "of-what": {"did": ORDER, "total": {"of": "item[].price", "is": "> 5"}},
            "never-heard": {"did": "Other", "where": {"catgory": "x"}},
            "has-none": {"did": "Silent", "where": {"catgory": "x"}},
        },
        Traffic(properties=had),
    )
    assert said == {
        "misspelt": [
            f"no event '{ORDER}' ever had the property 'catgory'; did you mean 'category'?"
        ],
        "of-what": [f"no event '{ORDER}' ever had the property 'item'; did you mean 'items'?"],
        "has-none": ["no event 'Silent' ever had the property 'catgory'"],
    }
