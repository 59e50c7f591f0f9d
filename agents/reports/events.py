"""Events of the timeline as the core takes them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.events import EVENT_SCHEMA, Event
from schemas.values import Instant, ProfileId, StoreId

COLUMNS = """
    metric, event_id, toUnixTimestamp64Milli(occurred_at), toUnixTimestamp64Milli(received_at),
    trust, source, backfill, properties, value_micros, currency, identifiers, traits,
    traits_once
"""
"""What `event_in` reads."""

_properties = msgspec.json.Decoder(dict[str, Any]).decode
_identifiers = msgspec.json.Decoder(tuple[tuple[str, str], ...]).decode

MERGES = """
SELECT winner, loser FROM identity_merges FINAL
WHERE store = {store:String} AND toUnixTimestamp64Milli(decided_at) <= {until:Int64}
    AND (winner IN {profiles:Array(String)} OR loser IN {profiles:Array(String)})
"""

EVENTS = """
SELECT <columns> FROM
(
    SELECT * FROM events FINAL
    WHERE store = {store:String} AND profile_id IN {profiles:Array(String)}
        AND toUnixTimestamp64Milli(received_at) <= {until:Int64}
    ORDER BY origin LIMIT 1 BY metric, event_id
)
ORDER BY origin
""".replace("<columns>", COLUMNS)


def event_in(store: StoreId, row: Sequence[Any]) -> Event:
    """A row of `COLUMNS` as the event that was applied."""
    (
        metric, event_id, occurred, received, trust, source, backfill, properties, value, currency,
        identifiers, traits, once,
    ) = row  # fmt: skip
    return Event(
        schema=EVENT_SCHEMA,
        id=event_id,
        metric=metric,
        occurred_at=occurred,
        received_at=received,
        store=store,
        trust=trust,
        identifiers=_identifiers(identifiers),
        traits=_properties(traits),
        traits_once=_properties(once or "{}"),
        properties=_properties(properties),
        value=value,
        currency=currency or None,
        source=source,
        backfill=backfill,
    )


def one_person(
    client: Client, store: StoreId, profile_id: ProfileId, until: Instant
) -> tuple[ProfileId, list[ProfileId]]:
    """(the profile that this one was part of at `until`, all that were part of it then)."""
    known = {profile_id}
    winners: dict[ProfileId, ProfileId] = {}
    while True:
        asked = {"store": store, "until": until, "profiles": sorted(known)}
        rows = client.query(MERGES, parameters=asked).result_rows
        winners |= {loser: winner for winner, loser in rows}
        found = known | winners.keys() | set(winners.values())
        if found == known:
            break
        known = found
    while profile_id in winners:
        profile_id = winners[profile_id]
    return profile_id, sorted(known)


def events_of(
    client: Client, store: StoreId, profiles: Sequence[ProfileId], until: Instant
) -> list[Event]:
    """The events of a person that had been received by `until`, in the order of origin; one that
    came twice is there once.
    """
    asked = {"store": store, "until": until, "profiles": list(profiles)}
    rows = client.query(EVENTS, parameters=asked).result_rows
    return [event_in(store, row) for row in rows]
