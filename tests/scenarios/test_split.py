"""Support takes an identifier out of a profile: two people again, each with their own past."""

from typing import Any

import msgspec
import pytest

from schemas.outputs import ProfileSplit
from schemas.records import DefinitionsPublished
from schemas.rows import ProfileRow
from schemas.splits import EventTold, SplitAsked
from schemas.values import Identifier
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.control import definitions, erasure, split
from streams.ingest.identifiers import KINDS
from streams.profile import split_history
from streams.profile.split_history import companions, parts
from streams.profile.step import ProfileCore
from tests.scenarios.play import documents_of
from tests.scenarios.shop import MINUTE, Shop
from tests.streams.identity.splits import Timeline

ANN: Identifier = ("external_id", "c-1")
BOB: Identifier = ("email", "bob@example.com")

DEFINITIONS = """
store: main
address: Somewhere 1
---
list: newsletter
opt_in: single
---
segment: buyers
where: {did: Placed Order}
---
segment: regulars
where: {did: Placed Order, times: ">= 3"}
---
segment: quiet
where: {all: [{did: Viewed Product}, {did_not: Placed Order}]}
---
flow: cart
trigger: {did: Started Checkout}
steps:
  - wait: 2h
  - {send: cart, channel: email, template: t}
---
flow: thanks
trigger: {enters: buyers}
steps:
  - {send: thanks, channel: email, template: t}
"""


class Desk(Shop):
    """A shop with support, and with a timeline that can be told again."""

    def __init__(self, *, opt_in: str = "single") -> None:
        super().__init__(DEFINITIONS.replace("opt_in: single", f"opt_in: {opt_in}"))
        self.timeline, self.heard = Timeline(), 0
        self.made: list[tuple[ProfileSplit, list[EventTold]]] = []

    def look(self) -> None:
        """Take in what was said since."""
        self.made += self.timeline.hear(self.written[self.heard :])
        self.heard = len(self.written)

    def companions(self, kind: str, value: str) -> tuple[Identifier, ...]:
        """What came only with an identifier, as the command finds it."""
        self.look()
        row = self.who(kind, value)
        told = self.timeline.told((row.id, *row.absorbed))
        return companions((kind, value), told, KINDS)

    def ask(self, kind: str, value: str, *others: Identifier, name: str = "s1") -> str:
        """Ask as the command does. Returns: what became of it."""
        asked = SplitAsked("main", ((kind, value), *others), name, "sue", "wrong alias")
        self.push(asked)
        self.wait(MINUTE)
        self.look()
        answers = self.told("identity-splits")
        return str(answers[-1]["outcome"]) if answers else ""

    def tell(self, *, times: int = 1) -> None:
        """Tell the history of all splits again, as the command does."""
        for done, told in self.made:
            for _ in range(times):
                for part in parts(done, told):
                    self.push(part)
        self.wait(MINUTE)
        self.look()

    def push(self, said: Any) -> None:
        value, headers = split(said, REPLAY_SECRET)
        self.count += 1
        self.path.append(0, value, self.now, headers=headers)


def joined() -> Desk:
    """Ann's account was given Bob's address by mistake; he orders, and browses on his own."""
    desk = Desk()
    desk.event("Placed Order", external_id="c-1", value=10, traits={"city": "Rome"})
    desk.event("Identify", external_id="c-1", email=BOB[1])
    desk.event("Viewed Product", anonymous_id="b-1", trust="client")
    desk.event(
        "Placed Order", email=BOB[1], anonymous_id="b-1", value=30, traits={"city": "Berlin"},
        traits_once={"source": "ad"},
    )  # fmt: skip
    desk.event("Placed Order", email=BOB[1], value=5)
    desk.event("Subscribed", email=BOB[1], properties={"list": "newsletter", "channel": "email"})
    (both,) = desk.profiles().values()
    assert both.figures.orders == 3
    return desk


def memberships(desk: Desk, kind: str, value: str) -> set[str]:
    row = desk.who(kind, value)
    return {name for name, one in row.segments.items() if one.since is not None}


