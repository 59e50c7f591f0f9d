"""The timeline of one store -> touches and conversions, each once, of the person they are now."""

from typing import Any

from schemas.definitions import StoreSettings
from schemas.outputs import IdentityMerged, SendCommand, TimelineEntry
from streams.attribution.rules import rules_of
from streams.attribution.touches import Conversion, observed, united
from streams.instants import to_instant

RULES = rules_of(StoreSettings(store="main", currency="EUR"))
AT = "2010-12-08T12:00:00.000Z"
LATER = "2010-12-08T13:00:00.000Z"


def entry(metric: str, event_id: str, order: int, **more: Any) -> TimelineEntry:
    plain: dict[str, Any] = {
        "event_id": event_id,
        "store": "main",
        "profile_id": "ia",
        "metric": metric,
        "occurred_at": AT,
        "received_at": AT,
        "origin": (1, 0, order, 0),
        "trust": "server",
        "source": "shop",
        "backfill": False,
        "identifiers": (),
        "properties": {"send_id": "s1"},
        "value": None,
        "currency": None,
    }
    return TimelineEntry(**(plain | more))


def merged(loser: str, winner: str, store: str = "main") -> IdentityMerged:
    return IdentityMerged(id=loser, store=store, winner=winner, loser=loser, decided_at=AT)


SENT = SendCommand(
    id="s1",
    store="main",
    profile_id="ia",
    channel="email",
    address="ann@example.com",
    template="t",
    flow="cart",
    flow_run_id="r1",
    message="m1",
    variant=None,
    attempt=1,
    transactional=False,
    context={},
    unsubscribe_token="u",
    postal_address=None,
    decided_at=AT,
    valid_until=LATER,
)


def test_who_was_merged_away_is_found_through_any_chain() -> None:
    merges = [merged("id", "ic"), merged("ic", "ib"), merged("ib", "ia"), merged("ny", "nx")]
    assert united(merges) == {"ib": "ia", "ic": "ia", "id": "ia", "ny": "nx"}


def test_an_event_that_two_had_counts_once_as_it_was_first_received() -> None:
    entries = [
        entry("Placed Order", "o1", 2, profile_id="ib", value="2.00", currency="GBP"),
        entry("Placed Order", "o1", 1, profile_id="ia", value="1.00"),
        entry("Placed Order", "o1", 3, profile_id="ic", value="3.00"),
        entry("Placed Order", "o1", 0, store="other", value="9.00"),
        entry("Viewed Product", "o1", 0),
    ]
    _, conversions = observed(entries, [], [merged("ib", "ia")], RULES)
    at = to_instant(AT)
    assert conversions == [
        Conversion("ia", "o1", at, 1_000_000, "EUR"),
        Conversion("ic", "o1", at, 3_000_000, "EUR"),
    ]


def test_a_merge_in_another_store_moves_nobody_here() -> None:
    entries = [entry("Placed Order", "o1", 2, profile_id="ib", currency="GBP")]
    _, conversions = observed(entries, [], [merged("ib", "ia", "other")], RULES)
    assert conversions == [Conversion("ib", "o1", to_instant(AT), 0, "GBP")]


def test_an_outcome_is_a_touch_of_the_send_it_names() -> None:
    entries = [
        entry("Opened Email", "e2", 2, occurred_at=LATER),
        entry("Opened Email", "e3", 3, properties={"send_id": "unknown"}),
        entry("Opened Email", "e4", 4, properties={}),
        entry("Clicked Email", "e5", 5, store="other"),
    ]
    (found,), _ = observed(entries, [SENT], [], RULES)
    assert (found.kind, found.at, found.flow, found.message) == (
        "open",
        to_instant(LATER),
        "cart",
        "m1",
    )
    assert found.receipt_at == to_instant(SENT.decided_at)


def test_a_send_is_received_when_it_is_first_said_to_be() -> None:
    entries = [
        entry("Opened Email", "e2", 2, occurred_at="2010-12-08T14:00:00.000Z"),
        entry("Received Email", "e3", 3, occurred_at=LATER),
        entry("Received Email", "e4", 4, occurred_at="2010-12-08T12:30:00.000Z"),
        entry("Received Email", "e5", 5, occurred_at=LATER),
    ]
    touches, _ = observed(entries, [SENT], [], RULES)
    assert {one.receipt_at for one in touches} == {to_instant("2010-12-08T12:30:00.000Z")}
