"""What was erased, or stands elsewhere now, goes from the timeline: rewritten, not hidden.

In: who was erased (`identity-erasures`), addresses that were taken away from `consent`, events that
moved to another profile at a split. State: the tables `erasures` and `moves`; a row that comes in
later for somebody erased, or of an event that has moved, goes at once.

`identity_merges` stays: it holds keyed hashes alone, and old ids lead to nobody without it.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from clickhouse_connect.driver.client import Client

from schemas.clickhouse.tables import (
    CONFLICTS,
    EVENTS,
    FLOW_TRIGGERED,
    SEGMENT_CHANGED,
    SEND_DECIDED,
    SENDS,
    SPLITS,
)
from schemas.values import ProfileId, StoreId
from streams.identity.keys import identifier_of

OF_A_PROFILE = (EVENTS, SEGMENT_CHANGED, FLOW_TRIGGERED, SENDS, SEND_DECIDED)
"""Tables whose rows belong to a profile."""

THEIRS = (
    *((table, "profile_id IN {profiles:Array(String)}") for table in OF_A_PROFILE),
    (CONFLICTS, "hasAny(profiles, {profiles:Array(String)})"),
    (SPLITS, "(old IN {profiles:Array(String)} OR new IN {profiles:Array(String)})"),
)
"""Table -> which of its rows are these people's; what names others too goes whole."""
MOVED = """
store = {store:String} AND profile_id IN {profiles:Array(String)}
AND (profile_id, cityHash64(metric, event_id, origin)) IN
(
    SELECT moved_from, event FROM moves
    WHERE store = {store:String} AND moved_from IN {profiles:Array(String)}
)
"""
"""Of the events under these profiles, those that moved."""
ANY_MOVED = "SELECT 1 FROM events WHERE <moved> LIMIT 1".replace("<moved>", MOVED)

AT_ONCE = {"mutations_sync": 1}
"""A rewrite is over when it returns."""

Person: TypeAlias = tuple[StoreId, ProfileId]


class TakenAway(NamedTuple):
    """A key that was taken away from `consent`, and where the log says so."""

    key: str
    partition: int
    offset: int


def erased_before(client: Client) -> set[Person]:
    """Everybody who was erased, under each of their ids."""
    found = client.query("SELECT store, arrayJoin(profile_ids) FROM erasures").result_rows
    return {(store, profile_id) for store, profile_id in found}


def erase_rows(client: Client, people: Iterable[Person]) -> None:
    """Rewrite the tables without the rows of these people, under whichever of their ids."""
    by_store: dict[StoreId, list[ProfileId]] = {}
    for store, profile_id in people:
        by_store.setdefault(store, []).append(profile_id)
    for store, profile_ids in by_store.items():
        asked = {"store": store, "profiles": sorted({*profile_ids})}
        merged = client.query(
            "SELECT profile_id FROM redirects WHERE store = {store:String} "
            "AND united_id IN {profiles:Array(String)}",
            parameters=asked,
        ).result_rows
        asked["profiles"] = sorted({*profile_ids, *(profile_id for (profile_id,) in merged)})
        for table, is_theirs in THEIRS:
            client.command(
                f"ALTER TABLE {table.name} DELETE WHERE store = {{store:String}} AND {is_theirs}",
                parameters=asked,
                settings=AT_ONCE,
            )


def moved_before(client: Client) -> set[Person]:
    """Everybody whose events moved to somebody else, under the ids at which they stood."""
    found = client.query("SELECT DISTINCT store, moved_from FROM moves")
    return {(store, profile_id) for store, profile_id in found.result_rows}


def take_moved(client: Client, people: Iterable[Person]) -> None:
    """Rewrite the events of these people without those that stand under somebody else by now."""
    by_store: dict[StoreId, list[ProfileId]] = {}
    for store, profile_id in people:
        by_store.setdefault(store, []).append(profile_id)
    for store, profile_ids in by_store.items():
        asked = {"store": store, "profiles": sorted(profile_ids)}
        if client.query(ANY_MOVED, asked).result_rows:
            client.command(
                f"ALTER TABLE events DELETE WHERE {MOVED}", parameters=asked, settings=AT_ONCE
            )


def take_words_away(client: Client, taken: Iterable[TakenAway]) -> None:
    """Rewrite the words about consent without those of an address that were said before."""
    for one in taken:
        store, (kind, address) = identifier_of(one.key)
        client.command(
            "ALTER TABLE consent_words DELETE WHERE store = {store:String} AND kind = {kind:String}"
            " AND address = {address:String} AND kafka_partition = {partition:UInt16}"
            " AND kafka_offset < {offset:UInt64}",
            parameters={
                "store": store,
                "kind": kind,
                "address": address,
                "partition": one.partition,
                "offset": one.offset,
            },
            settings=AT_ONCE,
        )
