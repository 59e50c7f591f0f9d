"""One person, whatever the device, whatever the order: told as it happens in a shop."""

from typing import Any

import pytest

from tests.scenarios.shop import MINUTE, Shop

LOOKING = """
store: main
address: Somewhere 1
---
segment: looking
where: {all: [{did: Viewed Product, times: ">= 3"}, {did_not: Placed Order}]}
---
segment: regulars
where: {did: Placed Order, times: ">= 2"}
---
flow: cart
trigger: {did: Started Checkout}
steps:
  - wait: 2h
  - {send: cart-1, channel: email, template: t}
---
flow: thanks
trigger: {enters: regulars}
steps:
  - {send: thanks, channel: email, template: t}
"""


def ids_of(shop: Shop) -> list[dict[str, list[str]]]:
    return [
        {kind: sorted(values) for kind, values in row.identifiers.items()}
        for _, row in sorted(shop.profiles().items())
    ]


def test_anonymous_browsing_becomes_known_at_the_checkout() -> None:
    shop = Shop(LOOKING)
    for _ in range(3):
        shop.event("Viewed Product", anonymous_id="b-1", trust="client")
    assert shop.changes() == [("entered", "looking")]
    shop.event("Placed Order", email="ann@example.com", anonymous_id="b-1", value=30)
    (ann,) = shop.profiles().values()
    assert ann.events == 4
    assert ann.id.startswith("i")
    assert shop.changes()[1:] == [("exited", "looking")], "said once, of the person"
    assert shop.told("segment-changes")[-1]["profile_id"] == ann.id
    evidence = shop.told("segment-changes")[-1]["evidence"]
    assert evidence[0]["leaf"] == "merged"
    assert evidence[0]["value"] == shop.told("identity-merges")[0]["loser"]
    shop.event("Viewed Product", anonymous_id="b-1", trust="client")
    assert shop.who("anonymous_id", "b-1").events == 5


def test_phone_in_the_morning_laptop_at_night() -> None:
    shop = Shop(LOOKING)
    shop.event("Viewed Product", anonymous_id="phone-1", trust="client")
    shop.event("Viewed Product", anonymous_id="laptop-1", trust="client")
    shop.event("Identify", email="ann@example.com", anonymous_id="phone-1", trust="client")
    assert len(shop.profiles()) == 2
    shop.event("Identify", external_id="c-1", email="ann@example.com", anonymous_id="laptop-1")
    (ann,) = shop.profiles().values()
    assert ann.events == 4
    assert sorted(ann.identifiers["anonymous_id"]) == ["laptop-1", "phone-1"]


def test_orders_on_two_devices_make_one_regular_who_is_thanked_once() -> None:
    shop = Shop(LOOKING)
    shop.event("Subscribed", email="ann@example.com", properties={"channel": "email"})
    shop.event("Placed Order", email="ann@example.com", value=10)
    shop.event("Placed Order", phone="+493012345678", value=20)
    assert shop.changes() == []
    shop.event("Identify", email="ann@example.com", phone="+493012345678")
    (ann,) = shop.profiles().values()
    assert (ann.figures.orders, ann.figures.revenue) == (2, 30_000_000)
    assert shop.changes() == [("entered", "regulars")]
    assert shop.sends() == [("thanks", "sent", None)]


def test_a_family_shares_a_browser_and_stays_two_people() -> None:
    shop = Shop(LOOKING)
    shop.event("Viewed Product", anonymous_id="b-1", trust="client")
    shop.event("Placed Order", email="ann@example.com", anonymous_id="b-1", value=10)
    shop.event("Placed Order", email="bob@example.com", anonymous_id="b-1", value=20)
    shop.event("Viewed Product", anonymous_id="b-1", trust="client")
    ann, bob = shop.who("email", "ann@example.com"), shop.who("email", "bob@example.com")
    assert (ann.events, bob.events) == (2, 2), "what was before is hers, what comes after is his"
    shop.event("Identify", email="ann@example.com", anonymous_id="b-1")
    assert shop.who("anonymous_id", "b-1").id == ann.id, "who was here last"
    assert shop.told("identity-conflicts") == []


