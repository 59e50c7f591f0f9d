"""Would the last trigger events have entered? The answers are those that the path itself gave."""

from collections.abc import Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from agents.migrations import migrate
from agents.reports.explanations import Teller
from agents.reports.flow_preview import NothingTriggers, Previewed, previews
from schemas.records import DefinitionsPublished
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import HOUR
from tests.agents.kept import keep
from tests.scenarios.play import documents_of
from tests.scenarios.shop import Shop

ANN, BEN = {"email": "ann@example.com"}, {"email": "ben@example.com"}
FLOWS = """
flow: cart
trigger: {did: Started Checkout, where: {value: "> 0", source: shop}}
filter: {none: [{did: Placed Order, in_last: 30d}]}
re_entry: {after: 7d}
key: cart
steps: [{wait: 4h}, {set: {reminded_at: now}}]
---
segment: buyers
where: {did: Placed Order}
---
flow: bought
trigger: {enters: buyers}
steps: [{wait: 1d}]
---
list: fans
opt_in: double
---
flow: fan
trigger: {joins: fans}
steps: [{wait: 1d}]
---
flow: birthday
trigger: {date: birthday}
steps: [{wait: 1d}]
"""


@pytest.fixture
def client() -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


def ask(client: Client, flow: str, *, definitions: str = FLOWS, last: int = 10) -> list[Previewed]:
    published = DefinitionsPublished("main", "1", "ann", documents_of(definitions))
    teller = Teller(client, published, Ids(REPLAY_SECRET))
    return previews(client, "main", teller.definitions.plans.flows[flow], teller, last=last)


def objections(found: list[Previewed]) -> list[tuple[str, list[str]]]:
    """(event, checks that object), the oldest first."""
    return [
        (one.event_id, [check.name for check in one.checks if not check.passes])
        for one in reversed(found)
    ]


def carts() -> Shop:
    shop = Shop(FLOWS)
    checkout = {"value": "80", "currency": "EUR", "properties": {"cart": "a", "source": "shop"}}
    shop.event("Started Checkout", **checkout, **ANN)
    shop.event("Started Checkout", **checkout, **ANN)
    shop.event("Started Checkout", **(checkout | {"value": "0"}), **BEN)
    shop.event("Started Checkout", value="9", currency="EUR", properties={"source": "shop"}, **BEN)
    shop.event("Started Checkout", **checkout, backfill=True, **BEN)
    shop.event("Placed Order", **BEN)
    shop.event("Started Checkout", **checkout, **BEN)
    shop.wait(30 * HOUR)
    return shop


def test_every_check_answers_for_itself(client: Client) -> None:
    shop = carts()
    keep(client, shop)
    found = ask(client, "cart")
    assert objections(found) == [
        ("e1", []),
        ("e2", ["already-running", "re-entry"]),
        ("e3", ["trigger"]),
        ("e4", ["no-key"]),
        ("e5", ["backfill"]),
        ("e7", ["flow-filter"]),
    ]
    trigger = [check.words for check in found[3].checks if check.name == "trigger"]
    assert trigger == ["where value > 0", "where source is shop"]
    assert [check.passes for check in found[3].checks] == [False, True]
    values = [leaf.value for check in found[3].checks for leaf in check.evidence]
    assert values == ["0", "shop"], "what was found is told"
    (bought,) = (check for check in found[0].checks if check.name == "flow-filter")
    assert [(leaf.leaf, leaf.value) for leaf in bought.evidence] == [
        ("did Placed Order in_last 30d", "1")
    ]
    (quiet,) = (check for check in found[-1].checks if check.name == "flow-filter")
    assert quiet.passes
    assert [leaf.value for leaf in quiet.evidence] == ["0"]


def test_the_same_was_decided_when_it_happened(client: Client) -> None:
    shop = carts()
    keep(client, shop)
    refused = {
        one["trigger_event_id"]: list(one["reasons"])
        for one in shop.told("send-decisions")
        if one["outcome"] == "refused"
    }
    entered = {
        one["trigger_event_id"] for one in shop.told("flow-triggers") if one["flow"] == "cart"
    }
    for one in ask(client, "cart"):
        assert one.enters == (one.event_id in entered)
        if one.event_id in refused:
            objecting = [check.name for check in one.checks if not check.passes]
            assert objecting == refused[one.event_id]


def test_a_flow_that_is_not_in_force_yet_is_asked_the_same_way(client: Client) -> None:
    keep(client, carts())
    wider = FLOWS.replace("key: cart\n", "").replace(', where: {value: "> 0", source: shop}', "")
    assert objections(ask(client, "cart", definitions=wider, last=4)) == [
        ("e3", []),
        ("e4", ["already-running", "re-entry"]),
        ("e5", ["backfill", "already-running", "re-entry"]),
        ("e7", ["already-running", "re-entry", "flow-filter"]),
    ]


def test_segments_and_lists_start_flows_too(client: Client) -> None:
    shop = Shop(FLOWS)
    shop.event("Placed Order", **ANN)
    shop.event("Subscribed", properties={"list": "fans"}, **BEN)
    shop.event("Confirmed Subscription", properties={"list": "fans"}, **BEN)
    keep(client, shop)
    (bought,) = ask(client, "bought")
    assert (bought.name, bought.enters) == ("entered buyers", True)
    assert objections(ask(client, "fan")) == [("e2", ["trigger"]), ("e3", [])]
    later = FLOWS.replace("where: {did: Placed Order}", "where: {did: Placed Order, times: '>= 2'}")
    assert objections(ask(client, "bought", definitions=later)) == [(bought.event_id, ["trigger"])]


def test_nothing_triggers_what_a_date_starts(client: Client) -> None:
    with pytest.raises(NothingTriggers, match="no event starts birthday"):
        ask(client, "birthday")
