"""Rows that are each at their caps become one, again and again: no worker stops at it."""

from itertools import permutations

import msgspec
import pytest

from schemas.records import Absorb, Accept, DefinitionsPublished
from schemas.rows import (
    Entry,
    FeatureState,
    FlowRun,
    Membership,
    ProfileRow,
    Proposal,
    Side,
    Trait,
    Trigger,
    Wish,
)
from streams.core import ROW_BYTES_MAX
from streams.definitions.switch import in_force, program_of
from streams.ids import REPLAY_SECRET, Ids
from streams.profile.facts import TRAITS_BYTES_MAX, newest_traits
from streams.profile.size import ROOMY, lessen
from streams.profile.step import ProfileCore
from streams.profile.united import unite_traits
from streams.segments.keeping import shorten
from streams.segments.person import TO_COME
from tests.scenarios.play import documents_of
from tests.streams.test_apply import Partition
from tests.streams.test_apply import event as event_at
from tests.streams.triggers import told

HUNGRY = """
store: main
---
segment: views-and-buys
where: {sequence: [{did: Viewed Product}, {did: Placed Order}], in_last: 30d}
---
segment: spends
where: {did: Viewed Product, total: {is: "> 3"}, in_last: 900d}
"""
DEFINITIONS = in_force(None, DefinitionsPublished("main", "v1", "ann", documents_of(HUNGRY)), ())
PROGRAM = program_of(DEFINITIONS)
CORE = ProfileCore(Ids(REPLAY_SECRET)).adopt(DEFINITIONS)
WINNER, START, LONG = "i0", 1_774_000_000_000, "x" * 500
FEATURES = [key for key, one in PROGRAM.features.items() if one.horizon is not None]


def full(name: str, number: int) -> ProfileRow:
    """Somebody of whom everything is known that a row may hold of each thing."""
    entries = [Entry(START - at, f"{name}-{at}-{LONG}", 1_000_000) for at in range(500)]
    states = {
        key: FeatureState(500, 500_000_000, list(entries), version="v1") for key in FEATURES[:2]
    }
    return ProfileRow(
        store="main",
        id=name,
        definitions=PROGRAM.mark,
        identifiers={"device_id": {f"{name}-{at}": START for at in range(50)}},
        traits={name: Trait(LONG * 120, START + number, START)},
        features=states,
        segments={"spends": Membership(START, 1)},
        runs=[run_of(f"{name}-{at}", START + at) for at in range(20)],
        events=500,
    )


def run_of(name: str, at: int) -> FlowRun:
    trigger = Trigger("event", name, "Viewed Product", at, said=told(text=LONG * 8))
    return FlowRun(name, "gone", "v1", trigger, at, at)


def winner(*, awaits: bool) -> ProfileRow:
    """awaits: it was split off, and nothing is known of it yet; or another was, and all is told
    again.
    """
    row = ProfileRow(store="main", id=WINNER, definitions=PROGRAM.mark)
    row.sides = [Side("s1", not awaits, "i9", [("email", "other@example.com")])]
    row.retold = None if awaits else full(WINNER, 0)
    return row


def of(partition: Partition) -> ProfileRow:
    return CORE.decode(partition.rows[WINNER.encode()])


@pytest.mark.parametrize("awaits", [False, True])
def test_merges_of_full_rows_stop_no_worker(awaits: bool) -> None:
    merge_full_rows(25, awaits=awaits)


@pytest.mark.prove
@pytest.mark.timeout(900)
@pytest.mark.parametrize("awaits", [False, True])
def test_a_thousand_merges_of_full_rows_stop_no_worker(awaits: bool) -> None:
    merge_full_rows(1_000, awaits=awaits)


