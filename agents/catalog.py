"""The catalogue's watcher: whom a change of a product may concern, found in the timeline.

In: the topic `timeline`, of which it wants what stores say of products (`Catalog Item Updated`);
the tables that the timeline sink fills. Out: a `Catalog Triggered` for each profile concerned, into
`store-events`, from where they take the ordinary road: a replay sees them in the log.
State: the committed offsets of the group `catalog`. After a crash a range is watched again, with
the same ids: profiles recognise the repeats.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from clickhouse_connect.driver.client import Client

from agents.arrival import received_and_stored
from agents.definitions_log import definitions_in_force
from agents.live.pushing import Good, push
from agents.logs import log
from agents.reader import Reader
from agents.settings import Settings
from agents.topics import places_of, topic_name
from schemas.definitions import Flow, Interested
from schemas.outputs import TimelineEntry
from schemas.topics import TIMELINE
from schemas.values import Identifier, Instant, ProfileId, StoreId
from streams.definitions.products import ASKED, CATALOG_ITEM_UPDATED
from streams.definitions.program import compile_program
from streams.flows.catalog import (
    Change,
    ItemUpdate,
    OnProduct,
    catalog_trigger,
    change_of,
    concerned,
)
from streams.identity.keys import key_of
from streams.ids import Ids
from streams.instants import to_instant

GROUP = "catalog"
POLL_MS = 500
RECORDS_PER_POLL_MAX = 2_000
ARRIVAL_SECONDS_TOLD = 30.0
DEFINITIONS_SECONDS = 10.0

# The newest updates about each product are enough to know its price and stock before. What was
# received after the last one that is asked about is left out.
HISTORY = """
SELECT profile_id, event_id, toUnixTimestamp64Milli(occurred_at), origin, properties
FROM events
WHERE store = {store:String} AND profile_id IN {products:Array(String)}
  AND metric = {metric:String} AND origin <= {last:Array(Int64)}
ORDER BY profile_id, occurred_at DESC, origin DESC
LIMIT 500 BY profile_id
"""

# The strongest identifier of the newest event: by it the event came to its profile.
INTERESTED = """
SELECT JSONExtract(argMax(identifiers, tuple(occurred_at, event_id)), 'Array(Array(String))')[1]
FROM events AS e LEFT JOIN redirects AS r ON r.store = e.store AND r.profile_id = e.profile_id
WHERE e.store = {store:String} AND e.identifiers != '[]'
  AND e.origin[1] <= {received_at:Int64}
  AND arrayExists(
      (metric, after) -> e.metric = metric AND e.occurred_at > fromUnixTimestamp64Milli(after),
      {metrics:Array(String)}, {after:Array(Int64)})
  AND (JSONExtractString(properties, 'product_id') = {product:String}
    OR JSONExtractRaw(properties, 'product_id') = {product:String}
    OR arrayExists(
        item -> JSONExtractString(item, 'product_id') = {product:String}
            OR JSONExtractRaw(item, 'product_id') = {product:String},
        JSONExtractArrayRaw(properties, 'items')))