def test_each_has_what_is_theirs_as_if_it_had_always_been_so() -> None:
    desk = joined()
    assert memberships(desk, *ANN) == {"buyers", "regulars"}
    came_with_him = desk.companions(*BOB)
    assert came_with_him == (("anonymous_id", "b-1"),)
    assert desk.ask(*BOB, *came_with_him) == "split"
    desk.tell()
    ann, bob = desk.who(*ANN), desk.who(*BOB)
    assert ann.id != bob.id
    assert desk.who("anonymous_id", "b-1").id == bob.id
    assert (ann.events, ann.figures.orders, ann.figures.revenue) == (2, 1, 10_000_000)
    assert (bob.events, bob.figures.orders, bob.figures.revenue) == (4, 2, 35_000_000)
    assert {name: one.value for name, one in ann.traits.items()} == {"city": "Rome"}
    assert {name: one.value for name, one in bob.traits.items()} == {
        "city": "Berlin",
        "source": "ad",
    }
    assert (set(ann.identifiers), set(bob.identifiers)) == (
        {"external_id"},
        {"email", "anonymous_id"},
    )
    assert (set(ann.lists), set(bob.lists)) == (set(), {"newsletter"})
    assert memberships(desk, *ANN) == {"buyers"}
    assert memberships(desk, *BOB) == {"buyers"}


def test_consent_stays_with_the_address() -> None:
    desk = joined()
    desk.ask(*BOB)
    desk.tell()
    assert desk.who(*BOB).consent["email"][BOB[1]].granted_occurred_at
    assert BOB[1] not in desk.who(*ANN).consent.get("email", {})


def test_what_a_split_changes_says_so_and_starts_no_flow() -> None:
    desk = joined()
    before = (len(desk.sends()), len(desk.told("flow-triggers")), len(desk.changes()))
    desk.ask(*BOB)
    desk.tell()
    assert (len(desk.sends()), len(desk.told("flow-triggers"))) == before[:2]
    changes = desk.told("segment-changes")[before[2] :]
    assert sorted((one["change"], one["segment"]) for one in changes) == [
        ("entered", "buyers"),
        ("exited", "regulars"),
    ]
    assert {(one["evidence"][0]["leaf"], one["evidence"][0]["value"]) for one in changes} == {
        ("split", "s1")
    }


def test_events_that_move_say_where_they_moved_from_and_no_other_does() -> None:
    desk = joined()
    old = desk.who(*BOB).id
    desk.ask(*BOB, *desk.companions(*BOB))
    desk.tell()
    new = desk.who(*BOB).id
    told = [one for one in desk.told("timeline") if one["type"] == "timeline-entry"]
    moved = [one for one in told if one["moved_from"]]
    assert len(moved) == 4
    assert {one["profile_id"] for one in moved} == {new}
    origins = {(one["profile_id"], one["event_id"], *one["origin"]) for one in told}
    for one in moved:
        assert (one["moved_from"], one["event_id"], *one["origin"]) in origins
        assert one["moved_from"] == old or one["moved_from"].startswith("n")


def test_a_later_event_that_names_both_joins_nobody_and_is_reported_once() -> None:
    desk = joined()
    desk.ask(*BOB)
    desk.tell()
    ann, bob = desk.who(*ANN).id, desk.who(*BOB).id
    for _ in range(2):
        desk.event("Placed Order", external_id="c-1", email=BOB[1], value=1)
    assert (desk.who(*ANN).id, desk.who(*BOB).id) == (ann, bob)
    assert "email" not in desk.who(*ANN).identifiers
    (conflict,) = desk.told("identity-conflicts")
    assert conflict["reason"] == "split"
    assert conflict["profiles"] == sorted((ann, bob))
    assert conflict["because"] == list(BOB)


def test_a_third_identifier_that_both_use_joins_them_no_more() -> None:
    desk = joined()
    desk.ask(*BOB)
    desk.tell()
    desk.event("Viewed Product", external_id="c-1", phone="+493012345678")
    desk.event("Viewed Product", email=BOB[1], phone="+493012345678")
    assert desk.who(*ANN).id != desk.who(*BOB).id
    assert [one["reason"] for one in desk.told("identity-conflicts")] == ["split"]


