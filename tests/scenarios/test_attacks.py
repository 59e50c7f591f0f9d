"""What a browser can do to identity: anybody can type anybody's e-mail address, on every way in."""

import itertools
from typing import Any

import pytest

from schemas.rows import ProfileRow
from tests.scenarios.shop import Shop

DEFINITIONS = """
store: main
address: Somewhere 1
---
flow: receipt
trigger: {did: Placed Order}
steps:
  - {send: push, channel: push, template: t, transactional: true}
---
flow: news
trigger: {did: Viewed Page}
steps:
  - {send: mail, channel: email, template: t, transactional: true}
"""
VICTIM = {"external_id": "c-1", "email": "victim@example.com", "phone": "+493012345678"}
EVIL = {"external_id": "c-666", "email": "evil@example.com", "phone": "+493066666666"}

WAYS_IN: dict[str, dict[str, Any]] = {
    "identify": {"metric": "Identify"},
    "alias": {"metric": "Alias", "properties": {"previous": VICTIM}},
    "cart token": {"metric": "Added to Cart", "cart_token": "cart-1"},
    "form": {"metric": "Subscribed", "properties": {"channel": "email"}},
    "device": {"metric": "Viewed Product", "device_id": "d-1", "anonymous_id": "b-1"},
}


def strong(row: ProfileRow) -> dict[str, list[str]]:
    kinds = ("external_id", "email", "phone")
    return {kind: [*row.identifiers[kind]] for kind in kinds if row.identifiers.get(kind)}


@pytest.mark.parametrize("way", WAYS_IN)
def test_a_client_never_joins_strong_identifiers(way: str) -> None:
    """It names two people in one event, in every mixture, before and after; then each alone, with
    the same browser and cart.
    """
    shop = Shop(DEFINITIONS)
    shop.event("Placed Order", **VICTIM, value=1)
    shop.event("Placed Order", **EVIL, value=1)
    said = dict(WAYS_IN[way])
    metric = said.pop("metric")
    for mine, theirs in itertools.permutations(EVIL, 2):
        both = {mine: EVIL[mine], theirs: VICTIM[theirs]}
        shop.event(metric, **both, **said, trust="client")
    for who in (EVIL, VICTIM):
        for kind, value in who.items():
            shop.event(metric, **{kind: value}, **said, trust="client")
    assert shop.told("identity-merges") == []
    people = sorted(map(str, (strong(row) for row in shop.profiles().values())))
    assert people == sorted(str({k: [v] for k, v in who.items()}) for who in (VICTIM, EVIL))


def test_a_client_cannot_join_two_that_it_has_invented_either() -> None:
    shop = Shop(DEFINITIONS)
    shop.event("Identify", email="a@example.com", phone="+493012345678", trust="client")
    shop.event("Identify", email="a@example.com", trust="client")
    shop.event("Identify", phone="+493012345678", trust="client")
    assert [strong(row) for row in shop.profiles().values()] == [
        {"email": ["a@example.com"]},
        {"phone": ["+493012345678"]},
    ]


def pushed_to(shop: Shop) -> set[str]:
    return {one["address"] for one in shop.told("send-commands") if one.get("channel") == "push"}


@pytest.mark.parametrize("by_server", [False, True])
def test_a_device_that_a_client_points_at_a_victim_gets_nothing_of_the_victims(
    *, by_server: bool
) -> None:
    """Nameless with its device first (said even by the store's server, for a guest's app), then a
    client's event says that its browser, or the device itself, is the victim's.
    """
    trust = "server" if by_server else "client"
    for shared in ({"anonymous_id": "b-1"}, {"device_id": "evil-device"}):
        shop = Shop(DEFINITIONS)
        shop.event("Opened App", device_id="evil-device", trust=trust)
        shop.event("Opened App", device_id="evil-device", anonymous_id="b-1", trust=trust)
        shop.event("Identify", **VICTIM)
        shop.event("Identify", email=VICTIM["email"], **shared, trust="client")
        shop.event("Opened App", device_id="evil-device", trust=trust)
        shop.event("Placed Order", external_id="c-1", value=3)
        assert pushed_to(shop) == set()


