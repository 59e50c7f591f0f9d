"""What is kept of events: exact up to the cap, by the hour beyond, independent of arrival."""

from random import Random
from typing import Any

import msgspec
import pytest

from schemas.rows import ProfileRow
from streams.definitions.program import Program, compile_program
from streams.instants import DAY, HOUR, MINUTE
from streams.money import MICROS_MAX
from streams.segments.features import KEPT, TOTALS, micros_of, note
from streams.segments.keeping import BUCKETS_MAX, ENTRIES_MAX
from streams.segments.person import Person
from tests.streams.segments.test_membership import START, event


def program(*conditions: dict[str, Any]) -> Program:
    return compile_program(
        [{"segment": f"s{i}", "where": where} for i, where in enumerate(conditions)], version="v1"
    )


def fill(loaded: Program, count: int, every: int, *, row: ProfileRow | None = None) -> ProfileRow:
    row = row or ProfileRow(id="i1")
    for i in range(count):
        note(loaded, row, event(f"e{i:05}", START + i * every, value=1_000_000))
    return row


def test_equal_features_are_one_and_keep_what_the_largest_asks_for() -> None:
    loaded = program(
        {"did": "Placed Order", "times": ">= 2", "in_last": "7d"},
        {"did": "Placed Order", "times": "= 4", "in_last": "30d"},
        {"did_not": "Placed Order", "in_last": "90d"},
    )
    (feature,) = loaded.features.values()
    assert feature.keep == 5
    (state,) = fill(loaded, 20, HOUR).features.values()
    assert (state.count, len(state.entries)) == (20, 5)


def test_true_and_1_are_two_features() -> None:
    loaded = program(
        {"did": "Placed Order", "where": {"gift": True}},
        {"did": "Placed Order", "where": {"gift": 1}},
    )
    said = [(True, {"s0"}), (1, {"s1"}), ("1", {"s1"})]
    for gift, wanted in said:
        touched = note(loaded, ProfileRow(id="i1"), event("e", START, properties={"gift": gift}))
        assert loaded.segments_for(features=touched) == wanted


def test_a_features_key_survives_new_versions() -> None:
    one = program({"did": "Placed Order", "where": {"size": "S"}, "in_last": "7d"})
    two = program({"did": "A"}, {"did": "Placed Order", "where": {"size": "S"}, "in_last": "9d"})
    assert set(one.features) < set(two.features)


def test_order_of_arrival_leaves_no_trace() -> None:
    loaded = program(
        {"did": "Placed Order", "times": ">= 3", "in_last": "7d"},
        {"did": "Placed Order", "times": ">= 3", "at_least_ago": "7d"},
        {"did": "Placed Order", "total": {"is": "> 3"}, "in_last": "7d"},
        {"did": "Placed Order", "max": {"is": "> 3"}, "in_last": "7d"},
        {"did": "Placed Order", "min": {"is": "> 3"}, "at_least_ago": "7d"},
    )
    events = [
        event(f"e{i}", START + (i % 7) * HOUR, received_at=START + DAY, value=i % 5 * 1_000_000)
        for i in range(30)
    ]
    rows = []
    for seed in range(5):
        shuffled = list(events)
        Random(seed).shuffle(shuffled)
        row = ProfileRow(id="i1")
        for one in shuffled:
            note(loaded, row, one)
        rows.append(row.features)
    assert all(features == rows[0] for features in rows)


def test_sums_beyond_the_cap_are_kept_by_the_hour_and_say_so() -> None:
    where = {"did": "Placed Order", "total": {"is": "> 5"}, "in_last": "30d"}
    loaded = program(where)
    row = fill(loaded, 700, 10 * MINUTE)
    (state,) = row.features.values()
    assert len(state.entries) == ENTRIES_MAX
    assert state.coarse is not None
    assert sum(count for count, _ in state.coarse.values()) == 200
    now = START + 700 * 10 * MINUTE
    (evidence,) = loaded.segments["s0"].condition.explain(Person(row, loaded), now)
    assert (evidence.value, evidence.note) == ("700.00", "older events are counted by the hour")
    note(loaded, row, event("late", START + MINUTE, received_at=now, value=1_000_000))
    assert sum(count for count, _ in state.coarse.values()) == 201
    later = now + 28 * DAY
    note(loaded, row, event("last", later, value=1_000_000))
    assert not state.coarse


def test_a_row_stays_small_under_a_hundred_thousand_events() -> None:
    import msgspec

    span = {"did": "Placed Order", "total": {"is": "> 5"}, "in_last": "3000d"}
    loaded = program(
        span,
        {"did": "Placed Order", "times": ">= 1000", "in_last": "3000d"},
        {"did": "Placed Order", "times": ">= 3", "ago": ["1d", "3000d"]},
        {"did": "Placed Order", "min": {"is": "> 5"}, "in_last": "3000d"},
    )
    row = fill(loaded, 20_000, HOUR)
    sizes = [len(state.coarse or ()) for state in row.features.values()]
    assert max(sizes) <= BUCKETS_MAX
    assert len(msgspec.msgpack.encode(row)) < 100_000


def test_extremes_keep_only_what_can_become_one() -> None:
    loaded = program({"did": "Placed Order", "max": {"is": "> 5"}, "in_last": "30d"})
    row = fill(loaded, 50, HOUR)
    (state,) = row.features.values()
    assert len(state.entries) == 1


