"""A person's events out of the timeline, as the profile station heard them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from agents.reports.stories import profile_ids
from schemas.events import EVENT_SCHEMA, Event
from schemas.values import Instant, ProfileId, StoreId
from streams.retell import Happened

_EVENTS = """
SELECT
    profile_id, event_id, metric, toUnixTimestamp64Milli(occurred_at),
    toUnixTimestamp64Milli(received_at), trust, identifiers, traits, properties, value_micros,
    currency, source, backfill, origin
FROM events FINAL
WHERE store = {store:String} AND profile_id IN {profiles:Array(String)}
ORDER BY origin
"""

_MERGES = """
SELECT loser, winner, toUnixTimestamp64Milli(decided_at) FROM identity_merges FINAL
WHERE store = {store:String} AND loser IN {profiles:Array(String)}
"""

_NEWEST = """
SELECT greatest(
    (SELECT max(toUnixTimestamp64Milli(received_at)) FROM events WHERE store = {store:String}),
    (SELECT max(toUnixTimestamp64Milli(decided_at)) FROM send_decisions
     WHERE store = {store:String}))
"""


def newest_instant(client: Client, store: StoreId) -> Instant:
    """The last instant of which the timeline knows anything."""
    ((newest,),) = client.query(_NEWEST, parameters={"store": store}).result_rows
    return int(newest)


def history_of(client: Client, store: StoreId, profile_id: ProfileId) -> list[Happened]:
    """What the row of this id heard, in its order.

    What another id of the same person had done before both were united is heard when they are, as
    history that starts no flow.
    """
    asked: dict[str, Any] = {"store": store, "profiles": profile_ids(client, store, profile_id)}
    merges = client.query(_MERGES, parameters=asked).result_rows
    united = _united_at(profile_id, merges)
    heard = []
    for row in client.query(_EVENTS, parameters=asked).result_rows:
        whose, event, origin = row[0], _event(store, row), tuple(row[-1])
        at = max(event.received_at, united.get(whose, 0))
        if at > event.received_at:
            event = msgspec.structs.replace(event, backfill=True)
        heard.append(Happened(at, event, origin))
    return sorted(heard, key=lambda one: (one.at, one.origin))


def _united_at(profile_id: ProfileId, merges: Sequence[Sequence[Any]]) -> dict[ProfileId, Instant]:
    """Id -> since when it is one with this one: the latest of the merges that lie between."""
    united: dict[ProfileId, Instant] = {profile_id: 0}
    waiting = [profile_id]
    while waiting:
        one = waiting.pop()
        for loser, winner, at in merges:
            for here, there in ((loser, winner), (winner, loser)):
                if here == one and there not in united:
                    united[there] = max(united[one], at)
                    waiting.append(there)
    return united


def _event(store: StoreId, row: Sequence[Any]) -> Event:
    (_, event_id, metric, occurred_at, received_at, trust, identifiers, traits, properties) = row[
        :9
    ]
    value, currency, source, backfill, _ = row[9:]
    return Event(
        schema=EVENT_SCHEMA,
        id=event_id,
        metric=metric,
        occurred_at=occurred_at,
        received_at=received_at,
        store=store,
        trust=trust,
        identifiers=msgspec.json.decode(identifiers, type=tuple[tuple[str, str], ...]),
        traits=msgspec.json.decode(traits),
        traits_once={},
        properties=msgspec.json.decode(properties),
        value=value,
        currency=currency or None,
        source=source,
        backfill=backfill,
    )