def merge_full_rows(merges: int, *, awaits: bool) -> None:
    partition = Partition(CORE)
    kind, losers = "i" if not awaits else "n", [f"{number:04}" for number in range(merges)]
    partition.rows[WINNER.encode()] = CORE.encode(winner(awaits=awaits))
    for number, name in enumerate(losers):
        lost = CORE.encode(full(f"{kind}8{name}", number))
        assert len(lost) < ROW_BYTES_MAX
        at = (number // 50 + 1) * 1_000
        partition.tell(at - 500 + number % 50, Absorb(f"{kind}8{name}", lost), WINNER)
        if number % 50 == 49 or number == merges - 1:
            partition.round_ends(at)
            assert len(partition.rows[WINNER.encode()]) <= ROW_BYTES_MAX
    row = of(partition)
    assert {"row", "traits"} <= set(row.coarsened)
    assert row.events == 500 * merges, "all are counted"
    spends = max(row.features.values(), key=lambda state: state.total)
    assert spends.total == 500_000_000 * merges
    assert len(row.absorbed) == min(merges, 500)
    letters = [dict(one.headers)["reason"].decode() for one in partition.dead()]
    assert letters
    assert set(letters) == {"the row was over 1048576 bytes: some of its history was let go"}


def test_who_goes_over_with_too_large_a_row_brings_one_that_can_be_kept() -> None:
    row = full("i5", 1)
    row.retold = full("i5", 2)
    row.to_join, row.proposal = [Wish(WINNER, True, None)], Proposal(WINNER, 1, ())
    assert len(CORE.encode(row)) > ROW_BYTES_MAX
    _, said = CORE.step(row, "i5", Accept(WINNER, 1, ()), START, (START, 0, 0))
    (absorb,) = [one.record for one in said if isinstance(one.record, Absorb)]
    assert len(absorb.row) <= ROW_BYTES_MAX
    assert CORE.decode(absorb.row).events == 500


def test_an_event_that_takes_a_row_over_its_cap_counts() -> None:
    partition = Partition(CORE)
    row = full(WINNER, 0)
    row.traits = {f"t{at}": Trait(LONG, START, START) for at in range(800)}
    assert len(CORE.encode(row)) < ROW_BYTES_MAX
    row.settled = [run_of(f"old-{at}", START) for at in range(200)]
    partition.rows[WINNER.encode()] = CORE.encode(row)
    partition.tell(10, event_at("Viewed Product", 10), WINNER)
    partition.round_ends(1_000)
    after = of(partition)
    assert (after.events, "row" in after.coarsened) == (501, True)
    assert len(partition.rows[WINNER.encode()]) <= ROOMY, "there is room for the next"
    assert [one.value for one in partition.dead()] == [b""]


def test_the_history_of_features_goes_before_anything_else() -> None:
    row = full(WINNER, 0)
    before = CORE.decode(CORE.encode(row))
    lessen(row, PROGRAM)
    assert len(CORE.encode(row)) <= ROOMY
    assert all(1 <= len(state.entries) < 500 for state in row.features.values())
    row.features, before.features = {}, {}
    row.coarsened.remove("row")
    assert row == before


@pytest.mark.parametrize(
    ("kind", "kept"),
    [("newest", [9, 8, 7]), ("oldest", [2, 1, 0]), ("span", [9, 8, 7]), ("max", [9, 8, 7])],
)
def test_a_feature_that_is_shortened_keeps_what_it_would_with_a_lower_cap(
    kind: str, kept: list[int]
) -> None:
    hour = 3_600_000
    entries = [Entry(at * hour, f"e{at}", at) for at in reversed(range(10))]
    state = FeatureState(10, 45, entries)
    shorten(state, kind, 3)
    assert [entry.occurred_at // hour for entry in state.entries] == kept
    assert (state.count, state.total) == (10, 45)
    coarse = {4: (5, 10), 5: (1, 5), 6: (1, 6)} if kind == "span" else None
    assert state.coarse == coarse, "the oldest buckets are one"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_traits_that_do_not_fit_the_newest_stay_whatever_the_order(
    order: tuple[int, ...],
) -> None:
    people = [{f"t{n}": Trait(LONG * 50, START + n, START)} for n in range(3)]
    people[0]["small"] = Trait(1, START - 1, START)
    row = ProfileRow(store="main", id=WINNER)
    for number in order:
        row.traits = unite_traits(row, people[number])
    assert sorted(row.traits) == ["t1", "t2"]
    assert row.coarsened == ["traits"]
    assert len(msgspec.msgpack.encode(row.traits)) <= TRAITS_BYTES_MAX
    assert newest_traits(row.traits, TRAITS_BYTES_MAX) is row.traits


def test_where_history_is_not_enough_a_row_lets_go_of_what_is_not_over() -> None:
    row = winner(awaits=True)
    birthday = run_of("birthday", START)
    birthday.trigger = msgspec.structs.replace(birthday.trigger, kind=TO_COME)
    row.runs = [birthday, *(run_of(f"run-{at}", START + at) for at in range(300))]
    row.united = {f"n{at}": {LONG: Membership(START, 1)} for at in range(1_000)}
    row.sides[0].identifiers = [("device_id", f"{at}{LONG}") for at in range(1_000)]
    row.traits = {f"t{at}": Trait(LONG, START + at, START) for at in range(120)}
    row.traits["life"] = Trait(LONG * 20, START + 999, START)
    row.identifiers = {"email": {"a@example.com": START}}
    lessen(row, PROGRAM)
    assert len(CORE.encode(row)) <= ROOMY
    assert [run.id for run in row.runs] == ["birthday", *(f"run-{at}" for at in range(260, 300))]
    assert list(row.united) == ["n999"], "the segments are looked at all the same"
    assert set(row.traits) == {f"t{at}" for at in range(105, 120)}
    named = ("device_id", f"0{LONG}")
    assert (row.sides[0].identifiers[0], len(row.sides[0].identifiers)) == (named, 10)
    assert row.identifiers == {"email": {"a@example.com": START}}


def test_runs_of_who_awaits_nothing_end_with_a_decision_not_here() -> None:
    row = winner(awaits=False)
    row.runs = [run_of(f"run-{at}", START + at) for at in range(80)]
    row.united = {f"n{at}": {LONG: Membership(START, 1)} for at in range(8_000)}
    lessen(row, PROGRAM)
    assert (len(row.united), len(row.runs)) == (1, 80)