def test_a_device_that_the_store_names_with_the_person_is_theirs() -> None:
    shop = Shop(DEFINITIONS)
    shop.event("Opened App", device_id="anns", trust="client")
    shop.event("Identify", external_id="c-1", device_id="anns")
    shop.event("Placed Order", external_id="c-1", value=3)
    assert pushed_to(shop) == {"anns"}


def test_two_stores_with_the_same_people_share_nothing() -> None:
    shop = Shop(DEFINITIONS)
    for store in ("main", "other"):
        shop.event("Placed Order", **VICTIM, anonymous_id="b-1", store=store, value=1)
        shop.event("Unsubscribed", email=VICTIM["email"], store=store)
    ids = {store: shop.who("email", VICTIM["email"], store).id for store in ("main", "other")}
    assert ids["main"] != ids["other"]
    for store, profile_id in ids.items():
        row = shop.profiles()[profile_id]
        assert (row.store, row.events, row.figures.orders) == (store, 2, 1)
    shop.event("Identify", email=VICTIM["email"], phone="+493066666666", store="other")
    assert strong(shop.profiles()[ids["main"]]) == {k: [v] for k, v in VICTIM.items()}
    assert shop.told("identity-merges") == []


def test_nothing_is_sent_to_an_address_that_more_than_ten_profiles_hold() -> None:
    """Also not what is owed, also not by the eleventh; until the store says otherwise."""
    shop = Shop(DEFINITIONS)
    shared = "info@example.com"
    for number in range(12):
        shop.event("Identify", external_id=f"c-{number}", email=shared)
    sent = len(shop.told("send-commands"))
    for number in range(12):
        shop.event("Viewed Page", external_id=f"c-{number}")
    assert len(shop.told("send-commands")) == sent
    assert {(what, reason) for what, _, reason in shop.sends()} == {("mail", "suppressed")}
    because = [
        one["because"]
        for one in shop.told("identity-conflicts")
        if one["reason"] == "shared-by-too-many"
    ]
    assert because == [["email", shared]], "reported once"
    stated = [one for one in shop.told("consent") if one["address"] == shared][-1]
    assert stated["suppressed"] == {"email": ["shared-by-too-many"]}


def test_a_clients_trait_of_an_earlier_date_takes_nothing_from_the_servers() -> None:
    """Both orders of arrival, both ways of saying it."""
    for first, second in (("server", "client"), ("client", "server")):
        for name in ("traits", "traits_once"):
            shop = Shop(DEFINITIONS)
            for trust in (first, second):
                time = "2020-01-01T00:00:00Z" if trust == "client" else "2026-03-01T00:00:00Z"
                said: dict[str, Any] = {name: {"source": trust}}
                shop.event("Identify", external_id="c-1", trust=trust, time=time, **said)
            trait = shop.who("external_id", "c-1").traits["source"]
            assert trait.value == "server", (first, name)


@pytest.mark.parametrize(("trust", "joined"), [("client", False), ("server", True)])
def test_a_click_makes_a_browser_known_only_where_the_provider_says_so(
    trust: str, *, joined: bool
) -> None:
    shop = Shop(DEFINITIONS)
    shop.event("Placed Order", **VICTIM, value=1)
    shop.event("Viewed Page", **VICTIM)
    (sent,) = (one for one in shop.told("send-commands") if "id" in one)
    named = {"send_id": sent["id"], "profile_id": sent["profile_id"]}
    shop.event("Clicked Email", anonymous_id="b-1", trust=trust, properties=named)
    shop.event("Viewed Page", anonymous_id="b-1")
    victim = shop.who("external_id", "c-1")
    assert (shop.who("anonymous_id", "b-1").id == victim.id) == joined
