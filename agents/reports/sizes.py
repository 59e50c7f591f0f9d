"""How many were in a segment, day by day: joined, left, net."""

from datetime import date, timedelta

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.values import SegmentId, StoreId

# What is said of a person under any of the ids that are one now, in the order in which it was said.
# Who is said to enter and was in it already, under another id, does not join.
CHANGES = """
SELECT toString(toDate(at, {zone:String})) AS day,
    countIf(change = 'entered' AND before != 'entered') AS joined,
    countIf(change = 'exited' AND before = 'entered') AS left
FROM
(
    SELECT
        at, change,
        lagInFrame(change) OVER
        (
            PARTITION BY person ORDER BY decided_at, at, kafka_offset
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS before
    FROM
    (
        SELECT
            c.at AS at, c.decided_at AS decided_at, toString(c.change) AS change,
            c.kafka_offset AS kafka_offset,
            if(r.united_id = '', c.profile_id, r.united_id) AS person
        FROM (SELECT * FROM segment_changes FINAL) AS c
        LEFT JOIN redirects AS r ON r.store = c.store AND r.profile_id = c.profile_id
        WHERE c.store = {store:String} AND c.segment = {segment:String}
    )
)
GROUP BY day ORDER BY day
"""


class DayOfSegment(msgspec.Struct, frozen=True, kw_only=True):
    """One day in the store's zone. profiles: at its end."""

    day: str
    joined: int
    left: int
    net: int
    profiles: int


def sizes(client: Client, store: StoreId, segment: SegmentId, zone: str) -> list[DayOfSegment]:
    """Every day from the first change to the last; a day without one says 0."""
    asked = {"store": store, "segment": segment, "zone": zone}
    changes = {
        date.fromisoformat(day): (joined, left)
        for day, joined, left in client.query(CHANGES, parameters=asked).result_rows
    }
    found: list[DayOfSegment] = []
    profiles = 0
    day, last = min(changes, default=date.max), max(changes, default=date.min)
    while day <= last:
        joined, left = changes.get(day, (0, 0))
        profiles += joined - left
        found.append(
            DayOfSegment(
                day=str(day), joined=joined, left=left, net=joined - left, profiles=profiles
            )
        )
        day += timedelta(days=1)
    return found
