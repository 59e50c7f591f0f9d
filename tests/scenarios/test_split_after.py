"""What goes wrong when a split is done almost right: events that circle, erasures that come close
behind it, lists that are lost.
"""

import pytest

from schemas.rows import ProfileRow
from schemas.splits import SplitAsked
from schemas.values import Identifier
from streams.ids import REPLAY_SECRET
from streams.ingest.control import erasure
from streams.lists import is_member
from tests.scenarios.shop import MINUTE
from tests.scenarios.test_split import BOB, Desk, joined


def erase(desk: Desk, identifier: Identifier, request: str = "r1") -> None:
    value, headers = erasure("main", identifier, request, REPLAY_SECRET)
    desk.path.append(0, value, desk.now, headers=headers)


def gone_in(desk: Desk) -> list[ProfileRow]:
    rows = [desk.profile.decode(blob) for _, _, blob in desk.path.rows("profile")]
    return [row for row in rows if row.gone_at]


def test_an_event_of_who_was_split_off_and_erased_arrives_at_who_has_the_address_by_then() -> None:
    desk = joined()
    desk.ask(*BOB)
    desk.tell()
    erase(desk, BOB)
    desk.wait(MINUTE)
    desk.event("Identify", email=BOB[1], phone="+493012345678")
    desk.event("Viewed Product", external_id="c-1", phone="+493012345678")
    before = sum(row.events for row in desk.profiles().values())
    desk.event("Placed Order", email=BOB[1], value=50)
    desk.wait(MINUTE)
    assert sum(row.events for row in desk.profiles().values()) == before + 1
    assert not desk.path.has_late


def test_an_event_does_not_circle_between_two_that_each_was_split_from() -> None:
    browser = ("anonymous_id", "b-1")
    desk = Desk()
    desk.event("Placed Order", external_id="c-1", value=1)
    desk.event("Identify", external_id="c-1", email=BOB[1])
    desk.event("Viewed Product", email=BOB[1], anonymous_id="b-1")
    assert desk.ask(*BOB, browser) == "split"
    desk.tell()
    desk.event("Viewed Product", external_id="c-9", anonymous_id="b-1")
    assert desk.ask(*browser, name="s2") == "split"
    del desk.made[:-1]
    desk.tell()
    desk.event("Viewed Product", anonymous_id="b-1", device_id="d-1")
    desk.event("Viewed Product", external_id="c-1", device_id="d-1")
    desk.event("Identify", external_id="c-9", email=BOB[1])
    before = sum(row.events for row in desk.profiles().values())
    desk.event("Placed Order", anonymous_id="b-1", value=50)
    desk.wait(MINUTE)
    assert sum(row.events for row in desk.profiles().values()) == before + 1
    assert not desk.path.has_late


@pytest.mark.parametrize("rounds", [0, 1, 2, 5])
def test_an_erasure_close_behind_a_split_erases_who_was_split_off(rounds: int) -> None:
    desk = joined()
    desk.push(SplitAsked("main", (BOB,), "s1", "sue", "wrong alias"))
    if rounds:
        desk.wait(3000 * rounds, rounds)
    erase(desk, BOB)
    desk.wait(MINUTE)
    (left,) = desk.profiles().values()
    assert not left.gone_at
    assert left.identifiers["external_id"].keys() == {"c-1"}
    assert len(gone_in(desk)) == 1


def test_a_list_that_was_confirmed_stays_with_who_confirmed_it() -> None:
    desk = Desk(opt_in="double")
    who = {"external_id": "c-1", "email": "ann@example.com"}
    desk.event("Identify", **who)
    desk.event("Identify", external_id="c-1", email=BOB[1])
    listed = {"list": "newsletter", "channel": "email"}
    desk.event("Subscribed", **who, properties=listed)
    desk.event("Confirmed Subscription", **who, properties=listed)
    desk.ask(*BOB)
    desk.tell()
    assert is_member(desk.who("external_id", "c-1").lists["newsletter"])
