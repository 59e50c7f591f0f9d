"""How a merge breaks when it is done almost right: every step by itself."""

from typing import Any

import msgspec

from schemas.outputs import IdentityConflict, SegmentChanged
from schemas.records import (
    Absorb,
    Accept,
    DefinitionsPublished,
    Merge,
    Moved,
    Propose,
    Refuse,
    Repoint,
    Retired,
    Shared,
    Withdraw,
)
from schemas.rows import FlowRun, Membership, ProfileRow, Side, Trait, Trigger
from schemas.splits import SplitAsked
from streams.core import Output
from streams.definitions.switch import in_force
from streams.ids import REPLAY_SECRET, Ids
from streams.profile.merge import WISHES_MAX
from streams.profile.step import ProfileCore
from streams.traits import newer

CORE = ProfileCore(Ids(REPLAY_SECRET))
WINNER, LOSER, THIRD, NAMELESS = "i0a", "i1b", "i2c", "n0d"
MAIL = ("email", "a@example.com")


def person(profile_id: str, *external: str) -> ProfileRow:
    identifiers = {"external_id": dict.fromkeys(external, 1)} if external else {}
    return ProfileRow(store="main", id=profile_id, identifiers=identifiers)


def say(row: ProfileRow | None, body: object, key: str = "") -> tuple[ProfileRow, list[Output]]:
    key = key or (row.id if row is not None else "")
    after, said = CORE.step(row, key, body, 10, (10, 0, 0))  # type: ignore[arg-type]
    assert after is not None
    return CORE.decode(CORE.encode(after)), said


def records(said: list[Output]) -> list[object]:
    return [one.record for one in said]


def asking(*external: str) -> ProfileRow:
    """The loser, which has asked the winner once."""
    row, said = say(person(LOSER, *external), Merge("main", WINNER, True, MAIL))
    assert records(said) == [Propose("main", LOSER, 1, external, (), MAIL)]
    return row


def test_the_larger_asks_the_smaller_once() -> None:
    row, said = say(asking(), Merge("main", WINNER, True, MAIL))
    assert said == []
    row, said = say(person(WINNER), Merge("main", LOSER, True, MAIL))
    assert [(one.key, one.record) for one in said] == [(LOSER, Merge("main", WINNER, True, MAIL))]
    assert say(row, Merge("main", WINNER, True, MAIL))[1] == []


def test_a_repeated_acceptance_moves_nothing_twice() -> None:
    row, said = say(asking("c-1"), Accept(WINNER, 1, ("c-1",)))
    assert row.to == WINNER
    assert [type(one) for one in records(said)] == [Absorb]
    again, said = say(row, Accept(WINNER, 1, ("c-1",)))
    assert (again, said) == (row, []), "the place may not be given free before the row is there"


def test_who_was_not_visited_yet_is_handed_over_under_the_definitions_in_force() -> None:
    wait, send = {"wait": "1d"}, {"send": "m", "channel": "email", "template": "t"}
    flow = {"flow": "f", "trigger": {"did": "A"}}
    gone = {"segment": "gone", "where": {"did": "A"}}
    old = in_force(None, published("one", [gone, {**flow, "steps": [wait, send]}]), ())
    later = [{"set": {"seen": True}}, wait, send]
    new = in_force(old, published("two", [{**flow, "steps": later}]), ())
    visits = msgspec.structs.replace(new, visits=(100, 1_000_000))
    core = CORE.adopt(visits)
    row = asking()
    row.definitions, row.segments = "one", {"gone": Membership(since=1, changes=1)}
    row.runs = [FlowRun("r", "f", "one", Trigger("event", "e", "A", 1), 1, 1, step=(0,), wake_at=9)]
    wake_at = core.wake_at(row)
    assert wake_at is not None
    assert 100 <= wake_at < 1_000_100, "it is visited later"
    _, (exited, absorbed) = core.step(row, LOSER, Accept(WINNER, 1, ()), 10, (10, 0, 0))
    assert isinstance(exited.record, SegmentChanged)
    assert (exited.record.segment, exited.record.change) == ("gone", "exited")
    assert isinstance(absorbed.record, Absorb)
    lost = core.decode(absorbed.record.row)
    assert (lost.definitions, lost.runs[0].step, lost.segments) == ("two", (1,), {})


def test_a_row_that_raised_sleeps_under_the_definitions_in_force_with_its_runs_in_their_place() -> (
    None
):
    wait, send = {"wait": "1d"}, {"send": "m", "channel": "email", "template": "t"}
    flow = {"flow": "f", "trigger": {"did": "A"}}
    old = in_force(None, published("one", [{**flow, "steps": [wait, send]}]), ())
    later = [{"set": {"seen": True}}, wait, send]
    core = CORE.adopt(in_force(old, published("two", [{**flow, "steps": later}]), ()))
    row = person(WINNER)
    row.definitions = "one"
    row.runs = [FlowRun("r", "f", "one", Trigger("event", "e", "A", 1), 1, 1, step=(0,), wake_at=9)]
    asleep = core.asleep(row)
    assert (asleep.definitions, asleep.runs[0].step) == ("two", (1,))


