"""What goes wrong when a split is done almost right: events that circle, erasures that come close
behind it, lists that are lost.
"""

import random
import string

import msgspec
import pytest

from schemas.rows import ProfileRow
from schemas.splits import SplitAsked
from schemas.topics import STORE_EVENTS
from schemas.values import Identifier
from streams.ids import REPLAY_SECRET
from streams.ingest.control import erasure, split
from streams.lists import is_member
from streams.profile.split_history import events_in, parts
from tests.scenarios.shop import MINUTE
from tests.scenarios.test_split import ANN, BOB, Desk, joined

HOUR = 60 * MINUTE


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
    desk.look()
    assert gone_in(desk) == [], "his past is still to come"
    desk.tell()
    (left,) = desk.profiles().values()
    assert not left.gone_at
    assert left.identifiers["external_id"].keys() == {"c-1"}
    assert len(gone_in(desk)) == 1


@pytest.mark.parametrize(("who", "other"), [(ANN, BOB), (BOB, ANN)])
def test_who_is_erased_before_the_history_is_told_is_erased_then_and_the_other_has_their_own(
    who: Identifier, other: Identifier
) -> None:
    desk = joined()
    desk.event("Started Checkout", external_id="c-1", email="ann@example.com")
    desk.ask(*BOB)
    erase(desk, who)
    desk.wait(3 * HOUR)
    assert desk.told("send-commands") == [], "nothing is sent to who is to be erased"
    erasures = len(desk.told("identity-erasures"))
    desk.tell()
    assert len(desk.told("identity-erasures")) == erasures + 1
    (left,) = desk.profiles().values()
    assert left.id == desk.who(*other).id
    assert left.events == {ANN: 4, BOB: 3}[other]
    assert [row.id for row in gone_in(desk)] != [left.id]
    desk.event("Started Checkout", **dict([other]))
    assert desk.told("flow-triggers")[-1]["profile_id"] == left.id, "nobody is quiet for ever"


def test_nothing_that_named_somebody_erased_is_left_with_whom_they_were_split_from() -> None:
    phone = ("phone", "+493012345678")
    desk = joined()
    desk.event("Identify", email=BOB[1], phone=phone[1])
    desk.event("Viewed Product", phone=phone[1])
    desk.ask(*BOB, phone)
    desk.tell()
    desk.ask(*phone, name="s2")
    del desk.made[:-1]
    desk.tell()
    erase(desk, ANN)
    desk.wait(MINUTE)
    rows = desk.profiles().values()
    assert len(rows) == 2
    assert not [one for row in rows for side in row.sides for one in side.identifiers if one == ANN]
    erase(desk, BOB)
    desk.wait(MINUTE)
    (left,) = desk.profiles().values()
    assert left.id == desk.who(*phone).id
    assert [one for side in left.sides for one in side.identifiers] == []


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


def test_who_was_said_to_be_erased_by_an_event_of_the_other_may_be_written_to() -> None:
    for who, other in ((BOB, ANN), (ANN, BOB)):
        desk = joined()
        desk.event("Profile Erased", **dict([who]))
        desk.ask(*BOB)
        desk.tell()
        assert desk.who(*who).erased_at is not None
        assert desk.who(*other).erased_at is None


def test_who_becomes_one_with_somebody_split_off_goes_on_before_the_history_is_told() -> None:
    desk = joined()
    mail = "zoe@example.com"
    desk.event("Subscribed", external_id="c-0", email=mail, properties={"channel": "email"})
    desk.event("Started Checkout", external_id="c-0", email=mail)
    desk.ask(*BOB)
    desk.event("Identify", external_id="c-0", email=BOB[1])
    desk.wait(3 * HOUR)
    assert ("cart", "sent", None) in desk.sends()
    assert desk.who("external_id", "c-0").figures.orders == 0
    desk.tell()
    assert desk.who("external_id", "c-0").figures.orders == 2
    assert desk.who(*ANN).figures.orders == 1


def test_who_was_split_off_and_browses_on_another_device_is_quiet_until_the_history_is_told() -> (
    None
):
    desk = joined()
    desk.ask(*BOB)
    desk.event("Viewed Product", anonymous_id="b-9", trust="client")
    desk.event("Viewed Product", email=BOB[1], anonymous_id="b-9")
    triggered = len(desk.told("flow-triggers"))
    desk.event("Started Checkout", email=BOB[1])
    assert len(desk.told("flow-triggers")) == triggered
    desk.tell()
    desk.event("Started Checkout", email=BOB[1])
    assert len(desk.told("flow-triggers")) == triggered + 1


def test_an_address_that_points_to_a_third_is_held_by_whom_it_goes_along_with() -> None:
    mail = "x@example.com"
    desk = Desk()
    for account in ("c-3", "c-2"):
        desk.event("Identify", external_id=account, email=mail)
    desk.event("Placed Order", external_id="c-1", value=3)
    desk.event("Alias", external_id="c-1", properties={"previous": {"external_id": "c-2"}})
    desk.ask("external_id", "c-2", ("email", mail))
    desk.tell()
    desk.event("Subscribed", email=mail, properties={"channel": "email"})
    desk.event("Unsubscribed", email=mail, properties={"channel": "email"})
    states = {
        name: desk.who("external_id", name).consent.get("email", {}).get(mail)
        for name in ("c-1", "c-2", "c-3")
    }
    assert states["c-2"] == states["c-3"]
    assert states["c-2"] is not None
    assert states["c-2"].denied_received_at
    assert states["c-1"] is None


def test_who_takes_over_somebody_told_again_keeps_a_copy_of_facts_alone() -> None:
    desk = joined()
    desk.event("Placed Order", external_id="c-0", email="zoe@example.com", value=4)
    desk.ask(*BOB)
    desk.event("Alias", external_id="c-0", properties={"previous": {"external_id": "c-1"}})
    retold = desk.who("external_id", "c-0").retold
    assert retold is not None
    assert (retold.figures.orders, retold.identifiers, retold.consent) == (1, {}, {})
    desk.tell()
    assert desk.who("external_id", "c-0").figures.orders == 2


def test_the_largest_event_is_told_again_in_a_record_that_its_topic_takes() -> None:
    letters = random.Random(1).choices(string.ascii_letters + string.digits, k=5_500_000)
    desk = joined()
    desk.ask(*BOB)
    ((done, told),) = desk.made
    large = msgspec.structs.replace(told[-1].event, properties={"text": "".join(letters)})
    pushed = len(msgspec.json.encode(large))
    assert 5_500_000 < pushed < STORE_EVENTS.max_bytes
    for part in parts(done, [msgspec.structs.replace(told[-1], event=large)]):
        value, headers = split(part, REPLAY_SECRET)
        size = len(value) + sum(len(name) + len(one) for name, one in headers)
        assert size < STORE_EVENTS.max_bytes
        if part.profile_id == done.new:
            assert [one.event for one in events_in(part)] == [large]