def test_two_accounts_with_one_email_address_stay_two() -> None:
    shop = Shop()
    shop.event("Identify", external_id="c-1", email="family@example.com")
    shop.event("Identify", external_id="c-2", email="family@example.com")
    assert len(shop.profiles()) == 2
    (conflict,) = shop.told("identity-conflicts")
    assert conflict["reason"] == "two-external-ids"
    assert conflict["external_ids"] == ["c-1", "c-2"]
    assert conflict["because"] == ["email", "family@example.com"]


def test_a_guest_checkout_belongs_to_the_account_that_is_made_later() -> None:
    shop = Shop(LOOKING)
    shop.event("Placed Order", email="ann@example.com", value=10)
    shop.event("Identify", external_id="c-1", email="ann@example.com", traits={"city": "Rome"})
    (ann,) = shop.profiles().values()
    assert ann.figures.orders == 1
    assert list(ann.identifiers["external_id"]) == ["c-1"]
    assert shop.who("email", "ann@example.com").id == ann.id


def test_which_device_was_ordered_with_does_not_depend_on_when_it_became_known() -> None:
    order, known = {"device_id": "d-1", "anonymous_id": "b-1"}, {"email": "ann@example.com"}
    for orders_first in (True, False):
        shop = Shop()
        if orders_first:
            shop.event("Placed Order", **order, value=1)
            shop.event("Viewed Product", **known, anonymous_id="b-1")
        else:
            shop.event("Viewed Product", **known, anonymous_id="b-1")
            shop.event("Placed Order", **order, value=1)
        ann = shop.who("email", "ann@example.com")
        assert ann.ordered_with == {}
        shop.event("Placed Order", **known, device_id="d-1", value=2)
        assert shop.who("email", "ann@example.com").ordered_with["device_id"][1] == "d-1"


def test_an_alias_retires_the_previous_external_id() -> None:
    shop = Shop()
    shop.event("Placed Order", external_id="c-1", value=10)
    shop.event("Placed Order", external_id="c-2", value=10)
    shop.event("Alias", external_id="c-2", properties={"previous": {"external_id": "c-1"}})
    (one,) = shop.profiles().values()
    assert list(one.identifiers["external_id"]) == ["c-2"]
    assert one.retired == ["c-1"]
    shop.event("Placed Order", external_id="c-1", value=10)
    assert shop.who("external_id", "c-2").figures.orders == 3


def test_a_chain_of_aliases_and_an_alias_to_itself() -> None:
    shop = Shop()
    for number in range(1, 61):
        previous = {"external_id": f"c-{number - 1}"}
        shop.event("Alias", external_id=f"c-{number}", properties={"previous": previous})
    shop.event("Alias", external_id="c-60", properties={"previous": {"external_id": "c-60"}})
    shop.event("Placed Order", external_id="c-0", value=10)
    (one,) = shop.profiles().values()
    assert list(one.identifiers["external_id"]) == ["c-60"]
    assert len(one.retired) == 50
    assert one.figures.orders == 1


def test_an_alias_that_an_anonymous_id_had_before() -> None:
    shop = Shop()
    shop.event("Viewed Product", anonymous_id="a-9", trust="client")
    previous = {"external_id": "a-9", "anonymous_id": "a-9"}
    shop.event("Alias", external_id="c-1", properties={"previous": previous})
    (one,) = shop.profiles().values()
    assert one.events == 2
    assert list(one.identifiers["external_id"]) == ["c-1"]


def test_stop_at_a_shared_phone_reaches_everybody_who_holds_it() -> None:
    shop = Shop()
    shop.event(
        "Subscribed", external_id="c-1", phone="+493012345678", properties={"channel": "sms"}
    )
    shop.event(
        "Subscribed", external_id="c-2", phone="+493012345678", properties={"channel": "sms"}
    )
    shop.event("Received SMS Reply", phone="+493012345678", properties={"body": "STOP"})
    rows = list(shop.profiles().values())
    assert len(rows) == 2
    assert all(row.consent["sms"]["+493012345678"].denied_received_at for row in rows)