def test_who_united_before_a_segment_was_removed_exits_from_it_when_the_union_is_looked_at() -> (
    None
):
    core = CORE.adopt(in_force(None, published("two", []), ()))
    row = person(WINNER)
    row.definitions, row.united = "two", {LOSER: {"gone": Membership(since=1, changes=1)}}
    row, said = core.wake(row, WINNER, 10, 10)
    (exited,) = records(said)
    assert isinstance(exited, SegmentChanged)
    assert (exited.segment, exited.change) == ("gone", "exited")
    assert (row.segments, row.united) == ({}, {})


def published(version: str, documents: list[dict[str, Any]]) -> DefinitionsPublished:
    return DefinitionsPublished("main", version, "ann", tuple(documents))


def test_an_acceptance_of_what_is_out_of_date_is_withdrawn_and_asked_anew() -> None:
    row = asking()
    row.identifiers["external_id"] = {"c-1": 1}
    row, said = say(row, Accept(WINNER, 1, ()))
    assert row.to is None
    assert records(said) == [
        Withdraw(LOSER, 1),
        Propose("main", LOSER, 2, ("c-1",), (), MAIL),
    ]
    row, said = say(row, Accept(WINNER, 1, ()))
    assert records(said) == [Withdraw(LOSER, 1)], "an old answer, come again"


def test_a_withdrawn_reservation_frees_the_place() -> None:
    row, said = say(person(WINNER), Propose("main", LOSER, 1, ("c-1",), (), MAIL))
    assert records(said) == [Accept(WINNER, 1, ("c-1",))]
    row, said = say(row, Propose("main", THIRD, 1, ("c-2",), (), MAIL))
    assert type(said[0].record) is Refuse
    row, _ = say(row, Withdraw(LOSER, 1))
    assert row.reserved == {}
    row, said = say(row, Propose("main", THIRD, 2, ("c-2",), (), MAIL))
    assert records(said) == [Accept(WINNER, 2, ("c-2",))]


def test_a_late_withdrawal_does_not_free_the_place_of_a_newer_proposal() -> None:
    row, _ = say(person(WINNER), Propose("main", LOSER, 1, (), (), MAIL))
    row, _ = say(row, Propose("main", LOSER, 2, ("c-1",), (), MAIL))
    row, _ = say(row, Withdraw(LOSER, 1))
    assert row.reserved[LOSER].names == ("c-1",)
    row, said = say(row, Propose("main", LOSER, 1, (), (), MAIL))
    assert (row.reserved[LOSER].attempt, said) == (2, []), "an old proposal, come again"


def test_what_is_reserved_counts_when_the_winner_asks_somebody_else() -> None:
    row, _ = say(person(LOSER), Propose("main", THIRD, 1, ("c-1",), (), MAIL))
    _, said = say(row, Merge("main", WINNER, True, MAIL))
    assert records(said) == [Propose("main", LOSER, 1, ("c-1",), (), MAIL)]


def test_a_refusal_is_reported_and_the_next_is_asked() -> None:
    _, said = say(person(WINNER, "c-1"), Propose("main", LOSER, 1, ("c-2",), (), MAIL))
    assert records(said)[0] == Refuse(WINNER, 1)
    conflict = said[1].record
    assert isinstance(conflict, IdentityConflict)
    assert (conflict.profiles, conflict.external_ids) == ((WINNER, LOSER), ("c-1", "c-2"))
    row = asking("c-2")
    row, _ = say(row, Merge("main", "i0b", True, MAIL))
    row, said = say(row, Refuse(WINNER, 1))
    assert [one.key for one in said] == ["i0b"]
    row, said = say(row, Refuse(WINNER, 1))
    assert said == []
    row, said = say(row, Refuse("i0b", 2))
    assert (row.to_join, row.proposal, said) == ([], None, [])


def test_a_refusal_of_what_is_out_of_date_is_none() -> None:
    row = asking("c-2")
    row, _ = say(row, Retired("main", "c-2", "c-1", WINNER))
    row, said = say(row, Refuse(WINNER, 1))
    assert records(said) == [Propose("main", LOSER, 2, ("c-1",), ("c-2",), MAIL)]


