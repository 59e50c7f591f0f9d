"""A person is erased: nothing is left of them, and whoever comes again is somebody new."""

from typing import Any

import msgspec
import pytest

from schemas.values import Identifier
from streams.identity.erasure import veiled
from streams.identity.keys import key_of
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.control import erasure
from tests.scenarios.shop import MINUTE, Shop

IDS = Ids(REPLAY_SECRET)
ANN = "ann@example.com"
MERGED_AFTER = 2
"""Rounds after which a merge has been proposed: then both are erased, whichever was named."""

DEFINITIONS = """
store: main
address: Somewhere 1
---
segment: buyers
where: {did: Placed Order}
---
flow: thanks
trigger: {did: Placed Order}
steps:
  - {send: thanks, channel: email, template: t}
"""


def erase(shop: Shop, kind: str, value: str, *, store: str = "main", wait: int = MINUTE) -> str:
    """Ask for it as the command does. Returns: the request."""
    shop.count += 1
    request = f"request-{shop.count}"
    signed, headers = erasure(store, (kind, value), request, REPLAY_SECRET)
    shop.path.append(shop.count % 2, signed, shop.now, headers=headers)
    if wait:
        shop.wait(wait)
    return request


def answers(shop: Shop) -> list[tuple[str, str]]:
    return [(one["request"], one["outcome"]) for one in shop.told("identity-erasures")]


def everything_kept(shop: Shop) -> bytes:
    """All rows of identity and profile, with their keys."""
    return b"".join(
        key + blob
        for stage in ("identity", "profile")
        for _, key, blob in shop.path.rows(stage)  # type: ignore[arg-type]
    )


def regular(shop: Shop) -> str:
    """Ann, known by everything, who orders twice. Returns: her profile id."""
    shop.event("Subscribed", email=ANN, properties={"channel": "email"})
    shop.event("Viewed Product", anonymous_id="browser-1", trust="client")
    order: dict[str, Any] = {"external_id": "c-17", "email": ANN, "phone": "+493012345678"}
    shop.event("Placed Order", **order, anonymous_id="browser-1", value=30, traits={"city": "Rome"})
    return shop.who("email", ANN).id


def test_nothing_names_an_erased_person_any_more_whichever_identifier_was_said() -> None:
    said: list[Identifier] = [
        ("external_id", "c-17"),
        ("email", ANN),
        ("phone", "+493012345678"),
        ("anonymous_id", "browser-1"),
    ]
    for kind, value in said:
        shop = Shop(DEFINITIONS)
        ann = regular(shop)
        request = erase(shop, kind, value)
        assert answers(shop) == [(request, "erased")]
        (told,) = shop.told("identity-erasures")
        merged = {one["loser"] for one in shop.told("identity-merges")}
        assert merged
        assert {*told["profile_ids"]} == {ann, *merged}
        kept = everything_kept(shop)
        assert shop.profiles() == {}
        for _, name in said:
            assert name.encode() not in kept
        assert b"Rome" not in kept


def test_the_same_address_again_is_a_new_and_empty_person() -> None:
    shop = Shop(DEFINITIONS)
    ann = regular(shop)
    erase(shop, "email", ANN)
    shop.event("Viewed Product", email=ANN)
    again = shop.who("email", ANN)
    assert again.id != ann
    assert (again.events, again.traits, again.figures.orders) == (1, {}, 0)
    assert set(again.identifiers) == {"email"}
    shop.event("Identify", external_id="c-17", email=ANN, anonymous_id="browser-1")
    (whole,) = shop.profiles().values()
    assert (whole.events, whole.figures.orders) == (2, 0)
    assert set(whole.identifiers) == {"external_id", "email", "anonymous_id"}


def test_a_second_erasure_erases_the_second_person_and_so_on() -> None:
    shop = Shop(DEFINITIONS)
    ids = set()
    for _ in range(4):
        shop.event("Placed Order", email=ANN, value=1)
        ids.add(shop.who("email", ANN).id)
        erase(shop, "email", ANN)
    assert len(ids) == 4
    assert shop.profiles() == {}


def test_a_denied_address_stays_denied_and_only_its_owner_lifts_that() -> None:
    shop = Shop(DEFINITIONS)
    shop.event("Subscribed", email=ANN, properties={"channel": "email"})
    shop.event("Unsubscribed", email=ANN, properties={"channel": "email"})
    erase(shop, "email", ANN)
    hashed = key_of("main", veiled("main", ("email", ANN), IDS)).encode()
    consent = topic(shop)
    assert consent[key_of("main", ("email", ANN)).encode()] is None
    assert ANN.encode() not in b"".join(filter(None, consent.values()))
    assert msgspec.json.decode(consent[hashed] or b"")["channels"] == {"email": "denied"}
    shop.event("Subscribed", email=ANN, trust="client", properties={"channel": "email"})
    (again,) = shop.profiles().values()
    assert not again.consent["email"][ANN].granted_occurred_at, "a client does not lift a denial"
    assert again.consent["email"][ANN].denied_occurred_at
    consent = topic(shop)
    assert consent[hashed] is None
    assert msgspec.json.decode(consent[b"main/email/" + ANN.encode()] or b"")["channels"] == {
        "email": "denied"
    }
    shop.event("Subscribed", email=ANN, properties={"channel": "email"})
    assert shop.who("email", ANN).consent["email"][ANN].granted_occurred_at


