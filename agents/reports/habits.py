"""What the timeline knows of definitions: how often metrics happen and what their events have,
which segments overlap.
"""

from collections.abc import Sequence
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from agents.reports.totals import LAST_WORDS
from schemas.values import SegmentId, StoreId
from streams.definitions.cost import Traffic

# The last 30 days before the newest event; who was seen ever counts as a profile.
TRAFFIC = """
SELECT
    metric,
    countIf(occurred_at > newest - INTERVAL 30 DAY)
        / (30 * (SELECT uniqExact(profile_id) FROM united_events WHERE store = {store:String}))
FROM united_events
CROSS JOIN
(SELECT max(occurred_at) AS newest FROM united_events WHERE store = {store:String}) AS last
WHERE store = {store:String}
GROUP BY metric
ORDER BY metric
"""

PROPERTIES = """
SELECT metric, groupUniqArrayArray(JSONExtractKeys(properties))
FROM united_events
WHERE store = {store:String}
GROUP BY metric
"""

# Who is in both, as a share of who is in either.
OVERLAPPING = f"""
WITH members AS
(
    SELECT segment, profile FROM ({LAST_WORDS})
    WHERE store = {{store:String}} AND newest = 'entered'
),
sizes AS (SELECT segment, count() AS members FROM members GROUP BY segment)
SELECT pairs.one, pairs.other, pairs.shared / (a.members + b.members - pairs.shared) AS overlap
FROM
(
    SELECT a.segment AS one, b.segment AS other, count() AS shared
    FROM members AS a INNER JOIN members AS b ON a.profile = b.profile
    WHERE a.segment < b.segment
    GROUP BY one, other
) AS pairs
INNER JOIN sizes AS a ON a.segment = pairs.one
INNER JOIN sizes AS b ON b.segment = pairs.other
WHERE overlap >= {{least:Float64}}
ORDER BY one, other
"""  # noqa: S608 - of constants

OVERLAP_MIN = 0.95
SEGMENTS_MAX = 50
"""More segments than these that overlap so much with another are too many."""

SHOWN_MAX = 5


class Overlap(NamedTuple):
    """Two segments, and who is in both as a share of who is in either."""

    one: SegmentId
    other: SegmentId
    share: float


def traffic_in(client: Client, store: StoreId) -> Traffic:
    """How often each metric happens to a profile, by the last 30 days of the timeline, and what its
    events ever had.
    """
    asked = {"store": store}
    rows = client.query(TRAFFIC, parameters=asked).result_rows
    had = client.query(PROPERTIES, parameters=asked).result_rows
    return Traffic(
        {metric: float(daily) for metric, daily in rows},
        properties={metric: frozenset(names) for metric, names in had},
    )


def overlapping(client: Client, store: StoreId) -> list[Overlap]:
    """Pairs of segments that have nearly the same people now."""
    asked = {"store": store, "least": OVERLAP_MIN}
    rows = client.query(OVERLAPPING, parameters=asked).result_rows
    return [Overlap(one, other, float(share)) for one, other, share in rows]


def show_overlap(pairs: Sequence[Overlap]) -> str:
    """A warning where too many segments overlap; '' else."""
    segments = {name for pair in pairs for name in pair[:2]}
    if len(segments) <= SEGMENTS_MAX:
        return ""
    shown = ", ".join(f"{one} and {other} ({share:.0%})" for one, other, share in pairs[:SHOWN_MAX])
    return (
        f"{len(segments)} segments overlap by {OVERLAP_MIN:.0%} or more with another: {shown}, ..."
    )