def test_who_has_merged_with_one_of_them_stays_apart_from_the_other() -> None:
    desk = joined()
    desk.ask(*BOB)
    desk.tell()
    desk.event("Identify", external_id="c-0", email=BOB[1])
    assert desk.who(*BOB).id == desk.who("external_id", "c-0").id
    desk.event("Alias", external_id="c-1", properties={"previous": {"external_id": "c-0"}})
    assert desk.who(*ANN).id != desk.who(*BOB).id
    assert "split" in {one["reason"] for one in desk.told("identity-conflicts")}


def test_what_was_linked_to_a_side_follows_it_into_whom_it_joins() -> None:
    desk = joined()
    desk.event("Identify", external_id="c-1", phone="+493012345678")
    desk.ask(*BOB)
    desk.tell()
    desk.event("Viewed Product", email=BOB[1], phone="+493012345678")
    bob = desk.who(*BOB).id
    desk.event("Identify", external_id="c-0", phone="+493012345678")
    desk.event("Identify", external_id="c-0", email=BOB[1])
    assert desk.who(*BOB).id != bob
    rows = [desk.identity.decode(blob) for _, _, blob in desk.path.rows("identity")]
    assert bob not in {one for row in rows for one in row.holders}


def test_a_wrong_alias_is_undone() -> None:
    desk = Desk()
    desk.event("Placed Order", external_id="c-2", value=7)
    desk.event("Placed Order", external_id="c-1", value=3)
    desk.event("Alias", external_id="c-1", properties={"previous": {"external_id": "c-2"}})
    assert desk.who("external_id", "c-2").figures.orders == 2
    assert desk.ask("external_id", "c-2") == "split"
    desk.tell()
    desk.event("Placed Order", external_id="c-2", value=1)
    one, other = desk.who(*ANN), desk.who("external_id", "c-2")
    assert (one.figures.revenue, other.figures.revenue) == (3_000_000, 8_000_000)
    assert [set(row.identifiers["external_id"]) for row in (one, other)] == [{"c-1"}, {"c-2"}]


def test_a_shared_browser_is_taken_from_who_logged_in_once() -> None:
    desk = Desk()
    for _ in range(2):
        desk.event("Viewed Product", anonymous_id="b-1", trust="client")
    desk.event("Placed Order", external_id="c-1", anonymous_id="b-1", value=3)
    assert desk.ask("anonymous_id", "b-1") == "split"
    desk.tell()
    ann, browser = desk.who(*ANN), desk.who("anonymous_id", "b-1")
    assert (ann.events, browser.events) == (1, 2), "her order is hers, whatever it was made on"
    desk.event("Viewed Product", external_id="c-1", anonymous_id="b-1")
    desk.event("Identify", external_id="c-1", email="ann@example.com")
    desk.event("Viewed Product", email="ann@example.com", anonymous_id="b-1")
    desk.event("Viewed Product", anonymous_id="b-1", trust="client")
    assert desk.who("anonymous_id", "b-1").id == browser.id
    assert desk.who("anonymous_id", "b-1").events == 3


def test_a_split_that_is_appended_again_much_later_takes_nothing_from_anybody() -> None:
    desk = Desk()
    desk.event("Placed Order", external_id="c-1", anonymous_id="b-1", value=3)
    desk.ask("anonymous_id", "b-1")
    desk.tell()
    desk.event("Viewed Product", anonymous_id="b-1", trust="client")
    desk.event("Placed Order", external_id="c-7", anonymous_id="b-1", value=4)
    desk.event("Placed Order", external_id="c-8", anonymous_id="b-1", value=4)
    assert desk.who("anonymous_id", "b-1").id == desk.who("external_id", "c-8").id
    desk.ask("anonymous_id", "b-1")
    assert len(desk.made) == 1
    assert desk.who("anonymous_id", "b-1").id == desk.who("external_id", "c-8").id


def test_what_is_resolved_before_the_identifier_knows_of_the_split_goes_where_it_belongs() -> None:
    desk = joined()
    desk.push(SplitAsked("main", (BOB,), "s1", "sue", "wrong alias"))
    for number in range(4):
        phone = f"+4930123456{number:02}"
        desk.event("Placed Order", email=BOB[1], phone=phone, value=1, rounds=1)
    desk.wait(MINUTE)
    desk.look()
    desk.tell()
    assert (desk.who(*ANN).figures.orders, desk.who(*BOB).figures.orders) == (1, 6)
    for number in range(4):
        assert desk.who("phone", f"+4930123456{number:02}").id == desk.who(*BOB).id