def topic(shop: Shop) -> dict[bytes, bytes | None]:
    """What the compacted topic `consent` has in the end."""
    return {
        write.key: write.value
        for write in shop.written
        if write.topic == "consent" and not write.key.startswith(b"clock/")
    }


def test_an_address_that_was_suppressed_stays_so_and_how_it_was_granted_is_forgotten() -> None:
    shop = Shop(DEFINITIONS)
    shop.event("Subscribed", email=ANN, properties={"channel": "email", "method": "checkout"})
    shop.event("Suppressed", email=ANN, properties={"channel": "email", "reason": "manual"})
    erase(shop, "email", ANN)
    assert b"checkout" not in everything_kept(shop)
    shop.event("Viewed Product", email=ANN)
    state = shop.who("email", ANN).consent["email"][ANN]
    assert (state.suppressed, state.granted_occurred_at) == (("manual",), 0)


def test_what_the_person_did_before_is_erased_and_what_comes_after_is_of_somebody_new() -> None:
    """Events that follow the erasure closely still find the old profile, and are resolved anew."""
    shop = Shop(DEFINITIONS)
    ann = regular(shop)
    erase(shop, "external_id", "c-17", wait=0)
    shop.now += 10
    shop.event("Viewed Product", email=ANN)
    (again,) = shop.profiles().values()
    assert again.id != ann
    assert again.events == 1
    assert [one["event_id"] for one in shop.told("timeline") if one["profile_id"] == again.id] == [
        f"e{shop.count}"
    ]


def test_erasing_somebody_unknown_says_so_and_leaves_no_trace() -> None:
    shop = Shop(DEFINITIONS)
    regular(shop)
    before = everything_kept(shop)
    request = erase(shop, "email", "nobody@example.com")
    other = erase(shop, "email", ANN, store="other")
    assert answers(shop) == [(request, "unknown"), (other, "unknown")]
    assert shop.told("identity-erasures")[0]["profile_ids"] == []
    assert everything_kept(shop) == before, "stores share nothing"


def test_a_repeated_erasure_says_that_nobody_is_there() -> None:
    shop = Shop(DEFINITIONS)
    regular(shop)
    requests = [erase(shop, "email", ANN), erase(shop, "email", ANN)]
    assert answers(shop) == [(requests[0], "erased"), (requests[1], "unknown")]


@pytest.mark.parametrize("rounds", range(1, 9))
@pytest.mark.parametrize("kind", ["external_id", "email", "phone"])
def test_who_is_being_merged_is_erased_with_the_other(kind: str, rounds: int) -> None:
    """One event links three; the erasure comes at any moment of their becoming one."""
    linked = {"external_id": "c-17", "email": ANN, "phone": "+493012345678"}
    shop = Shop(DEFINITIONS)
    for name, value in linked.items():
        shop.event("Placed Order", **{name: value}, value=1)
    assert len(shop.profiles()) == 3
    shop.event("Identify", **linked, rounds=rounds)
    erase(shop, kind, linked[kind])
    assert "erased" in {outcome for _, outcome in answers(shop)}
    still = shop.profiles()
    for row in still.values():
        assert row.erasing is None
        assert linked[kind] not in row.identifiers.get(kind, {}), "whoever was meant is gone"
    if rounds >= MERGED_AFTER:
        assert still == {}
        kept = everything_kept(shop)
        assert not [name for name in linked.values() if name.encode() in kept]


def test_an_address_that_two_accounts_hold_stays_with_the_other() -> None:
    shop = Shop(DEFINITIONS)
    shop.event("Subscribed", external_id="c-1", email=ANN, properties={"channel": "email"})
    shop.event("Placed Order", external_id="c-2", email=ANN, value=5)
    assert len(shop.profiles()) == 2
    erase(shop, "external_id", "c-1")
    (other,) = shop.profiles().values()
    assert set(other.identifiers["external_id"]) == {"c-2"}
    assert shop.who("email", ANN).id == other.id, "the address is the other's now"
    assert other.consent["email"][ANN].granted_occurred_at


def test_a_device_that_somebody_else_uses_too_is_theirs() -> None:
    shop = Shop(DEFINITIONS)
    shop.event("Placed Order", email="bob@example.com", anonymous_id="family", value=5)
    shop.event("Placed Order", email=ANN, anonymous_id="family", value=5)
    erase(shop, "email", ANN)
    bob = shop.who("email", "bob@example.com")
    assert bob.events == 1
    shop.event("Viewed Product", anonymous_id="family")
    assert bob.events == 1
    assert len(shop.profiles()) == 2, "what the device does alone is of nobody until it is linked"


def test_an_erasure_that_nobody_signed_is_rejected() -> None:
    shop = Shop(DEFINITIONS)
    ann = regular(shop)
    value, headers = erasure("main", ("email", ANN), "r", b"another secret than ours is")
    shop.path.append(0, value, shop.now, headers=headers)
    shop.wait(MINUTE)
    assert shop.who("email", ANN).id == ann