def test_stop_holds_after_a_merge_whoever_had_granted() -> None:
    shop = Shop(LOOKING)
    shop.event("Subscribed", email="ann@example.com", properties={"channel": "email"})
    shop.event("Started Checkout", email="ann@example.com")
    shop.event("Unsubscribed", external_id="c-1", email="ann@example.com", properties={})
    shop.wait(180 * MINUTE)
    assert shop.sends() == [("cart-1", "dropped", "no-consent")]


def test_a_merge_dodges_neither_smart_sending_nor_starts_a_run_twice() -> None:
    shop = Shop(LOOKING)
    for email in ("ann@example.com", "ann@work.example"):
        shop.event("Subscribed", email=email, properties={"channel": "email"})
        shop.event("Started Checkout", email=email)
    shop.event("Identify", external_id="c-1", email="ann@example.com")
    shop.event("Identify", external_id="c-1", email="ann@work.example")
    shop.wait(180 * MINUTE)
    assert len(shop.profiles()) == 1
    assert shop.sends() == [("cart-1", "sent", None), ("cart-1", "dropped", "smart-sending")]


GOAL = LOOKING.replace("steps:", "goal: {did: Placed Order}\nsteps:", 1)


def test_an_order_of_the_other_before_they_became_one_is_the_goal_of_the_cart() -> None:
    shop = Shop(GOAL)
    shop.event("Started Checkout", anonymous_id="b-1")
    shop.event("Subscribed", email="ann@example.com", properties={"channel": "email"})
    shop.event("Placed Order", email="ann@example.com", value=30)
    shop.event("Identify", email="ann@example.com", anonymous_id="b-1")
    assert len(shop.profiles()) == 1
    shop.wait(180 * MINUTE)
    assert shop.sends() == [("cart", "skipped", "goal-reached")]


BIRTHDAY = """
store: main
address: Somewhere 1
---
flow: birthday
trigger: {date: birthday, at: "10:00", every: year}
steps:
  - split:
      where: {trait: vip, is: true}
      then: [{send: early, channel: email, template: t, smart_sending: false}]
      else: [{send: late, channel: email, template: t, smart_sending: false, window: NOON}]
""".replace("NOON", "{from: '12:00', until: '13:00'}")


def born_today_twice(*vip: str) -> Shop:
    """Two profiles of one person, a quarter of an hour before ten."""
    shop = Shop(BIRTHDAY)
    for email in ("ann@example.com", "ann@work.example"):
        shop.event("Subscribed", email=email, properties={"channel": "email"})
        traits = {"birthday": "1990-03-20", "vip": email in vip}
        shop.event("Identify", email=email, traits=traits)
    return shop


def merge_and_wait(shop: Shop) -> None:
    for email in ("ann@example.com", "ann@work.example"):
        shop.event("Identify", external_id="c-1", email=email)
    shop.wait(180 * MINUTE)


def test_of_two_sends_that_are_held_in_the_same_run_one_is_dropped_when_they_merge() -> None:
    shop = born_today_twice()
    shop.wait(30 * MINUTE)
    merge_and_wait(shop)
    assert shop.sends() == [
        ("late", "held", "send-window"),
        ("late", "held", "send-window"),
        ("late", "dropped", "same-run"),
        ("late", "sent", None),
    ]
    assert len(shop.profiles()) == 1


@pytest.mark.parametrize("vip", ["ann@example.com", "ann@work.example"])
def test_what_is_held_is_dropped_when_they_merge_where_the_same_run_has_sent(vip: str) -> None:
    shop = born_today_twice(vip)
    shop.wait(30 * MINUTE)
    merge_and_wait(shop)
    assert sorted(shop.sends()) == [
        ("early", "sent", None),
        ("late", "dropped", "same-run"),
        ("late", "held", "send-window"),
    ]
    (row,) = shop.profiles().values()
    assert row.flows["birthday"].ended_at is not None