GROUP BY if(r.united_id = '', e.profile_id, r.united_id)
ORDER BY 1
"""


class ProductUpdate(NamedTuple):
    """What was said of a product, and the id below which it stands in the timeline."""

    product: ProfileId
    update: ItemUpdate


class CatalogWatcher:
    """Watches until `stop`. client: of the namespace's database, used in one thread at a time.

    appended: triggers since the start.
    """

    def __init__(self, settings: Settings, client: Client) -> None:
        self._settings, self._client = settings, client
        self._ids = Ids(settings.secret_bytes)
        self._stopping = asyncio.Event()
        self._flows: Mapping[StoreId, Sequence[Flow]] = {}
        self._flows_until = 0.0
        self.appended = 0

    async def run(self) -> None:
        """Watch until `stop`.

        Raises: PushFailed; what Kafka and ClickHouse raise.
        """
        consumer = Reader(
            **self._settings.kafka_readers(), group_id=topic_name(self._settings, GROUP)
        )
        consumer.assign(places_of(self._settings, TIMELINE))
        try:
            await consumer.start()
            while not self._stopping.is_set():
                batches = await consumer.getmany(
                    timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL_MAX
                )
                read = [record.value for records in batches.values() for record in records]
                updates = list(updates_in(read))
                if updates and not await self._watched(updates):
                    return
                ends = {place: records[-1].offset + 1 for place, records in batches.items()}
                if ends:
                    await consumer.commit(ends)
        finally:
            await consumer.stop()

    def stop(self) -> None:
        """Let `run` end; what is not committed is watched again."""
        self._stopping.set()

    async def _watched(self, updates: Sequence[ProductUpdate]) -> bool:
        """Append what follows from these updates. Returns: False: told to stop."""
        if not await self._arrived(max(one.update.origin[0] for one in updates)):
            return False
        flows = await self._flows_in_force()
        goods = await asyncio.to_thread(self._triggers, updates, flows)
        self.appended += await push(self._settings, goods, noted=lambda _: None)
        return True

    async def _arrived(self, received_at: Instant) -> bool:
        """Wait until the timeline has all that anybody did until then. Returns: False: told to
        stop.
        """
        arriving = asyncio.ensure_future(received_and_stored(self._settings, received_at))
        stopped = asyncio.ensure_future(self._stopping.wait())
        try:
            while not (arriving.done() or stopped.done()):
                ended, _ = await asyncio.wait(
                    {arriving, stopped},
                    timeout=ARRIVAL_SECONDS_TOLD,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not ended:
                    log.warning("the catalogue waits for the path or the timeline sink")
            if stopped.done():
                return False
            arriving.result()
            return True
        finally:
            arriving.cancel()
            stopped.cancel()
            await asyncio.wait({arriving, stopped})

    async def _flows_in_force(self) -> Mapping[StoreId, Sequence[Flow]]:
        """Flows that products start, by store; asked anew after a while."""
        if time.monotonic() >= self._flows_until:
            published = await definitions_in_force(self._settings)
            self._flows = {
                store: on_products(one.documents, one.version) for store, one in published.items()
            }
            self._flows_until = time.monotonic() + DEFINITIONS_SECONDS
        return self._flows

    def _triggers(
        self, updates: Sequence[ProductUpdate], flows: Mapping[StoreId, Sequence[Flow]]
    ) -> list[Good]:
        now = time.time_ns() // 1_000_000
        found: list[Good] = []
        for store, wanted in flows.items():
            recent = _recent([one for one in updates if one.update.store == store], wanted, now)
            for change in changes(self._client, recent) if recent else ():
                who = concerned(change, wanted)
                for identifier in interested_in(self._client, change, who) if who else ():
                    event = catalog_trigger(change, identifier, self._ids)
                    key = key_of(store, identifier)
                    value = msgspec.json.encode(event)
                    found.append(Good(len(found) + 1, value, key, event["id"], event["metric"]))
        return found


def on_products(documents: Sequence[Mapping[str, Any]], version: str) -> list[Flow]:
    """The flows of published definitions that products start."""
    program = compile_program(documents, version=version)
    return [flow for flow in program.flows.values() if isinstance(flow.trigger, OnProduct)]


def _recent(
    updates: Sequence[ProductUpdate], flows: Sequence[Flow], now: Instant
) -> list[ProductUpdate]:
    """Without what is too old to start any of the flows."""
    oldest = now - max((flow.trigger_max_age for flow in flows), default=-1)
    return [one for one in updates if one.update.occurred_at >= oldest]


def updates_in(values: Iterable[bytes]) -> Iterator[ProductUpdate]:
    """What stores say of products among the records of the topic `timeline`."""
    entries = (_decode(value) for value in values if _MARK in value)
    return (found for entry in entries if (found := update_in(entry)) is not None)


def update_in(entry: TimelineEntry) -> ProductUpdate | None:
    """What a store says of a product; None: it is another event, or not said live by a server."""
    if entry.metric != CATALOG_ITEM_UPDATED or entry.trust != "server" or entry.backfill:
        return None
    occurred_at = to_instant(entry.occurred_at)
    update = ItemUpdate(entry.store, entry.event_id, occurred_at, entry.origin, entry.properties)
    return ProductUpdate(entry.profile_id, update)


_MARK = b'"%s"' % CATALOG_ITEM_UPDATED.encode()
_decode = msgspec.json.Decoder(TimelineEntry).decode


def changes(client: Client, updates: Sequence[ProductUpdate]) -> list[Change]:
    """What updates of one store changed, as far as they were the newest about their product."""
    products = sorted({one.product for one in updates})
    parameters = {
        "store": updates[0].update.store,
        "products": products,
        "metric": CATALOG_ITEM_UPDATED,
        "last": list(max(one.update.origin for one in updates)),
    }
    history: dict[ProfileId, list[ItemUpdate]] = {product: [] for product in products}
    for product, event_id, occurred_at, origin, properties in _rows(client, HISTORY, parameters):
        decoded = msgspec.json.decode(properties)
        update = ItemUpdate(updates[0].update.store, event_id, occurred_at, tuple(origin), decoded)
        history[product].append(update)
    found = (change_of(one.update, history[one.product]) for one in updates)
    return [change for change in found if change is not None]


def interested_in(client: Client, change: Change, who: Sequence[Interested]) -> list[Identifier]:
    """An identifier of each profile that had done with the product what one of these asks for,
    when the change was received.
    """
    update = change.update
    wanted = [(metric, one.in_last) for one in who for metric in one.of]
    wanted += [(ASKED, one.asked) for one in who if one.asked]
    parameters = {
        "store": update.store,
        "product": str(update.properties["product_id"]),
        "metrics": [metric for metric, _ in wanted],
        "after": [update.occurred_at - span for _, span in wanted],
        "received_at": update.origin[0],
    }
    return [(kind, value) for ((kind, value),) in _rows(client, INTERESTED, parameters)]


def _rows(client: Client, text: str, parameters: dict[str, Any]) -> Sequence[Any]:
    return client.query(text, parameters=parameters).result_rows