def test_only_features_of_the_events_values_are_touched() -> None:
    loaded = program(
        *[{"did": "Placed Order", "where": {"size": f"s{i}"}, "in_last": "7d"} for i in range(9)],
        {"did": "Placed Order", "where": {"items[].id": [1, 2]}},
        {"did": "Placed Order", "where": {"size": {"is_not": "s1"}}},
    )
    row = ProfileRow(id="i1")
    bought = event("e1", START, properties={"size": "s3", "items": [{"id": 1}, {"id": "2"}, 5]})
    touched = note(loaded, row, bought)
    assert loaded.segments_for(features=touched) == {"s3", "s9", "s10"}
    assert [state.count for state in row.features.values()] == [1, 1, 1]


@pytest.mark.parametrize(
    ("found", "micros"),
    [
        (5, 5_000_000),
        ("39.80", 39_800_000),
        (0.1, 100_000),
        (True, None),
        ("x", None),
        (None, None),
        ([1], None),
        ("0.0000001", None),
        (10**30, None),
    ],
)
def test_amounts_are_exact_or_none(found: Any, micros: int | None) -> None:
    assert micros_of(found) == micros


def test_amounts_of_items_are_summed() -> None:
    where = {"did": "Placed Order", "total": {"of": "items[].quantity", "is": ">= 5"}}
    loaded, row = program(where), ProfileRow(id="i1")
    items = [{"quantity": 2}, {"quantity": "3"}, {"name": "x"}]
    note(loaded, row, event("e1", START, properties={"items": items}))
    note(loaded, row, event("e2", START, properties={"items": []}))
    assert loaded.segments["s0"].condition.holds(Person(row, loaded), START)
    (state,) = row.features.values()
    assert (state.count, state.total) == (2, 5_000_000), "of amounts, not of events"


def test_nested_properties_are_found_and_a_literal_name_goes_first() -> None:
    loaded = program({"did": "Placed Order", "where": {"shipping.country": "DE"}})
    for properties, passes in (
        ({"shipping": {"country": "DE"}}, True),
        ({"shipping.country": "DE"}, True),
        ({"shipping": "DE"}, False),
        ({}, False),
    ):
        touched = note(loaded, ProfileRow(), event("e", START, properties=properties))
        assert bool(touched) is passes


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_stand_at_the_largest_amount_and_the_row_is_flagged(sign: int) -> None:
    loaded = program(
        {"did": "Placed Order", "total": {"is": "> 3"}, "in_last": "900d"},
        {"did": "Placed Order", "total": {"of": "items[].price", "is": "> 3"}, "in_last": "900d"},
    )
    row = ProfileRow(id="i1")
    most = sign * MICROS_MAX
    properties = {"items": [{"price": sign * 8e12}, {"price": sign * 8e12}]}
    for i in range(ENTRIES_MAX + 20):
        note(loaded, row, event(f"e{i:05}", START + i, value=most, properties=properties))
    assert row.coarsened == [TOTALS]
    for state in row.features.values():
        assert state.total == most
        assert state.coarse is not None
        assert [total for _, total in state.coarse.values()] == [most]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=ProfileRow) == row


def test_a_sum_that_fits_is_exact_and_flags_nothing() -> None:
    loaded = program({"did": "Placed Order", "total": {"is": "> 3"}})
    row = ProfileRow(id="i1")
    for name, value in (("a", MICROS_MAX), ("b", -MICROS_MAX), ("c", 5)):
        note(loaded, row, event(name, START, value=value))
    assert [state.total for state in row.features.values()] == [5]
    assert row.coarsened == []


def test_properties_that_are_kept_are_cut_and_the_row_is_flagged() -> None:
    condition = {"did": "Placed Order", "where": {"id": {"trigger": "id"}}}
    flow = {
        "flow": "f",
        "trigger": {"did": "A"},
        "filter": {"none": [condition]},
        "steps": [{"wait": "1d"}],
    }
    loaded = compile_program([flow], version="v1")
    row = ProfileRow(id="i1")
    found: list[Any] = ["x" * 256, ["x" * 200, {}, 7, "y" * 48, "z"]]
    for number, value in enumerate(found):
        note(loaded, row, event(f"e{number}", START, properties={"id": value}))
        assert row.coarsened == [KEPT] * number
    note(loaded, row, event("e2", START, properties={"id": "x" * 257}))
    (state,) = row.features.values()
    kept = [entry.kept[0] for entry in state.entries]
    assert kept == ["x" * 256, ["x" * 200, 7, "y" * 48], "x" * 256]


@pytest.mark.parametrize(
    "window",
    [
        {},
        {"in_last": "1d"},
        {"at_least_ago": "1s"},
        {"ago": ["1s", "2d"]},
        {"before": "2030-01-01"},
        {"after": "2020-01-01"},
        {"between": ["2020-01-01", "2030-01-01"]},
    ],
)
def test_average_min_and_max_are_over_items_and_totals_look_at_one_currency(
    window: dict[str, Any],
) -> None:
    def ask(measure: str, limit: str) -> bool:
        measured = {measure: {"of": "items[].price", "is": limit}}
        where = {"did": "Placed Order", **measured, **window}
        loaded, row = program(where), ProfileRow(id="i1")
        for name, currency, prices in (
            ("e1", None, [10, "20.50"]),
            ("e2", "EUR", [60]),
            ("e3", "USD", [1000, 1]),
            ("e4", "EUR", ["0.0000001", 1 << 50]),
        ):
            items = [{"price": price} for price in prices]
            note(loaded, row, event(name, START, properties={"items": items}, currency=currency))
        condition = loaded.segments["s0"].condition
        now = START + HOUR
        (evidence,) = condition.explain(Person(row, loaded), now)
        assert evidence.note is not None
        assert "2 in other currencies left out" in evidence.note
        assert "2 left out: finer than a millionth" in evidence.note
        return condition.holds(Person(row, loaded), now)

    assert ask("total", "= 90.5")
    assert ask("average", "30.16..30.17")
    assert ask("min", "= 10")
    assert ask("max", "= 60")