def test_who_was_merged_sends_on_whoever_asks() -> None:
    gone, _ = say(asking(), Accept(WINNER, 1, ()))
    _, said = say(gone, Propose("main", THIRD, 1, (), (), MAIL))
    assert [(one.key, one.record) for one in said] == [(THIRD, Moved(LOSER, 1, WINNER))]
    row, _ = say(person(THIRD), Merge("main", LOSER, True, MAIL))
    row, said = say(row, Moved(LOSER, 1, WINNER))
    assert [(one.key, type(one.record)) for one in said] == [(WINNER, Propose)]
    row, said = say(row, Moved(LOSER, 1, WINNER))
    assert said == []
    row, _ = say(person(LOSER), Merge("main", WINNER, True, MAIL))
    row, said = say(row, Moved(WINNER, 1, THIRD))
    assert [(one.key, one.record) for one in said] == [(THIRD, Merge("main", LOSER, True, MAIL))]
    for body in (Refuse(WINNER, 1), Accept(WINNER, 1, ()), Moved(WINNER, 1, "i0")):
        assert say(gone, body)[1] == []
    assert records(say(gone, Accept("i0z", 3, ()))[1]) == [Withdraw(LOSER, 3)]
    assert [one.key for one in say(gone, Withdraw(THIRD, 1))[1]] == [WINNER]


def test_a_retired_name_of_who_was_merged_points_to_where_they_went() -> None:
    gone, _ = say(asking(), Accept(WINNER, 1, ()))
    retired = Retired("main", "c-1", "c-2", LOSER)
    _, said = say(gone, retired)
    name = "external_id", "c-1"
    assert records(said) == [retired, Repoint("main", name, LOSER, WINNER)]


def test_a_retired_name_does_not_come_back_where_another_was_promised_its_place() -> None:
    winner = person(WINNER, "c-1")
    winner.retired = ["c-0"]
    winner, said = say(winner, Propose("main", LOSER, 1, ("c-0",), (), MAIL))
    assert records(said) == [Accept(WINNER, 1, ("c-0",))]
    winner, said = say(winner, Propose("main", THIRD, 1, ("c-2",), ("c-1",), MAIL))
    assert records(said) == [Accept(WINNER, 1, ("c-2",))]
    for loser, name in ((LOSER, "c-0"), (THIRD, "c-2")):
        winner, _ = say(winner, Absorb(loser, CORE.encode(person(loser, name))))
    assert winner.identifiers["external_id"].keys() == {"c-2"}


def test_a_name_that_came_back_at_a_split_is_retired_by_nobodys_hearsay() -> None:
    split_off = person(WINNER, "c-2")
    split_off.sides = [Side("s1", False, "i9z", [], next=None, again="c-2")]
    row, said = say(split_off, Propose("main", LOSER, 1, ("c-0",), ("c-2",), MAIL))
    assert records(said)[0] == Refuse(WINNER, 1)
    row, said = say(row, Propose("main", THIRD, 1, (), ("c-2",), MAIL))
    lost = person(THIRD)
    lost.retired = ["c-2"]
    row, _ = say(row, Absorb(THIRD, CORE.encode(lost)))
    assert (row.identifiers["external_id"].keys(), row.retired) == ({"c-2"}, [])


def test_who_was_accepted_before_the_split_does_not_bring_back_the_name_that_went() -> None:
    winner = person(WINNER, "c-3")
    winner.retired = ["c-1"]
    winner, said = say(winner, Propose("main", LOSER, 1, ("c-1",), (), MAIL))
    assert records(said) == [Accept(WINNER, 1, ("c-1",))]
    name = "external_id", "c-1"
    winner, _ = say(winner, SplitAsked("main", (name,), "s1", "sue", "a mistake", into=THIRD))
    winner, _ = say(winner, Absorb(LOSER, CORE.encode(person(LOSER, "c-1"))))
    assert winner.identifiers == {"external_id": {"c-3": 1}}


def test_a_name_that_went_at_a_split_does_not_come_back_at_the_next() -> None:
    row = person(WINNER, "c-1")
    row.retired = ["c-3", "c-2"]
    row.sides = [Side("s0", True, LOSER, [("external_id", "c-2")], next=None)]
    name = "external_id", "c-1"
    row, _ = say(row, SplitAsked("main", (name,), "s1", "sue", "a mistake", into=THIRD))
    assert row.identifiers["external_id"].keys() == {"c-3"}


def test_a_name_that_came_back_is_remembered_by_who_has_promised_it_a_place() -> None:
    winner = person(WINNER)
    names = ("\x1ec-2", "c-2")
    winner, said = say(winner, Propose("main", LOSER, 1, names, (), MAIL))
    assert records(said) == [Accept(WINNER, 1, names)]
    winner, said = say(winner, Propose("main", THIRD, 1, ("c-3",), ("c-2",), MAIL))
    assert records(said)[0] == Refuse(WINNER, 1)