@pytest.mark.parametrize("erased", ["ann@example.com", "ann@work.example"])
def test_who_becomes_one_with_somebody_erased_leaves_all_flows_and_it_is_said(erased: str) -> None:
    shop = born_today_twice()
    shop.wait(30 * MINUTE)
    shop.event("Profile Erased", email=erased)
    ended = [("late", "dropped", "profile-erased"), ("birthday", "skipped", "profile-erased")]
    assert shop.sends()[2:] == ended
    merge_and_wait(shop)
    assert shop.sends()[4:] == ended


def test_a_flow_writes_to_the_address_of_the_event_that_started_it() -> None:
    shop = Shop(LOOKING)
    for email in ("ann@example.com", "ann@work.example"):
        properties = {"channel": "email"}
        shop.event("Subscribed", external_id="c-1", email=email, properties=properties)
    shop.event("Started Checkout", external_id="c-1", email="ann@example.com")
    shop.wait(180 * MINUTE)
    assert [one["address"] for one in shop.told("send-commands")] == ["ann@example.com"]


def test_a_click_in_a_message_makes_the_browser_known() -> None:
    shop = Shop(LOOKING)
    shop.event("Viewed Product", anonymous_id="b-1", trust="client")
    shop.event("Subscribed", external_id="c-1", email="a@b.de", properties={"channel": "email"})
    shop.event("Started Checkout", external_id="c-1", email="a@b.de")
    shop.wait(180 * MINUTE)
    (command,) = shop.told("send-commands")
    answered = {"send_id": command["id"], "profile_id": command["profile_id"]}
    shop.event("Clicked Email", anonymous_id="b-1", properties=answered)
    assert shop.who("anonymous_id", "b-1").id == command["profile_id"]
    (ann,) = shop.profiles().values()
    assert ann.events == 4


def test_an_answer_to_a_send_that_was_never_made_goes_to_whom_it_names() -> None:
    shop = Shop()
    ann = shop.event("Identify", external_id="c-1") and shop.who("external_id", "c-1")
    for profile_id in (ann.id, "i0" + "0" * 24, "position/0"):
        said = {"send_id": "s-none", "profile_id": profile_id}
        shop.event("Opened Email", email="bob@example.com", properties=said)
    assert shop.who("email", "bob@example.com").events == 3
    assert shop.who("external_id", "c-1").events == 1


