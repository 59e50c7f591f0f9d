"""The timeline of one person."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.values import FlowRunId, ProfileId, StoreId, Timestamp
from streams.instants import to_timestamp

PROFILES_OF = """
WITH
    (
        SELECT any(united_id) FROM redirects
        WHERE store = {store:String} AND profile_id = {profile:String}
    ) AS united,
    if(empty(united), {profile:String}, united) AS now
SELECT now, groupArray(profile_id) FROM redirects
WHERE store = {store:String} AND united_id = now
"""

# The order of causes within one instant is the order of the parts: an event, what it changed, what
# that started, what was decided, what was commanded.
TOLD = """
SELECT toUnixTimestamp64Milli(at) AS instant, part, kind, name, id, reason, run, details
FROM
(
    SELECT
        occurred_at AS at, 1 AS part, 'event' AS kind, metric AS name, event_id AS id,
        '' AS reason, '' AS run, properties AS details, received_at AS told_at, origin
    FROM events FINAL
    WHERE store = {store:String} AND profile_id IN {profiles:Array(String)}
    ORDER BY origin
    LIMIT 1 BY metric, event_id
    UNION ALL
    SELECT
        decided_at, 0, 'merged', concat(loser, ' into ', winner), id, '', '', '[]', decided_at,
        CAST([], 'Array(Int64)')
    FROM identity_merges FINAL
    WHERE store = {store:String} AND loser IN {profiles:Array(String)}
    UNION ALL
    SELECT at, 2, change, segment, id, '', '', evidence, decided_at, CAST([], 'Array(Int64)')
    FROM segment_changes FINAL
    WHERE store = {store:String} AND profile_id IN {profiles:Array(String)}
    UNION ALL
    SELECT
        decided_at, 3, 'triggered', flow, id, trigger, id, '[]', decided_at,
        CAST([], 'Array(Int64)')
    FROM flow_triggers FINAL
    WHERE store = {store:String} AND profile_id IN {profiles:Array(String)}
    UNION ALL
    SELECT
        decided_at, 4, outcome, arrayStringConcat(arrayFilter(x -> x != '', [flow, message]), '/'),
        id, reason, flow_run_id, evidence, decided_at, CAST([], 'Array(Int64)')
    FROM send_decisions FINAL
    WHERE store = {store:String} AND profile_id IN {profiles:Array(String)}
    UNION ALL
    SELECT
        decided_at, 5, 'commanded', concat(channel, ' ', template), id, '', flow_run_id, context,
        decided_at, CAST([], 'Array(Int64)')
    FROM sends FINAL
    WHERE store = {store:String} AND profile_id IN {profiles:Array(String)}
)
ORDER BY instant, part, told_at, origin, kind, name, id
"""

Kind = Literal[
    "event",
    "merged",
    "entered",
    "exited",
    "triggered",
    "commanded",
    "sent",
    "held",
    "dropped",
    "skipped",
    "refused",
]


class StoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a person.

    at:      when it happened, or from when it holds, or when it was decided.
    name:    the metric, segment, flow, `flow/message`, `channel template`.
    reason:  why a send was not made; for a flow, what triggered it. run: the flow run it is of.
    details: the properties of an event, the evidence of a change or decision, a send's context.
    """

    at: Timestamp
    kind: Kind
    name: str
    id: str
    reason: str | None
    run: FlowRunId | None
    details: Any


class ProfileStory(msgspec.Struct, frozen=True, kw_only=True):
    """A person. profile_id: the one it is now; merged: the ids that became part of it."""

    store: StoreId
    profile_id: ProfileId
    merged: list[ProfileId]
    rows: list[StoryRow]


def profile_story(client: Client, store: StoreId, profile_id: ProfileId) -> ProfileStory:
    """Tell what happened to a person, in order; any id it ever had will do."""
    now, *merged = profiles = profile_ids(client, store, profile_id)
    rows = client.query(TOLD, parameters={"store": store, "profiles": profiles}).result_rows
    return ProfileStory(store=store, profile_id=now, merged=merged, rows=list(map(story_row, rows)))


def profile_ids(client: Client, store: StoreId, profile_id: ProfileId) -> list[ProfileId]:
    """Every id of a person, whichever is asked for: the present one, then those merged into it."""
    asked = {"store": store, "profile": profile_id}
    ((now, merged),) = client.query(PROFILES_OF, parameters=asked).result_rows
    return [now, *sorted(merged)]


def story_row(found: Sequence[Any]) -> StoryRow:
    """A row of `TOLD`, typed."""
    instant, _part, kind, name, id_, reason, run, details = found
    return StoryRow(
        at=to_timestamp(instant),
        kind=kind,
        name=name,
        id=id_,
        reason=reason or None,
        run=run or None,
        details=msgspec.json.decode(details),
    )
