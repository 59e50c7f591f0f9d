"""`top` and `bottom`: cuts through a population, and where one profile is among them."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import Event
from schemas.records import Cut
from schemas.rows import ProfileRow
from streams.definitions.program import Program, compile_program
from streams.segments.features import note
from streams.segments.person import Person
from streams.segments.ranked import Figure, cut_of, measure, place_of
from streams.segments.rfm import GROUPS
from tests.streams.segments import brute
from tests.streams.segments.invented import BASE, DATES, HOUR, HOURS, METRICS, WHERE, histories
from tests.streams.segments.test_differential import SETTINGS
from tests.streams.segments.test_membership import event

WINDOWS = st.one_of(
    st.just({}),
    HOURS.map(lambda span: {"in_last": span}),
    HOURS.map(lambda span: {"at_least_ago": span}),
    st.just({"ago": ["1h", "5h"]}),
    DATES.map(lambda at: {"before": at}),
    DATES.map(lambda at: {"after": at}),
)
MEASURES = st.one_of(
    st.just({}),
    st.builds(
        lambda measure, of: {measure: of},
        st.sampled_from(brute.MEASURES),
        st.sampled_from(["value", "value", "price"]),
    ),
)
BY = st.builds(
    lambda metric, measure, window, where: {"did": metric, **measure, **window, **where},
    METRICS,
    MEASURES,
    WINDOWS,
    WHERE.filter(lambda where: "trigger" not in str(where)),
)
RANKED = st.builds(
    lambda word, percent, by: {word: f"{percent}%", "by": by},
    st.sampled_from(["top", "bottom"]),
    st.sampled_from([1, 25, 34, 50, 100]),
    BY,
)


def compiled(where: dict[str, Any], *cuts: Cut) -> Program:
    documents = [{"segment": "s", "where": where}, {"store": "main", "currency": "EUR"}]
    return compile_program(documents, version="v1", cuts=cuts)


@settings(SETTINGS, max_examples=300)
@given(RANKED, st.lists(histories(1), min_size=1, max_size=5))
def test_cuts_memberships_and_flips_equal_brute_force(
    leaf: dict[str, Any], people: list[list[Event]]
) -> None:
    """All are measured in the middle of their histories; then each is asked at every edge."""
    word, by = ("top" if "top" in leaf else "bottom"), leaf["by"]
    percent = int(leaf[word].removesuffix("%"))
    program = compiled(leaf)
    rows = [ProfileRow(id=f"i{i}") for i in range(len(people))]
    measured_at = BASE + 12 * HOUR
    came: list[list[Event]] = [[] for _ in people]
    for row, history, mine in zip(rows, people, came, strict=True):
        mine += [one for one in history if one.received_at <= measured_at]
        for one in mine:
            note(program, row, one)
    cuts = measure(program, rows, measured_at)
    figures = [brute.rank_figure(by, mine, measured_at, "EUR") for mine in came]
    expected = brute.rank_cut(figures, percent, bottom=word == "bottom")
    assert [Fraction(cut.total, cut.count) for cut in cuts] == [expected] * (expected is not None)
    assert [cut.profiles for cut in cuts] == [len(figures) - figures.count(None)] * len(cuts)
    program = compiled(leaf, *cuts)
    condition = program.segments["s"].condition
    for row, history, mine in zip(rows, people, came, strict=True):
        for one in [one for one in history if one.received_at > measured_at]:
            mine.append(one)
            note(program, row, one)
        moments = [BASE + hour * HOUR + ms for hour in range(21, 30) for ms in (-1, 0, 1)]
        answers = []
        for now in moments:
            found = brute.rank_figure(by, mine, now, "EUR")
            none = expected is None or found is None
            answers.append(not none and (found >= expected if word == "top" else found <= expected))
        for i, now in enumerate(moments):
            holds, flip = condition.ask(Person(row, program), now)
            assert holds is answers[i], now - BASE
            for later, other in zip(moments[i:], answers[i:], strict=True):
                if flip is not None and later >= flip:
                    break
                assert other is holds, ("flip is late", now - BASE, later - BASE)
        condition.explain(Person(row, program), moments[0])


@pytest.mark.parametrize(
    ("profiles", "share", "place"),
    [(10, 100_000, 1), (11, 100_000, 2), (3, 10_000, 1), (3, 0, 0), (0, 500_000, 0), (7, 10**6, 7)],
)
def test_the_place_of_the_cut_is_rounded_up(profiles: int, share: int, place: int) -> None:
    assert place_of(profiles, share) == place


def test_all_that_have_as_much_as_the_last_one_inside_are_inside() -> None:
    program = compiled({"top": "25%", "by": {"did": "A"}})
    (ranking,) = program.rankings.values()
    cut = cut_of(ranking.condition, [Figure(n, 1) for n in (9, 5, 5, 5, 1, 1, 1, 1)], 7)
    assert cut is not None
    assert (cut.total, cut.count, cut.profiles, cut.at) == (5, 1, 8, 7)


def test_without_a_cut_nobody_is_inside_and_the_evidence_says_why() -> None:
    program = compiled({"bottom": "100%", "by": {"did": "Placed Order"}})
    row = ProfileRow(id="i1")
    note(program, row, event("o1", BASE))
    person = Person(row, program)
    condition = program.segments["s"].condition
    assert condition.ask(person, BASE) == (False, None)
    (evidence,) = condition.explain(person, BASE)
    assert evidence.leaf == "bottom 100% by did Placed Order"
    assert (evidence.value, evidence.note) == ("1", "not measured yet")


def test_the_evidence_names_the_cut_that_was_used() -> None:
    leaf = {"top": "2.5%", "by": {"did": "Placed Order", "average": "value", "in_last": "365d"}}
    (key,) = compiled(leaf).rankings
    program = compiled(leaf, Cut(key, 100_000_000, 3, 812, BASE))
    row = ProfileRow(id="i1")
    (evidence,) = program.segments["s"].condition.explain(Person(row, program), BASE)
    assert evidence.leaf == "top 2.5% by did Placed Order average of value in_last 365d"
    assert evidence.value == "none"
    assert evidence.note == "the cut is 33.333333, of 812 profiles at 2026-01-01T00:00:00.000Z"


def test_every_customer_is_in_one_group_and_in_the_one_that_the_table_says() -> None:
    program = compile_program(
        [{"segment": name, "where": {"rfm": name}} for name in GROUPS], version="v1"
    )
    (key,) = program.rankings
    program = compile_program(
        [{"segment": name, "where": {"rfm": name}} for name in GROUPS],
        version="v1",
        cuts=[Cut(key, 100_000_000, 1, 9, BASE)],
    )
    day = 24 * HOUR
    found = {}
    for days in (0, 59, 60, 179, 180, 400):
        for orders in (1, 2):
            for euros in (40, 100):
                row = ProfileRow(id="i1")
                for i in range(orders):
                    at = BASE - days * day - i * 1000
                    value = euros * 1_000_000 // orders
                    note(program, row, event(f"o{i}", at, value=value))
                names = [
                    name
                    for name, one in program.segments.items()
                    if one.condition.holds(Person(row, program), BASE)
                ]
                assert len(names) == 1, (days, orders, euros, names)
                found[days, orders, euros] = names[0]
    assert {key for key, name in found.items() if name == "champions"} == {
        (0, 2, 100),
        (59, 2, 100),
    }
    expected = {
        (0, 1): "recent",
        (59, 1): "recent",
        (60, 1): "needs-attention",
        (179, 1): "needs-attention",
        (180, 1): "inactive",
        (400, 1): "inactive",
        (0, 2): "loyal",
        (59, 2): "loyal",
        (60, 2): "loyal",
        (179, 2): "loyal",
        (180, 2): "at-risk",
        (400, 2): "at-risk",
    }
    assert {key[:2]: name for key, name in found.items() if name != "champions"} == expected