ATTACKS: dict[str, dict[str, Any]] = {
    "identify": {"metric": "Identify", "external_id": "c-evil", "email": "ann@example.com"},
    "alias": {
        "metric": "Alias",
        "external_id": "c-evil",
        "properties": {"previous": {"external_id": "c-1", "email": "ann@example.com"}},
    },
    "cart token": {"metric": "Added to Cart", "external_id": "c-evil", "cart_token": "t-ann"},
    "form": {"metric": "Subscribed", "phone": "+493012345678", "anonymous_id": "b-ann"},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_client_joins_no_two_people(attack: str) -> None:
    shop = Shop()
    shop.event("Identify", external_id="c-1", email="ann@example.com", phone="+4915112345678")
    shop.event("Identify", external_id="c-1", cart_token="t-ann", anonymous_id="b-ann")
    ann = shop.who("external_id", "c-1")
    for _ in range(2):
        shop.event(**ATTACKS[attack], trust="client")
        shop.event("Viewed Product", external_id="c-evil")
    assert shop.who("external_id", "c-1").id == ann.id
    assert shop.who("external_id", "c-1").events == ann.events
    assert shop.who("email", "ann@example.com").id == ann.id
    assert "email" not in shop.who("external_id", "c-evil").identifiers
    assert shop.told("identity-merges") == []


def test_a_device_of_too_many_people_links_nobody_and_is_reported_once() -> None:
    shop = Shop("store: main\nidentifiers: {named_per_weak_max: 3}")
    for number in range(8):
        shop.event("Identify", external_id=f"c-{number}", device_id="kiosk")
    shop.event("Viewed Product", device_id="kiosk")
    (conflict,) = shop.told("identity-conflicts")
    assert (conflict["reason"], conflict["because"]) == (
        "shared-by-too-many",
        ["device_id", "kiosk"],
    )
    assert len(conflict["profiles"]) == 4
    assert len(shop.profiles()) == 9, "whoever stands there is nobody we know"


ROW_BYTES_MAX = 64_000


def test_a_cart_that_every_browser_has_makes_one_nameless_profile_with_a_bounded_row() -> None:
    shop = Shop()
    for number in range(600):
        profile = {"anonymous_id": f"b-{number}", "cart_token": "everybody's"}
        shop.event("Added to Cart", **profile, trust="client", rounds=1)
    shop.wait(MINUTE, 60)
    (all_of_them,) = shop.profiles().values()
    assert all_of_them.events == 600
    assert "identifiers" in all_of_them.coarsened
    assert max(len(row) for _, _, row in shop.path.rows("profile")) < ROW_BYTES_MAX


def test_two_stores_share_nothing() -> None:
    shop = Shop()
    for store in ("main", "other"):
        shop.event("Identify", external_id="c-1", email="ann@example.com", store=store)
        shop.event("Viewed Product", email="ann@example.com", store=store)
    one, other = shop.profiles().values()
    assert {one.store, other.store} == {"main", "other"}
    assert (one.events, other.events) == (2, 2)


def chain_of_aliases(shop: Shop, length: int, *, rounds: int) -> None:
    """Each new name says which one it takes the place of, so many rounds after the one before."""
    for number in range(length):
        previous = {"external_id": f"c-{number - 1}"} if number else {}
        said = {"properties": {"previous": previous}}
        shop.event("Alias", external_id=f"c-{number}", rounds=rounds, **said)
    shop.wait(MINUTE, 200)


@pytest.mark.prove
def test_a_chain_of_a_thousand_aliases_ends_in_one_person_with_the_newest_name() -> None:
    shop = Shop()
    chain_of_aliases(shop, 1000, rounds=8)
    (one,) = shop.profiles().values()
    assert (one.events, list(one.identifiers["external_id"])) == (1000, ["c-999"])
    assert shop.told("identity-conflicts") == []
    shop.event("Placed Order", external_id="c-3", value=1)
    assert shop.who("external_id", "c-999").events == 1001, "an old name leads to who has it now"


def test_aliases_that_come_faster_than_merges_lose_nothing_and_say_where_people_stay_apart() -> (
    None
):
    """A profile remembers 50 retired names. With more than that on their way at once, some profiles
    stay apart: as a conflict, never with two names in one.
    """
    shop = Shop()
    chain_of_aliases(shop, 200, rounds=1)
    people = shop.profiles().values()
    assert sum(row.events for row in people) == 200
    for row in people:
        assert len(row.identifiers["external_id"]) == 1
        assert not row.to_join
        assert row.proposal is None
    reasons = {one["reason"] for one in shop.told("identity-conflicts")}
    assert (len(people) > 1) == (reasons == {"two-external-ids"})


@pytest.mark.parametrize(
    "value",
    ["x" * 10_000, "\x00\x01\x02", "\u200b\u200b", "a\x07b"],
    ids=["10 kB", "control", "invisible", "bell"],
)
def test_an_identifier_that_is_none_leaves_the_event_to_those_that_are(value: str) -> None:
    shop = Shop()
    shop.event("Viewed Product", external_id=value, email="ann@example.com")
    (ann,) = shop.profiles().values()
    assert set(ann.identifiers) == {"email"}


def test_letters_of_another_script_are_another_name() -> None:
    """A Cyrillic a is no Latin one: nobody becomes somebody else by looking like them."""
    shop = Shop(LOOKING)
    shop.event("Placed Order", external_id="anna", value=1)
    shop.event("Placed Order", external_id="\u0430nna", value=1)
    assert len(shop.profiles()) == 2
