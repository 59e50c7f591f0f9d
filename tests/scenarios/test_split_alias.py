"""A wrong `Alias` is taken apart: the two accounts stay two, whatever others have learned of it."""

import pytest

from schemas.rows import ProfileRow
from schemas.splits import SplitAsked
from tests.scenarios.test_split import ANN, Desk

PHONE = "+493012345678"
BOB = ("external_id", "c-2")


def aliased(*, phone: bool = False) -> Desk:
    """The store has said that c-1 is what c-2 was before: it is not."""
    desk = Desk()
    desk.event("Placed Order", external_id="c-2", value=7, **({"phone": PHONE} if phone else {}))
    desk.event("Placed Order", external_id="c-1", value=3)
    desk.event("Alias", external_id="c-1", properties={"previous": {"external_id": "c-2"}})
    return desk


def names(row: ProfileRow) -> set[str]:
    return set(row.identifiers.get("external_id", ()))


def apart(desk: Desk) -> list[set[str]]:
    return sorted((names(row) for row in desk.profiles().values()), key=sorted)


def test_what_a_third_learned_to_be_retired_joins_nobody_after_the_split() -> None:
    desk = aliased()
    desk.event("Placed Order", external_id="c-0", phone=PHONE, value=2)
    desk.event("Identify", external_id="c-1", phone=PHONE)
    assert desk.who("external_id", "c-0").retired == ["c-2"]
    desk.ask(*BOB)
    desk.tell()
    desk.event("Identify", external_id="c-2", email="x@example.com")
    desk.event("Identify", external_id="c-0", email="x@example.com")
    assert apart(desk) == [{"c-0"}, {"c-1"}, {"c-2"}]
    reasons = [one["reason"] for one in desk.told("identity-conflicts")]
    assert reasons == ["two-external-ids"] * 2


def test_the_alias_the_other_way_round_joins_nobody_and_is_told() -> None:
    desk = aliased()
    desk.ask(*BOB)
    desk.tell()
    desk.event("Alias", external_id="c-2", properties={"previous": {"external_id": "c-1"}})
    assert apart(desk) == [{"c-1"}, {"c-2"}]
    assert [one["reason"] for one in desk.told("identity-conflicts")] == ["split"]
    desk.event("Alias", external_id="c-3", properties={"previous": {"external_id": "c-1"}})
    assert apart(desk) == [{"c-2"}, {"c-3"}], "another alias counts"


def test_the_same_alias_again_joins_nobody_and_is_told() -> None:
    desk = aliased()
    desk.ask(*BOB)
    desk.tell()
    for number in range(51):  # so many links are remembered
        desk.event("Viewed Product", external_id="c-1", cart_token=f"cart-{number}", rounds=2)
    desk.event("Alias", external_id="c-1", properties={"previous": {"external_id": "c-2"}})
    assert apart(desk) == [{"c-1"}, {"c-2"}]
    assert [one["reason"] for one in desk.told("identity-conflicts")] == ["split"]
    desk.event("Placed Order", external_id="c-2", value=1)
    assert desk.who(*BOB).figures.orders == 2


def test_where_the_newer_name_goes_the_older_names_who_stays_again() -> None:
    desk = aliased(phone=True)
    desk.ask(*ANN)
    desk.tell()
    assert apart(desk) == [{"c-1"}, {"c-2"}]
    desk.event("Placed Order", external_id="c-2", value=1)
    assert desk.who(*BOB).figures.orders == 2
    desk.event("Identify", external_id="c-7", phone=PHONE)
    assert apart(desk) == [{"c-1"}, {"c-2"}, {"c-7"}]


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_a_name_nobody_knew_goes_to_whom_an_alias_just_after_the_split_names(rounds: int) -> None:
    desk = aliased()
    desk.push(SplitAsked("main", (BOB,), "s1", "sue", "wrong alias"))
    desk.wait(3000 * rounds, rounds)
    desk.event("Alias", external_id="c-2", properties={"previous": {"external_id": "c-6"}})
    desk.look()
    desk.tell()
    desk.event("Placed Order", external_id="c-6", value=1)
    assert apart(desk) == [{"c-1"}, {"c-2"}]
    assert desk.who(*BOB).figures.orders == 2


def test_an_alias_of_a_name_that_another_took_over_before_joins_nobody() -> None:
    desk = aliased()
    desk.ask(*BOB)
    desk.tell()
    desk.event("Alias", external_id="c-3", properties={"previous": {"external_id": "c-1"}})
    desk.event("Alias", external_id="c-2", properties={"previous": {"external_id": "c-1"}})
    desk.event("Placed Order", external_id="c-1", value=1)
    assert apart(desk) == [{"c-2"}, {"c-3"}]
    assert desk.who("external_id", "c-3").figures.orders == 2


def test_an_alias_said_after_the_split_counts_for_the_name_that_came_back() -> None:
    desk = aliased()
    desk.ask(*BOB)
    desk.tell()
    desk.event("Alias", external_id="c-5", properties={"previous": {"external_id": "c-2"}})
    assert apart(desk) == [{"c-1"}, {"c-5"}]
    assert desk.who("external_id", "c-5").retired == ["c-2"]
