"""Why a send was made or not, asked of the timeline of a shop that went through the real path."""

from collections.abc import Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from agents.migrations import migrate
from agents.reports.explanations import Explanation, Teller, explain_flow, explain_send
from schemas.records import DefinitionsPublished
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import HOUR
from tests.agents.kept import keep
from tests.scenarios.play import documents_of
from tests.scenarios.shop import Shop

ANN = {"external_id": "17", "email": "ann@example.com"}
CARTS = """
store: main
address: "Beispielgasse 1, 10115 Berlin"
---
flow: cart
trigger: {did: Started Checkout, where: {value: "> 0"}}
filter: {none: [{did: Placed Order, since: flow_start}]}
re_entry: {after: 7d}
steps:
  - wait: 4h
  - {send: cart-1, channel: email, template: reminder}
  - wait_for: {did: Clicked Email}
    at_most: 24h
    met: [{exit: clicked}]
  - split:
      where: {did: Placed Order, times: ">= 1"}
      then: []
      else: [{send: cart-2, channel: email, template: last}]
"""


@pytest.fixture
def client() -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


def teller(client: Client, definitions: str = CARTS) -> Teller:
    published = DefinitionsPublished("main", "1", "ann", documents_of(definitions))
    return Teller(client, published, Ids(REPLAY_SECRET))


def told(explanation: Explanation | None) -> list[str]:
    assert explanation is not None
    return [f"{link.kind} {link.words}" for link in explanation.links]


def a_cart_without_reaction() -> Shop:
    shop = Shop(CARTS)
    shop.event("Subscribed", properties={"channel": "email"}, **ANN)
    shop.event("Started Checkout", value="80", currency="EUR", **ANN)
    shop.wait(30 * HOUR)
    return shop


def send_of(shop: Shop, message: str) -> str:
    (found,) = (one for one in shop.told("send-decisions") if one["message"] == message)
    return str(found["send_id"])


def test_a_send_is_told_from_its_event_through_waits_and_splits_to_what_came_of_it(
    client: Client,
) -> None:
    shop = a_cart_without_reaction()
    second = send_of(shop, "cart-2")
    shop.event("Opened Email", properties={"send_id": second}, email=ANN["email"])
    keep(client, shop)
    explained = explain_send(client, second, teller(client))
    assert explained is not None
    assert explained.told_again == "agrees"
    until = [link.words.removeprefix("until ") for link in explained.links if link.kind == "waits"]
    command = next(one for one in shop.told("send-commands") if one["id"] == second)
    assert told(explained) == [
        "event Started Checkout e2",
        "entered enters cart, because: did Started Checkout",
        "step wait 4h",
        f"waits until {until[0]}",
        "sent email cart-1: no gate objects",
        "step wait for Clicked Email; 1d at most",
        f"waits until {until[1]}",
        "branch not within 1d",
        "step did Placed Order?",
        "branch no",
        "sent email cart-2: no gate objects",
        f"commanded email, template last, attempt 0, to go out before {command['valid_until']}",
        "outcome Opened Email e3",
    ]
    entered = explained.links[1]
    assert [leaf["leaf"] for leaf in entered.evidence] == ["did Placed Order since flow_start"]
    assert [leaf["holds"] for leaf in explained.links[8].evidence] == [False]
    assert explained.command is not None
    assert explained.command["template"] == "last"


def test_a_send_that_was_not_made_is_told_with_what_objected(client: Client) -> None:
    shop = Shop(CARTS)
    shop.event("Started Checkout", value="80", currency="EUR", **ANN)
    shop.event("Placed Order", **ANN)
    shop.wait(5 * HOUR)
    keep(client, shop)
    explained = explain_send(client, send_of(shop, "cart-1"), teller(client))
    assert explained is not None
    assert explained.command is None
    dropped = explained.links[-1]
    assert dropped.kind == "dropped"
    assert dropped.reasons == ("no-consent", "flow-filter")
    assert dropped.words == (
        "email cart-1: no-consent: the address has not consented to marketing on this channel; "
        "flow-filter: the flow's filter does not hold"
    )
    assert [leaf["leaf"] for leaf in dropped.evidence] == [
        "did Placed Order since flow_start",
        "no-consent",
    ]


def test_all_of_a_flow_is_told_entries_that_were_refused_too(client: Client) -> None:
    shop = a_cart_without_reaction()
    shop.event("Started Checkout", value="20", currency="EUR", **ANN)
    keep(client, shop)
    (profile_id,) = shop.profiles()
    run, refusal = explain_flow(client, "main", profile_id, "cart", teller(client))
    assert run.links[-1].words == "the run is over" or run.links[-1].kind == "commanded"
    assert [link.kind for link in run.links].count("sent") == 2
    assert refusal.told_again == "refused"
    assert told(refusal) == [
        "event Started Checkout e3",
        "refused cart: re-entry: the flow's re_entry does not allow it yet",
    ]
    assert explain_flow(client, "main", profile_id, "other", teller(client)) == []


def test_an_event_that_starts_nothing_is_told_with_the_filter_it_fails(client: Client) -> None:
    shop = Shop(CARTS)
    shop.event("Started Checkout", value="0", currency="EUR", **ANN)
    keep(client, shop)
    (profile_id,) = shop.profiles()
    (found,) = explain_flow(client, "main", profile_id, "cart", teller(client))
    assert found.told_again == "not-asked"
    assert told(found) == [
        "event Started Checkout e1",
        "not-asked cart starts only where value > 0",
    ]


def test_other_definitions_than_those_that_decided_tell_no_steps(client: Client) -> None:
    shop = a_cart_without_reaction()
    keep(client, shop)
    other = CARTS.replace("wait: 4h", "wait: 5h")
    explained = explain_send(client, send_of(shop, "cart-1"), teller(client, other))
    assert explained is not None
    assert explained.told_again == "differs"
    assert [link.kind for link in explained.links] == ["event", "entered", "sent", "commanded"]


def test_a_run_that_began_before_a_merge_is_told_as_it_was(client: Client) -> None:
    """Two profiles with carts of their own become one; the run of the one that joins goes on."""
    shop = Shop(CARTS)
    shop.event("Subscribed", properties={"channel": "email"}, email="ann@example.com")
    shop.event("Started Checkout", value="80", currency="EUR", email="ann@example.com")
    shop.event("Viewed Product", external_id="17")
    shop.wait(2 * HOUR)
    shop.event("Identify", external_id="17", email="ann@example.com")
    shop.wait(30 * HOUR)
    keep(client, shop)
    assert shop.told("identity-merges")
    for message in ("cart-1", "cart-2"):
        explained = explain_send(client, send_of(shop, message), teller(client))
        assert explained is not None
        assert explained.told_again == "agrees"


def test_nothing_is_told_of_a_send_that_nobody_knows(client: Client) -> None:
    keep(client, Shop(CARTS))
    assert explain_send(client, "s" + "0" * 24, teller(client)) is None
