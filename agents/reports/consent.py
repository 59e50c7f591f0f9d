"""What addresses were known to have said: every word of `consent`, with the events behind them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from agents.reports.people import addresses_of, profiles_meant
from agents.reports.stories import profile_ids
from schemas.outputs import ConsentStated
from schemas.values import EventId, StoreId, Timestamp
from streams.consent.history import Change, changes
from streams.instants import to_timestamp

_WORDS = """
SELECT
    store, kind, address, channels, suppressed, details, toUnixTimestamp64Milli(decided_at), cause
FROM consent_words FINAL
WHERE store = {store:String} AND concat(kind, '/', address) IN {addresses:Array(String)}
ORDER BY decided_at, kind, address, kafka_offset
"""

_KNOWN = """
SELECT DISTINCT kind, address FROM consent_words
WHERE store = {store:String} AND address IN {asked:Array(String)} ORDER BY kind, address
"""

_CAUSES = """
SELECT event_id, metric, toUnixTimestamp64Milli(occurred_at),
    toUnixTimestamp64Milli(received_at), source, properties
FROM events FINAL
WHERE store = {store:String} AND event_id IN {ids:Array(String)}
ORDER BY origin
"""

TOLD_OF_A_CAUSE = ("channel", "list", "method", "reason", "bounce")
"""Properties of an event that are shown beside what it said; a reply's text is not."""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The event that said it."""

    event_id: EventId
    metric: str
    occurred_at: Timestamp
    received_at: Timestamp
    source: str
    said: dict[str, Any]


class ConsentStory(msgspec.Struct, frozen=True, kw_only=True):
    """addresses: the one asked for first, then the others of the same person."""

    store: StoreId
    addresses: list[tuple[str, str]]
    changes: list[Change]
    causes: dict[EventId, Cause]


def consent_story(client: Client, store: StoreId, asked: str) -> ConsentStory:
    """All that was ever known of an address, and of the others of the same person.

    asked: an address, or whatever else means a person (`profiles_meant`).
    """
    addresses = _addresses(client, store, asked)
    parameters: dict[str, Any] = {
        "store": store,
        "addresses": [f"{kind}/{address}" for kind, address in addresses],
    }
    words = [_word(row) for row in client.query(_WORDS, parameters=parameters).result_rows]
    causes = _causes(client, store, sorted({word.cause for word in words}))
    return ConsentStory(
        store=store,
        addresses=addresses,
        changes=changes(words, {cause.event_id: cause.received_at for cause in causes}),
        causes={cause.event_id: cause for cause in causes},
    )


def _addresses(client: Client, store: StoreId, asked: str) -> list[tuple[str, str]]:
    """E-mail addresses are kept in small letters."""
    spelled = list(dict.fromkeys([asked, asked.lower()]))
    rows = client.query(_KNOWN, parameters={"store": store, "asked": spelled}).result_rows
    known = [(kind, address) for kind, address in rows]
    profiles = {
        profile
        for text in spelled
        for meant in profiles_meant(client, store, text)
        for profile in profile_ids(client, store, meant)
    }
    others = addresses_of(client, store, sorted(profiles))
    named = [one for one in others if one[1] in spelled]
    return list(dict.fromkeys([*known, *named, *others]))


def _word(row: Sequence[Any]) -> ConsentStated:
    store, kind, address, channels, suppressed, details, decided_at, cause = row
    return msgspec.convert(
        {
            "store": store,
            "kind": kind,
            "address": address,
            "channels": msgspec.json.decode(channels),
            "suppressed": msgspec.json.decode(suppressed),
            "details": msgspec.json.decode(details),
            "decided_at": to_timestamp(decided_at),
            "cause": cause,
            "type": "consent-stated",
        },
        ConsentStated,
    )


def _causes(client: Client, store: StoreId, ids: Sequence[EventId]) -> list[Cause]:
    rows = client.query(_CAUSES, parameters={"store": store, "ids": list(ids)}).result_rows
    return [
        Cause(
            event_id=event_id,
            metric=metric,
            occurred_at=to_timestamp(occurred_at),
            received_at=to_timestamp(received_at),
            source=source,
            said={
                name: value
                for name, value in msgspec.json.decode(properties).items()
                if name in TOLD_OF_A_CAUSE
            },
        )
        for event_id, metric, occurred_at, received_at, source, properties in rows
    ]