def test_an_event_that_is_pushed_again_before_the_history_is_told_counts_once() -> None:
    desk = joined()
    desk.ask(*BOB)
    pushed = {"id": "e5", "metric": "Placed Order", "profile": {"email": BOB[1]}, "value": 5}
    desk.path.append(0, msgspec.json.encode(pushed), desk.now)
    desk.wait(MINUTE)
    desk.tell()
    assert (desk.who(*BOB).events, desk.who(*BOB).figures.orders) == (3, 2)


def test_what_comes_before_the_history_is_told_counts_where_it_belongs() -> None:
    desk = joined()
    desk.ask(*BOB, *desk.companions(*BOB))
    desk.event("Placed Order", email=BOB[1], value=2)
    desk.event("Placed Order", external_id="c-1", value=4)
    desk.event("Identify", external_id="c-9", phone="+493012345678")
    desk.event("Identify", external_id="c-1", phone="+493012345679")
    desk.tell(times=2)
    ann, bob = desk.who(*ANN), desk.who(*BOB)
    assert (ann.figures.orders, ann.figures.revenue) == (2, 14_000_000)
    assert (bob.figures.orders, bob.figures.revenue) == (3, 37_000_000)
    assert sum(row.events for row in desk.profiles().values()) == 10


def test_until_its_history_is_in_the_new_profile_starts_no_flow_and_the_old_one_goes_on() -> None:
    desk = joined()
    triggered = len(desk.told("flow-triggers"))
    desk.ask(*BOB)
    desk.event("Started Checkout", email=BOB[1])
    assert len(desk.told("flow-triggers")) == triggered
    desk.event("Started Checkout", external_id="c-1")
    assert len(desk.told("flow-triggers")) == triggered + 1
    desk.tell()
    assert len(desk.told("flow-triggers")) == triggered + 1
    desk.event("Started Checkout", email=BOB[1])
    assert len(desk.told("flow-triggers")) == triggered + 2


def test_a_run_that_an_event_of_the_other_started_ends_and_the_others_go_on() -> None:
    desk = joined()
    desk.event("Started Checkout", email=BOB[1])
    assert [run.flow for run in desk.who(*ANN).runs] == ["cart"]
    desk.ask(*BOB)
    assert desk.who(*ANN).runs == [], "not only when the history is told"
    assert desk.sends()[-1] == ("cart", "skipped", "split")
    desk.tell()
    assert desk.who(*ANN).runs == desk.who(*BOB).runs == []
    desk = joined()
    desk.event("Started Checkout", external_id="c-1")
    desk.ask(*BOB)
    desk.tell()
    assert [run.flow for run in desk.who(*ANN).runs] == ["cart"]


def test_sends_and_the_answers_to_them_stay_where_they_were_made() -> None:
    desk = Desk()
    desk.event("Identify", external_id="c-1", email=BOB[1])
    desk.event("Subscribed", email=BOB[1], properties={"channel": "email"})
    desk.event("Placed Order", email=BOB[1], value=5)
    (command,) = desk.told("send-commands")
    said = {"send_id": command["id"], "profile_id": command["profile_id"]}
    desk.event("Opened Email", email=BOB[1], properties=said)
    desk.ask(*BOB)
    desk.tell()
    desk.event("Clicked Email", email=BOB[1], properties=said)
    ann, bob = desk.who(*ANN), desk.who(*BOB)
    assert [one.send_id for one in ann.sent] == [command["id"]]
    assert bob.sent == []
    assert (ann.events, bob.events) == (3, 2)


def test_the_same_split_again_changes_nothing() -> None:
    desk = joined()
    desk.ask(*BOB)
    desk.tell()
    before = desk.profiles()
    desk.ask(*BOB)
    desk.tell(times=2)
    assert desk.profiles() == before
    assert len(desk.told("identity-splits")) == 1


