"""Who would be in a segment, before it is published: everybody told again from the timeline."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import msgspec
from clickhouse_connect.driver.client import Client

from agents.population import teller_at
from agents.reports.events import COLUMNS, event_in
from schemas.events import Event
from schemas.values import Instant, ProfileId, SegmentId, StoreId, Timestamp
from streams.ids import Ids
from streams.instants import to_timestamp

EVENTS_PER_QUERY: Final = 200_000
EXAMPLES_MAX: Final = 5

COUNT = "SELECT count() FROM events WHERE store = {store:String}"

EVERYBODY = """
SELECT united, <columns> FROM
(
    SELECT e.*, if(r.united_id = '', e.profile_id, r.united_id) AS united
    FROM (SELECT * FROM events FINAL WHERE store = {store:String}) AS e
    LEFT JOIN redirects AS r ON r.store = e.store AND r.profile_id = e.profile_id
    WHERE toUnixTimestamp64Milli(received_at) <= {until:Int64}
        AND cityHash64(united) % {parts:UInt32} = {part:UInt32}
    ORDER BY origin LIMIT 1 BY united, metric, event_id
)
ORDER BY united, origin
""".replace("<columns>", COLUMNS)


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """Another segment. both: how many are in both."""

    segment: SegmentId
    profiles: int
    both: int


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """Who would be in it at `at`. everybody: profiles of the store; examples: some of those in it.

    overlap: the other segments of the definitions, those that share most first.
    warnings: what is right in its file, and most likely not wanted.
    """

    segment: SegmentId
    at: Timestamp
    profiles: int
    everybody: int
    examples: list[ProfileId]
    overlap: list[Overlap]
    warnings: list[str] = []


def preview(
    client: Client,
    store: StoreId,
    documents: Sequence[Mapping[str, Any]],
    segment: SegmentId,
    at: Instant,
    ids: Ids,
) -> Preview:
    """Tell everybody again up to `at` by these definitions.

    Raises: DefinitionsError.
    """
    teller = teller_at(client, documents, ids, at)
    sizes = dict.fromkeys(teller.program.segments, 0)
    both = dict.fromkeys(teller.program.segments, 0)
    everybody, examples = 0, list[ProfileId]()
    for who, events in everybodys_events(client, store, at):
        row = teller.tell(who, events, until=at)
        if row is None:
            continue
        everybody += 1
        inside = [name for name, one in row.segments.items() if one.since is not None]
        meant = segment in inside
        if meant and len(examples) < EXAMPLES_MAX:
            examples.append(who)
        for name in inside:
            sizes[name] += 1
            both[name] += meant
    overlap = [
        Overlap(segment=name, profiles=sizes[name], both=both[name])
        for name in sorted(sizes, key=lambda name: (-both[name], name))
        if name != segment
    ]
    return Preview(
        segment=segment,
        at=to_timestamp(at),
        profiles=sizes[segment],
        everybody=everybody,
        examples=examples,
        overlap=overlap,
    )


def everybodys_events(
    client: Client, store: StoreId, until: Instant
) -> Iterator[tuple[ProfileId, list[Event]]]:
    """Every person that there is now, with the events received by `until`, in order of origin."""
    ((count,),) = client.query(COUNT, parameters={"store": store}).result_rows
    parts = 1 + count // EVENTS_PER_QUERY
    for part in range(parts):
        asked = {"store": store, "until": until, "parts": parts, "part": part}
        rows = client.query(EVERYBODY, parameters=asked).result_rows
        for who, of_one in groupby(rows, key=itemgetter(0)):
            yield who, [event_in(store, row[1:]) for row in of_one]
