"""Who is meant: a profile id, or any identifier that an event of theirs carried."""

from collections.abc import Sequence

from clickhouse_connect.driver.client import Client

from schemas.values import ProfileId, StoreId
from streams.identity.keys import ADDRESS_KINDS

_BY_ID = """
SELECT count() > 0 FROM events WHERE store = {store:String} AND profile_id = {asked:String}
"""

_BY_IDENTIFIER = """
SELECT profile_id FROM events
WHERE store = {store:String} AND arrayExists(
    pair -> JSONExtractString(pair, 2) = {value:String}
        AND ({kind:String} = '' OR JSONExtractString(pair, 1) = {kind:String}),
    JSONExtractArrayRaw(identifiers))
GROUP BY profile_id ORDER BY max(received_at) DESC, profile_id
"""

_ADDRESSES = """
WITH arrayJoin(JSONExtractArrayRaw(identifiers)) AS pair
SELECT DISTINCT JSONExtractString(pair, 1) AS kind, JSONExtractString(pair, 2) AS value
FROM events FINAL
WHERE store = {store:String} AND profile_id IN {profiles:Array(String)} AND trust = 'server'
    AND kind IN {kinds:Array(String)}
ORDER BY kind, value
"""


def addresses_of(
    client: Client, store: StoreId, profiles: Sequence[ProfileId]
) -> list[tuple[str, str]]:
    """(kind, value) of the addresses that servers have named as theirs."""
    parameters = {"store": store, "profiles": list(profiles), "kinds": sorted(ADDRESS_KINDS)}
    rows = client.query(_ADDRESSES, parameters=parameters).result_rows
    return [(kind, value) for kind, value in rows]


def profiles_meant(client: Client, store: StoreId, asked: str) -> list[ProfileId]:
    """The profiles that `asked` may mean, the one seen last first.

    asked: a profile id, an identifier's value (`ann@example.com`) or `kind/value`.
    """
    parameters = {"store": store, "asked": asked}
    ((is_profile_id,),) = client.query(_BY_ID, parameters=parameters).result_rows
    if is_profile_id:
        return [asked]
    found = _by_identifier(client, store, "", asked)
    kind, slash, value = asked.partition("/")
    return found or (_by_identifier(client, store, kind, value) if slash else [])


def _by_identifier(client: Client, store: StoreId, kind: str, value: str) -> list[ProfileId]:
    parameters = {"store": store, "kind": kind, "value": value}
    rows = client.query(_BY_IDENTIFIER, parameters=parameters).result_rows
    return [profile_id for (profile_id,) in rows]
