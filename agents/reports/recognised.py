"""How many events found their person, and when: at once, or with a merge days later, or never.

A person is a profile that something strong names (an account, an address). An event that comes with
a device or a cart alone is of a nameless profile until that joins a named one.
"""

from collections.abc import Mapping

import msgspec
from clickhouse_connect.driver.client import Client

from schemas.values import Instant, Millis, ProfileId, StoreId
from streams.ids import is_named
from streams.ingest.read import PRODUCT_KIND
from streams.instants import DAY
from streams.profile.conflicts import SHARED_BY_TOO_MANY

_EVENTS = """
SELECT kind, '', toInt64(0), count() FROM (<events>) WHERE startsWith(profile_id, 'i') GROUP BY kind
UNION ALL
SELECT kind, profile_id, toUnixTimestamp64Milli(received_at), toUInt64(1)
FROM (<events>) WHERE NOT startsWith(profile_id, 'i')
""".replace(
    "<events>",
    """
    SELECT JSONExtractString(identifiers, 1, 1) AS kind, profile_id, received_at
    FROM events FINAL WHERE store = {store:String} AND kind != {product:String}
    """,
)

_MERGES = """
SELECT loser, winner, toUnixTimestamp64Milli(decided_at) FROM identity_merges FINAL
WHERE store = {store:String}
"""

_CONFLICTS = """
SELECT countIf(reason = {shared:String}), countIf(reason != {shared:String})
FROM identity_conflicts FINAL WHERE store = {store:String}
"""


class RecognisedRow(msgspec.Struct, kw_only=True):
    """Events by the kind of their strongest identifier.

    at_once: accepted for a named profile. within_...: of those that joined one so much later than
    they were received; each event is in one of these. never: their profile is nameless to this day.
    """

    kind: str
    events: int = 0
    at_once: int = 0
    within_day: int = 0
    within_7_days: int = 0
    within_30_days: int = 0
    later: int = 0
    never: int = 0

    def count(self, events: int, after: Millis | None) -> None:
        """after: how long it took; None: it never happened."""
        self.events += events
        if after is None:
            self.never += events
        elif after <= 0:
            self.at_once += events
        elif after <= DAY:
            self.within_day += events
        elif after <= 7 * DAY:
            self.within_7_days += events
        elif after <= 30 * DAY:
            self.within_30_days += events
        else:
            self.later += events


class Recognised(msgspec.Struct, frozen=True, kw_only=True):
    """kinds: the one with most events first. merges: of profiles.

    shared:  identifiers that link nobody any more, for too many people were seen with them.
    refused: pairs of profiles that were connected and must not be joined.
    """

    kinds: list[RecognisedRow]
    merges: int
    shared: int
    refused: int


def recognised(client: Client, store: StoreId) -> Recognised:
    """Count it, over all that the timeline holds."""
    asked = {"store": store, "product": PRODUCT_KIND, "shared": SHARED_BY_TOO_MANY}
    joined = {
        loser: (winner, at)
        for loser, winner, at in client.query(_MERGES, parameters=asked).result_rows
    }
    kinds: dict[str, RecognisedRow] = {}
    named: dict[ProfileId, Instant | None] = {}
    for kind, profile_id, received_at, events in client.query(
        _EVENTS, parameters=asked
    ).result_rows:
        row = kinds.setdefault(kind, RecognisedRow(kind=kind))
        if not profile_id:
            row.count(events, 0)
            continue
        if profile_id not in named:
            named[profile_id] = _named_at(profile_id, joined)
        at = named[profile_id]
        row.count(events, None if at is None else max(1, at - received_at))
    ((shared, refused),) = client.query(_CONFLICTS, parameters=asked).result_rows
    return Recognised(
        kinds=sorted(kinds.values(), key=lambda row: (-row.events, row.kind)),
        merges=len(joined),
        shared=shared,
        refused=refused,
    )


def _named_at(
    profile_id: ProfileId, joined: Mapping[ProfileId, tuple[ProfileId, Instant]]
) -> Instant | None:
    """When a nameless profile became part of a named one."""
    at: Instant = 0
    while not is_named(profile_id):
        if profile_id not in joined:
            return None
        profile_id, then = joined[profile_id]
        at = max(at, then)
    return at
