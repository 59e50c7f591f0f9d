"""What there is: events by metric, revenue, profiles, segments. Sums are exact."""

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.values import Money, SegmentId, StoreId
from streams.money import to_money

METRICS = """
SELECT
    store, metric, sum(events) AS events,
    groupArrayIf((currency, micros), valued) AS sums
FROM
(
    SELECT
        store, metric, currency, count() AS events,
        sum(toInt128(ifNull(value_micros, 0))) AS micros, countIf(value_micros IS NOT NULL) AS n,
        n > 0 AS valued
    FROM united_events
    GROUP BY store, metric, currency
    ORDER BY currency
)
GROUP BY store, metric
ORDER BY store, events DESC, metric
"""

# What is said of a product stands below an id of the product's own.
PROFILES = """
SELECT store, uniqExact(profile_id)
FROM united_events
WHERE metric != 'Catalog Item Updated'
GROUP BY store
ORDER BY store
"""

# The last word about a profile and a segment, by when it was decided.
LAST_WORDS = """
SELECT
    c.store AS store, c.segment AS segment,
    if(r.united_id = '', c.profile_id, r.united_id) AS profile,
    argMax(c.change, tuple(c.decided_at, c.at, c.kafka_offset)) AS newest
FROM (SELECT * FROM segment_changes FINAL) AS c
LEFT JOIN redirects AS r ON r.store = c.store AND r.profile_id = c.profile_id
GROUP BY store, segment, profile
"""

SEGMENTS = f"""
SELECT store, segment, countIf(newest = 'entered') AS inside, count() AS ever
FROM ({LAST_WORDS})
GROUP BY store, segment
ORDER BY store, inside DESC, segment
"""  # noqa: S608 - of constants


class MetricTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one metric, and the sum of their values by currency ('' where none was named)."""

    store: StoreId
    metric: str
    events: int
    revenue: dict[str, Money]


class SegmentTotal(msgspec.Struct, frozen=True, kw_only=True):
    """How many profiles are in a segment now, and how many ever entered or exited."""

    store: StoreId
    segment: SegmentId
    profiles: int
    profiles_ever: int


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """All stores of the namespace. profiles: people with at least one event, by store."""

    metrics: list[MetricTotal]
    profiles: dict[StoreId, int]
    segments: list[SegmentTotal]


def totals(client: Client) -> Totals:
    """Count what is in the timeline; an event that came twice counts once."""
    metrics = [
        MetricTotal(
            store=store,
            metric=metric,
            events=events,
            revenue={currency: to_money(micros) for currency, micros in sums},
        )
        for store, metric, events, sums in client.query(METRICS).result_rows
    ]
    segments = [
        SegmentTotal(store=store, segment=segment, profiles=inside, profiles_ever=ever)
        for store, segment, inside, ever in client.query(SEGMENTS).result_rows
    ]
    profiles = {store: int(count) for store, count in client.query(PROFILES).result_rows}
    return Totals(metrics=metrics, profiles=profiles, segments=segments)