def test_of_names_that_took_each_others_place_one_comes_back() -> None:
    winner, lost = person(WINNER, "c-1"), person(LOSER, "c-0")
    winner.retired, lost.retired = ["c-0"], ["c-1"]
    winner, _ = say(winner, Absorb(LOSER, CORE.encode(lost)))
    assert winner.identifiers["external_id"].keys() == {"c-0"}
    assert winner.retired == ["c-1"]


def test_whom_a_loser_was_to_join_besides_is_the_winners_affair() -> None:
    row = asking()
    row, _ = say(row, Merge("main", "i0b", True, MAIL))
    _, said = say(row, Accept(WINNER, 1, ()))
    assert [(one.key, one.record) for one in said[1:]] == [
        ("i0b", Merge("main", WINNER, True, MAIL))
    ]


def test_a_device_is_no_reason_to_join_two_named_profiles() -> None:
    device = ("device_id", "d")
    assert say(person(LOSER), Merge("main", WINNER, False, device))[1] == []
    row, said = say(person(NAMELESS), Merge("main", WINNER, False, device))
    assert len(said) == 1
    row, _ = say(row, Merge("main", LOSER, False, device))
    _, said = say(row, Accept(WINNER, 1, ()))
    assert [type(one) for one in records(said)] == [Absorb]


def test_absorbing_twice_is_absorbing_once_and_repoints_everything() -> None:
    lost = person(LOSER, "c-1")
    lost.identifiers["email"] = {"a@example.com": 5}
    lost.retired, lost.claimed = ["c-0"], [("device_id", "d")]
    lost.traits["city"] = Trait("Rome", 7, 7)
    body = Absorb(LOSER, CORE.encode(lost))
    row, said = say(person(WINNER), body)
    assert sorted(one.record.identifier for one in said if isinstance(one.record, Repoint)) == [
        ("device_id", "d"),
        ("email", "a@example.com"),
        ("external_id", "c-0"),
        ("external_id", "c-1"),
    ]
    again, said = say(row, body)
    assert (again, said) == (row, [])
    assert row.traits["city"].value == "Rome"
    assert say(row, Propose("main", LOSER, 9, ("c-9",), (), MAIL))[1] == []


def test_answers_to_nobody_leave_nothing() -> None:
    for body in (
        Refuse(WINNER, 1),
        Accept(WINNER, 1, ()),
        Moved(WINNER, 1, "i0"),
        Withdraw("i", 1),
    ):
        assert CORE.step(None, LOSER, body, 10, ()) == (None, [])
    row, said = say(None, Shared("main", MAIL, (WINNER, LOSER)), WINNER)
    assert row.id == WINNER
    assert isinstance(said[0].record, IdentityConflict)
    assert said[0].record.reason == "shared-by-too-many"


def test_who_is_larger_or_of_another_store_is_refused() -> None:
    assert records(say(person(LOSER), Propose("main", WINNER, 1, (), (), MAIL))[1]) == [
        Refuse(LOSER, 1)
    ]
    assert records(say(person(WINNER), Propose("other", LOSER, 1, (), (), MAIL))[1]) == [
        Refuse(WINNER, 1)
    ]


def test_wishes_are_bounded() -> None:
    row = asking()
    for number in range(WISHES_MAX + 5):
        row, _ = say(row, Merge("main", f"i0{number:04}", True, MAIL))
    assert len(row.to_join) == WISHES_MAX
    assert "to_join" in row.coarsened


def test_which_of_two_traits_counts() -> None:
    said, older = Trait("a", 9, 9), Trait("b", 5, 5)
    once, later = Trait("c", 4, 4, once=True), Trait("d", 6, 6, once=True)
    gone, by_client = Trait(None, 5, 5), Trait("e", -5, 7)
    for one, other, want in (
        (said, older, Trait("a", 9, 9, other_at=6)),
        (said, later, said),
        (once, later, once),
        (gone, later, later),
        (gone, once, gone),
        (once, by_client, once),
        (Trait("a", 9, 9), Trait("b", 9, 9), Trait("b", 9, 9, other_at=9)),
        (Trait("b", 9, 2), Trait("c", 2, 2), Trait("b", 9, 9, other_at=3)),
        (Trait("b", 9, 2), Trait("a", 2, 2), Trait("b", 9, 2, other_at=2)),
        (Trait("a", 9, 9), Trait("a", 5, 2), Trait("a", 9, 2)),
        (Trait("a", 9, 2), Trait("b", 5, 5), Trait("a", 9, 9, other_at=6)),
        (Trait("a", 9, 9, other_at=5), Trait("a", 6, 2), Trait("a", 9, 6, other_at=5)),
    ):
        assert newer(one, other) == newer(other, one) == want
