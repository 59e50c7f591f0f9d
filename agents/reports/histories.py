"""A person's events out of the timeline, as the profile station heard them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from agents.reports.events import COLUMNS, event_in
from agents.reports.stories import profile_ids
from schemas.values import Instant, ProfileId, StoreId
from streams.retell import Happened

_EVENTS = """
SELECT profile_id, origin, <columns> FROM events FINAL
WHERE store = {store:String} AND profile_id IN {profiles:Array(String)}
ORDER BY origin
""".replace("<columns>", COLUMNS)

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
        whose, origin, event = row[0], tuple(row[1]), event_in(store, row[2:])
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
