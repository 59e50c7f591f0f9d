"""Whom a change of a product concerns, asked of the embedded engine."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from agents.catalog import ProductUpdate, changes, interested_in, on_products, updates_in
from agents.migrations import migrate
from agents.replay.catalog import CatalogInMemory
from agents.replay.published import Edition
from schemas.definitions import Flow, StoreSettings
from schemas.outputs import IdentityMerged, TimelineEntry
from schemas.records import DefinitionsPublished
from schemas.topics import IDENTITY_MERGES, TIMELINE
from schemas.values import Identifier
from streams.flows.catalog import catalog_trigger, concerned
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import DAY, to_instant, to_timestamp
from streams.intake import Write
from tests.agents.told_timelines import insert
from tests.scenarios.play import documents_of

NOW = to_instant("2026-03-01T12:00:00Z")
STORES = (f"shop-{number}" for number in itertools.count())
FLOWS = """
flow: cheaper
trigger: {price_drop: {by: 10%, of: [Viewed Product, Started Checkout], in_last: 30d}}
steps: []
---
flow: last-ones
trigger: {low_stock: {below: 5, of: Added to Cart, in_last: 7d}}
steps: []
---
flow: again
trigger: {back_in_stock: {}}
steps: []
---
flow: paused
trigger: {price_drop: {by: 1%, of: Added to Cart}}
state: paused
steps: []
"""


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


class Shop:
    """A store of its own in the tables; `says` of a product, people `do` something."""

    def __init__(self, client: Client) -> None:
        self.client, self.store = client, next(STORES)
        self.flows: list[Flow] = on_products(documents_of(FLOWS), "v1")
        self.entries = 0
        self.said: list[TimelineEntry] = []
        self.merges: list[IdentityMerged] = []

    def entry(self, profile: str, metric: str, at: int, **more: Any) -> TimelineEntry:
        self.entries += 1
        facts: dict[str, Any] = {
            "event_id": f"e{self.entries}",
            "store": self.store,
            "profile_id": profile,
            "metric": metric,
            "occurred_at": to_timestamp(at),
            "received_at": to_timestamp(at),
            "origin": (at, 0, self.entries),
            "trust": "server",
            "source": "",
            "backfill": False,
            "identifiers": (("email", f"{profile}@example.com"), ("cart_token", "t")),
            "properties": {},
            "value": None,
            "currency": None,
        }
        entry = TimelineEntry(**facts | more)
        insert(self.client, TIMELINE.name, [entry])
        self.said.append(entry)
        return entry

    def does(self, profile: str, metric: str, *, days_ago: int, **properties: Any) -> None:
        self.entry(profile, metric, NOW - days_ago * DAY, properties=properties)

    def says(
        self, at: int = NOW, product: Any = "p1", received_at: int | None = None, **facts: Any
    ) -> ProductUpdate:
        entry = self.entry(
            f"n-{product}",
            "Catalog Item Updated",
            at,
            properties={"product_id": product, **facts},
            identifiers=(("$product", str(product)),),
            origin=(at if received_at is None else received_at, 0, self.entries + 1),
        )
        (word,) = updates_in([msgspec.json.encode(entry)])
        return word

    def told(self, *words: ProductUpdate) -> list[list[Identifier]]:
        """For each change, who is told of it."""
        found = []
        for change in changes(self.client, words):
            who = concerned(change, self.flows)
            found.append(interested_in(self.client, change, who) if who else [])
        assert [one for one in found if one] == self._told_in_memory(words)
        return found

    def _told_in_memory(self, words: Sequence[ProductUpdate]) -> list[list[Identifier]]:
        """What the watcher of a replay says, which has heard the same."""
        published = DefinitionsPublished(self.store, "v1", "ann", documents_of(FLOWS))
        edition = Edition(None, StoreSettings(), published)
        watcher = CatalogInMemory([edition], Ids(REPLAY_SECRET), NOW + DAY)
        last = {word.update.event_id for word in words}
        watcher.hear(
            Write(IDENTITY_MERGES.name, 0, b"", msgspec.json.encode(one), 0) for one in self.merges
        )
        told = []
        for one in sorted(self.said, key=lambda one: one.origin):
            found = watcher.hear([Write(TIMELINE.name, 0, b"", msgspec.json.encode(one), 0)])
            if one.event_id in last:
                told += [msgspec.json.decode(value) for value, _ in found]
        by_change: dict[str, list[Identifier]] = {}
        for event in told:
            ((kind, value),) = event["profile"].items()
            by_change.setdefault(event["id"], []).append((kind, value))
        return list(by_change.values())


@pytest.fixture
def shop(client: Client) -> Shop:
    return Shop(client)


def mail(*names: str) -> list[Identifier]:
    return [("email", f"{name}@example.com") for name in names]


def test_who_viewed_or_checked_out_in_thirty_days_is_told_of_a_tenth_less(shop: Shop) -> None:
    shop.does("ann", "Viewed Product", days_ago=1, product_id="p1")
    shop.does("ann", "Viewed Product", days_ago=2, product_id="p1")
    shop.does("bob", "Started Checkout", days_ago=29, items=[{"product_id": "p1"}])
    shop.does("cid", "Viewed Product", days_ago=30, product_id="p1")
    shop.does("dan", "Viewed Product", days_ago=1, product_id="p2")
    shop.does("eve", "Added to Cart", days_ago=1, product_id="p1")
    shop.says(NOW - DAY, price="80", inventory=9)
    assert shop.told(shop.says(price="72")) == [mail("ann", "bob")]
    assert shop.told(shop.says(NOW + 1, price="71")) == [[]]


def test_what_was_known_before_may_have_been_said_at_different_times(shop: Shop) -> None:
    shop.does("ann", "Added to Cart", days_ago=1, product_id="p1")
    shop.says(NOW - 3 * DAY, price=80)
    shop.says(NOW - 2 * DAY, inventory=7)
    word = shop.says(inventory=4, title="Shoe")
    (change,) = changes(shop.client, [word])
    assert change.was == {"price": 80, "inventory": 7}
    assert shop.told(word) == [mail("ann")]


def test_the_first_word_about_a_product_changes_nothing_nor_does_one_that_came_late(
    shop: Shop,
) -> None:
    shop.does("ann", "Viewed Product", days_ago=1, product_id="p1")
    assert changes(shop.client, [shop.says(NOW - DAY, price=80)]) == []
    shop.says(NOW, price=80)
    late = shop.says(NOW - 1, received_at=NOW + 1, price=40)
    assert changes(shop.client, [late]) == []


def test_what_is_received_after_a_change_takes_nothing_away_and_adds_nobody(shop: Shop) -> None:
    """However late it is asked."""
    shop.does("ann", "Viewed Product", days_ago=1, product_id="p1")
    shop.says(NOW - DAY, price=80)
    cheaper = shop.says(NOW, price=40)
    dearer = shop.says(NOW + 1, price=90)
    shop.does("bob", "Viewed Product", days_ago=-1, product_id="p1")
    (change, back) = changes(shop.client, [cheaper, dearer])
    assert (change.was, back.was) == ({"price": 80}, {"price": 40})
    assert shop.told(cheaper, dearer) == [mail("ann"), []]


def test_variants_of_a_product_have_a_stock_each(shop: Shop) -> None:
    shop.does("ann", "Viewed Product", days_ago=1, product_id="p1")
    shop.says(NOW - 3, variant_id="red", inventory=0)
    shop.says(NOW - 2, variant_id="blue", inventory=7)
    assert shop.told(shop.says(NOW - 1, variant_id="blue", inventory=8)) == [[]]
    assert shop.told(shop.says(NOW, variant_id="red", inventory=8)) == [mail("ann")]


def test_who_asked_is_told_months_later_and_a_person_of_two_profiles_once(shop: Shop) -> None:
    shop.does("ann", "Subscribed to Back in Stock", days_ago=200, product_id=17)
    shop.does("nameless", "Viewed Product", days_ago=3, product_id="17")
    merged = IdentityMerged(
        id="m1", store=shop.store, winner="ann", loser="nameless", decided_at=to_timestamp(NOW)
    )
    insert(shop.client, IDENTITY_MERGES.name, [merged])
    shop.merges.append(merged)
    shop.says(NOW - DAY, product=17, inventory=0)
    assert shop.told(shop.says(product=17, inventory=3)) == [mail("nameless")]


def test_what_a_browser_or_an_import_says_of_a_product_is_nothing_new(shop: Shop) -> None:
    for more in ({"trust": "client"}, {"backfill": True}):
        entry = shop.entry("n-p1", "Catalog Item Updated", NOW, **more)
        assert list(updates_in([msgspec.json.encode(entry)])) == []


def test_the_same_change_is_told_by_the_same_event_whoever_asks_and_when(shop: Shop) -> None:
    shop.says(NOW - DAY, price=80)
    word = shop.says(price=40, title="Shoe")
    ids = Ids(REPLAY_SECRET)
    told = [
        catalog_trigger(change, ("email", who), ids)
        for who in ("ann@example.com", "bob@example.com")
        for change in changes(shop.client, [word])
    ]
    assert len({event["id"] for event in told}) == 1
    assert told[0] == {
        "id": told[0]["id"],
        "metric": "Catalog Triggered",
        "time": "2026-03-01T12:00:00.000Z",
        "store": shop.store,
        "profile": {"email": "ann@example.com"},
        "properties": {
            "product_id": "p1",
            "price": 40,
            "title": "Shoe",
            "was": {"price": 80},
            "catalog_event_id": word.update.event_id,
        },
        "source": "tillstream",
    }
