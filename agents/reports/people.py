"""Who is meant: a profile id, or any identifier that an event of theirs carried."""

from clickhouse_connect.driver.client import Client

from schemas.values import ProfileId, StoreId

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
