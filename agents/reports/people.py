"""Who is meant: a profile id, or any identifier that an event of theirs carried."""

from collections.abc import Sequence

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.values import Identifier, ProfileId, StoreId
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
GROUP BY profile_id ORDER BY profile_id IN (<split from>), max(received_at) DESC, profile_id
""".replace(
    "<split from>",
    """
    SELECT arrayJoin(arrayConcat(known_as, [united_id])) FROM
    (
        SELECT known_as, coalesce(nullIf(united_id, ''), old) AS united_id
        FROM identity_splits AS made FINAL
        LEFT JOIN redirects ON redirects.store = made.store AND redirects.profile_id = made.old
        WHERE made.store = {store:String} AND arrayExists(
            pair -> JSONExtractString(pair, 2) = {value:String}
                AND ({kind:String} = '' OR JSONExtractString(pair, 1) = {kind:String}),
            JSONExtractArrayRaw(identifiers))
    )
    """,
)
"""Whom support has split the identifier from comes last."""

_ADDRESSES = """
WITH arrayJoin(JSONExtractArrayRaw(identifiers)) AS pair
SELECT DISTINCT JSONExtractString(pair, 1) AS kind, JSONExtractString(pair, 2) AS value
FROM events FINAL
WHERE store = {store:String} AND profile_id IN {profiles:Array(String)} AND trust = 'server'
    AND kind IN {kinds:Array(String)}
ORDER BY kind, value
"""

_SPLITS = """
SELECT identifiers, known_as, new FROM identity_splits FINAL
WHERE store = {store:String}
    AND (hasAny(known_as, {profiles:Array(String)}) OR new IN {profiles:Array(String)})
"""

_identifiers = msgspec.json.Decoder(tuple[Identifier, ...]).decode


def addresses_of(
    client: Client, store: StoreId, profiles: Sequence[ProfileId]
) -> list[tuple[str, str]]:
    """(kind, value) of the addresses that servers have named as theirs, without those of somebody
    whom support has split from them.
    """
    asked = {"store": store, "profiles": list(profiles)}
    others: set[tuple[str, str]] = set()
    for identifiers, known_as, new in client.query(_SPLITS, parameters=asked).result_rows:
        went = set(_identifiers(identifiers))
        others |= set(_named(client, store, known_as)) - went if new in profiles else went
    return [one for one in _named(client, store, profiles) if one not in others]


def _named(client: Client, store: StoreId, profiles: Sequence[ProfileId]) -> list[tuple[str, str]]:
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
