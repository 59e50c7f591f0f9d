"""What the timeline knows of definitions: how often metrics happen, which segments overlap."""

from collections.abc import Iterator
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from agents.migrations import migrate
from agents.reports.habits import (
    SEGMENTS_MAX,
    Overlap,
    overlapping,
    show_overlap,
    traffic_in,
)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """The embedded engine, in memory, with all tables."""
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


def insert(client: Client, table: str, rows: list[dict[str, Any]]) -> None:
    for number, row in enumerate(rows):
        full = {"kafka_partition": 0, "kafka_offset": number, **row}
        client.insert(table, [list(full.values())], column_names=list(full))


def change(segment: str, profile: str, number: int, word: str = "entered") -> dict[str, Any]:
    return {
        "id": f"{segment}-{profile}-{number}",
        "store": "overlaps",
        "profile_id": profile,
        "segment": segment,
        "change": word,
        "at": number * 1000,
        "decided_at": number * 1000,
    }


def test_two_segments_overlap_by_who_is_in_both_now(client: Client) -> None:
    people = [f"i{number}" for number in range(40)]
    rows = [change(name, who, 1) for name in ("a", "b", "d") for who in people]
    rows += [change("b", who, 2, "exited") for who in people[:2]]  # 38 of 40
    rows += [change("d", who, 2, "exited") for who in people[:3]]  # 37 of 40, 37 of 38 of b's
    rows.append({**change("a", "i0", 1), "store": "elsewhere"})
    insert(client, "segment_changes", rows)
    assert overlapping(client, "overlaps") == [
        Overlap("a", "b", 38 / 40),
        Overlap("b", "d", 37 / 38),
    ]
    assert overlapping(client, "nowhere") == []


def test_a_merged_profile_is_one_person(client: Client) -> None:
    rows = [change("x", who, 1) for who in ("i1", "i2")] + [change("y", "i1", 1)]
    merge = {"id": "m1", "store": "merged", "winner": "i1", "loser": "i2", "decided_at": 5000}
    insert(client, "segment_changes", [{**row, "store": "merged"} for row in rows])
    insert(client, "identity_merges", [merge])
    assert overlapping(client, "merged") == [Overlap("x", "y", 1.0)]


def test_it_is_a_warning_only_where_too_many_overlap() -> None:
    pairs = [Overlap(f"a{i}", f"b{i}", 0.98) for i in range(SEGMENTS_MAX // 2)]
    assert show_overlap(pairs) == ""
    assert show_overlap([*pairs, Overlap("a0", "z", 1.0)]).startswith(
        "51 segments overlap by 95% or more with another: a0 and b0 (98%), a1 and b1 (98%), "
    )


def test_the_traffic_is_that_of_the_last_thirty_days_for_each_profile_ever_seen(
    client: Client,
) -> None:
    day = 86_400_000

    def event(metric: str, profile: str, days: int) -> dict[str, Any]:
        return {
            "store": "traffic",
            "profile_id": profile,
            "metric": metric,
            "occurred_at": days * day,
            "event_id": f"{metric}-{profile}-{days}",
            "origin": [days, 0, 0],
        }

    rows = [event("Viewed Product", "i1", days) for days in range(70, 101)]
    rows += [event("Placed Order", "i2", 10), event("Placed Order", "i2", 71)]
    rows[0]["properties"] = '{"category": "shoes", "shipping": {"country": "DE"}}'
    rows[1]["properties"] = '{"category": "hats", "price": 5}'
    insert(client, "events", rows)
    traffic = traffic_in(client, "traffic")
    assert traffic.daily == {
        "Placed Order": pytest.approx(1 / 60),
        "Viewed Product": pytest.approx(0.5),
    }
    assert traffic.properties == {
        "Placed Order": frozenset(),
        "Viewed Product": {"category", "shipping", "price"},
    }
    assert traffic_in(client, "nowhere").daily == {}
