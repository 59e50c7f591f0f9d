"""All that is held about one person in the timeline, whole: for whom it is about."""

from typing import Any, TypeAlias

import msgspec
from clickhouse_connect.driver.client import Client

from agents.columns import OF_THE_RECORD
from agents.reports.consent import ConsentStory, consent_story
from agents.reports.stories import profile_ids
from schemas.clickhouse.tables import (
    EVENTS,
    FLOW_TRIGGERED,
    KAFKA,
    MERGES,
    SEGMENT_CHANGED,
    SEND_DECIDED,
    SENDS,
    Table,
)
from schemas.values import ProfileId, StoreId
from streams.instants import to_timestamp
from streams.money import to_money

Rows: TypeAlias = list[dict[str, Any]]

_JSON = frozenset({"identifiers", "traits", "properties", "evidence", "context"})
"""Columns that are JSON kept as text."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A person in the timeline, under all ids they ever had.

    consent: every word about their addresses, with the events behind it. events: outcomes of sends
    among them. commands: what was sent, without the unsubscribe token.
    """

    store: StoreId
    profile_id: ProfileId
    merged: list[ProfileId]
    consent: ConsentStory
    events: Rows
    segment_changes: Rows
    flow_triggers: Rows
    decisions: Rows
    commands: Rows
    merges: Rows


def held(client: Client, store: StoreId, profile_id: ProfileId) -> Held:
    """Gather it; any id the person ever had will do."""
    ids = profile_ids(client, store, profile_id)
    now, *merged = ids
    return Held(
        store=store,
        profile_id=now,
        merged=merged,
        consent=consent_story(client, store, now),
        events=_rows(client, EVENTS, store, ids, "occurred_at, metric, event_id"),
        segment_changes=_rows(client, SEGMENT_CHANGED, store, ids, "at, id"),
        flow_triggers=_rows(client, FLOW_TRIGGERED, store, ids, "decided_at, id"),
        decisions=_rows(client, SEND_DECIDED, store, ids, "decided_at, id"),
        commands=_rows(client, SENDS, store, ids, "decided_at, id"),
        merges=_rows(client, MERGES, store, ids, "decided_at, id", of="loser"),
    )


def _rows(
    client: Client,
    table: Table,
    store: StoreId,
    ids: list[ProfileId],
    order: str,
    *,
    of: str = "profile_id",
) -> Rows:
    """The rows of a table as its topic told them: instants as text, JSON taken apart."""
    columns = {name: kind for name, kind in table.columns.items() if name not in KAFKA}
    read = ", ".join(
        f"toUnixTimestamp64Milli({name})" if "DateTime64" in kind else name
        for name, kind in columns.items()
    )
    query = (
        f"SELECT {read} FROM {table.name} FINAL WHERE store = {{store:String}} "  # noqa: S608
        f"AND {of} IN {{ids:Array(String)}} ORDER BY {order}"
    )
    found = client.query(query, parameters={"store": store, "ids": ids}).result_rows
    return [
        {
            OF_THE_RECORD.get(name, name): _told(name, kind, value)
            for (name, kind), value in zip(columns.items(), row, strict=True)
        }
        for row in found
    ]


def _told(name: str, kind: str, value: Any) -> Any:
    if value is None or value == "":
        return None
    if "DateTime64" in kind:
        return to_timestamp(value)
    if name in OF_THE_RECORD:
        return to_money(value)
    return msgspec.json.decode(value) if name in _JSON else value