@pytest.mark.parametrize(
    ("kind", "value", "outcome"),
    [("email", "eve@example.com", "unknown"), ("external_id", "c-3", "only-identifier")],
)
def test_what_cannot_be_split_stays_as_it_is(kind: str, value: str, outcome: str) -> None:
    desk = joined()
    desk.event("Placed Order", external_id="c-3", value=1)
    before = desk.profiles()
    assert desk.ask(kind, value) == outcome
    assert desk.profiles() == before
    assert desk.made == []


def test_one_split_at_a_time() -> None:
    desk = joined()
    desk.event("Identify", external_id="c-1", phone="+493012345678")
    desk.ask(*BOB)
    assert desk.ask("phone", "+493012345678", name="s2") == "busy"
    desk.tell()
    assert desk.ask("phone", "+493012345678", name="s3") == "split"


def test_who_is_split_off_again_stays_apart_from_whom_both_came_from() -> None:
    desk = joined()
    desk.ask(*BOB)
    desk.tell()
    desk.event("Identify", email=BOB[1], phone="+493012345679")
    assert desk.ask("phone", "+493012345679", name="s3") == "split"
    desk.made = desk.made[-1:]
    desk.tell()
    desk.event("Viewed Product", phone="+493012345679")
    desk.event("Identify", external_id="c-1", phone="+493012345679")
    assert len({desk.who(*one).id for one in (ANN, BOB, ("phone", "+493012345679"))}) == 3


def test_an_erasure_takes_the_one_and_leaves_the_other() -> None:
    desk = joined()
    desk.ask(*BOB)
    desk.tell()
    value, headers = erasure("main", BOB, "r1", REPLAY_SECRET)
    desk.path.append(0, value, desk.now, headers=headers)
    desk.wait(MINUTE)
    assert [row.figures.orders for row in desk.profiles().values() if row.figures.orders] == [1]
    desk.event("Placed Order", email=BOB[1], value=1)
    assert desk.who(*BOB).figures.orders == 1
    assert desk.who(*ANN).figures.orders == 1


def test_it_is_told_in_parts_and_a_part_that_comes_again_is_recognised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(split_history, "PART_EVENTS_MAX", 1)
    desk = joined()
    desk.ask(*BOB)
    desk.tell(times=3)
    assert (desk.who(*ANN).events, desk.who(*BOB).events) == (3, 3)


def test_definitions_that_change_before_the_history_is_told_are_asked_of_all_of_it() -> None:
    desk = joined()
    desk.ask(*BOB)
    edited = DEFINITIONS.replace('times: ">= 3"', 'times: ">= 2"')
    published = DefinitionsPublished("main", "2", "ann", documents_of(edited), number=1)
    value, headers = definitions(published, REPLAY_SECRET)
    for partition in range(2):
        desk.path.append(partition, value, desk.now, headers=headers)
    desk.event("Placed Order", external_id="c-1", value=1)
    desk.tell()
    assert memberships(desk, *ANN) == memberships(desk, *BOB) == {"buyers", "regulars"}


def test_what_came_with_somebody_elses_identifier_too_came_not_only_with_this_one() -> None:
    desk = joined()
    desk.event("Viewed Product", email=BOB[1], device_id="d-1", cart_token="t-1")
    desk.event("Viewed Product", external_id="c-1", anonymous_id="b-1", cart_token="t-1")
    assert desk.companions(*BOB) == (), "the device came with a cart that came with Ann"


def test_who_points_to_nobody_is_not_split() -> None:
    ids = Ids(REPLAY_SECRET)
    row = ProfileRow(store="main", id="i1", identifiers={"email": {"a@b.de": 1, BOB[1]: 1}})
    asked = SplitAsked("main", (BOB,), "s1", "sue", "wrong alias")
    _, (told,) = ProfileCore(ids).step(row, "i1", asked, 1, (1, 0, 0))
    assert isinstance(told.record, ProfileSplit)
    assert told.record.outcome == "unknown"


def test_who_asked_and_why_is_said() -> None:
    desk = joined()
    old = desk.who(*BOB).id
    desk.ask(*BOB)
    (said,) = desk.told("identity-splits")
    assert (said["author"], said["reason"]) == ("sue", "wrong alias")
    assert (said["old"], said["new"]) == (old, desk.made[0][0].new)
    assert said["identifiers"] == [list(BOB)]
    assert said in desk.told("timeline")
