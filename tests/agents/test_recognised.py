"""How many events found their person, and when."""

from collections.abc import Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from agents.migrations import migrate
from agents.reports.recognised import Recognised, RecognisedRow, recognised
from streams.instants import DAY, HOUR
from tests.agents.kept import keep
from tests.scenarios.shop import Shop


@pytest.fixture
def client() -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


def of_kind(found: Recognised, kind: str) -> RecognisedRow:
    (row,) = [row for row in found.kinds if row.kind == kind]
    return row


def test_browsing_counts_from_when_it_was_received_to_when_it_joined_somebody(
    client: Client,
) -> None:
    shop = Shop()
    shop.event("Viewed Product", anonymous_id="laptop")
    shop.wait(40 * DAY)
    shop.event("Viewed Product", anonymous_id="laptop")
    shop.wait(10 * DAY)
    shop.event("Viewed Product", anonymous_id="laptop")
    shop.wait(3 * DAY)
    shop.event("Viewed Product", anonymous_id="laptop")
    shop.wait(2 * HOUR)
    shop.event("Placed Order", email="ann@example.com", anonymous_id="laptop")
    shop.event("Viewed Product", anonymous_id="laptop")
    shop.event("Viewed Product", anonymous_id="nobody's")
    keep(client, shop)
    found = recognised(client, "main")
    assert of_kind(found, "anonymous_id") == RecognisedRow(
        kind="anonymous_id",
        events=6,
        at_once=1,
        within_day=1,
        within_7_days=1,
        within_30_days=1,
        later=1,
        never=1,
    )
    assert of_kind(found, "email") == RecognisedRow(kind="email", events=1, at_once=1)
    assert (found.merges, found.shared, found.refused) == (1, 0, 0)


def test_a_cart_that_a_browser_brings_to_a_person_goes_through_both_merges(client: Client) -> None:
    """Nameless with nameless is nobody yet; what counts is the merge with who is named."""
    shop = Shop()
    shop.event("Added to Cart", cart_token="cart")
    shop.event("Viewed Product", anonymous_id="laptop")
    shop.event("Started Checkout", anonymous_id="laptop", cart_token="cart")
    keep(client, shop)
    assert of_kind(recognised(client, "main"), "cart_token").never == 1
    shop.wait(2 * DAY)
    shop.event("Placed Order", external_id="17", cart_token="cart")
    keep(client, shop)
    found = recognised(client, "main")
    assert of_kind(found, "cart_token").within_7_days == 1
    assert of_kind(found, "anonymous_id").within_7_days == 2
    assert found.merges == 2


def test_conflicts_and_shared_browsers_are_counted(client: Client) -> None:
    shop = Shop()
    shop.event("Placed Order", external_id="17", email="ann@example.com")
    shop.event("Placed Order", external_id="18", email="ann@example.com")
    for number in range(6):
        shop.event("Placed Order", external_id=f"k{number}", anonymous_id="kiosk")
    keep(client, shop)
    found = recognised(client, "main")
    assert (found.merges, found.shared, found.refused) == (0, 1, 1)
    assert recognised(client, "other") == Recognised(kinds=[], merges=0, shared=0, refused=0)
