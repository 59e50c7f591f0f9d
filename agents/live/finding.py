"""Where an event is: its place in `store-events`, what became of it, and what it led to.

In: an event's id, or its place (`2/17`: partition and offset, as `events push` prints it). An
accepted event is in the timeline with its origin; what is not there yet is looked for in the
topics, among what was received lately: a topic has no index.
"""

import time
from typing import Any, Literal, NamedTuple

import msgspec
from aiokafka import TopicPartition
from clickhouse_connect.driver.client import Client

from agents.changelog import read_row
from agents.definitions_log import definitions_in_force
from agents.live.tailing import is_clock, text_of
from agents.reader import Reader
from agents.reports.stories import StoryRow, profile_ids, story_row
from agents.settings import Settings
from agents.topics import places_of, topic_name
from schemas.events import Event
from schemas.rows import POSITION_KEY
from schemas.topics import DEAD_LETTERS, INGEST_ROWS, STORE_EVENTS, STORE_EVENTS_REJECTED, Topic
from schemas.values import EventId, Instant, Millis, ProfileId, StoreId, Timestamp
from streams.ids import DERIVED_EVENT, Ids
from streams.ingest.control import HEADER
from streams.ingest.read import EventReader
from streams.ingest.records import Tick
from streams.ingest.settings import IngestSettings
from streams.instants import to_timestamp
from streams.rounds import load_position

POLL_MS = 500
SILENT_POLLS_MAX = 20

_ACCEPTED = """
SELECT
    store, profile_id, metric, event_id, origin[2], origin[3],
    toUnixTimestamp64Milli(received_at), toUnixTimestamp64Milli(occurred_at)
FROM events FINAL
WHERE event_id = {id:String} OR (origin[2] = {partition:Int64} AND origin[3] = {offset:Int64})
ORDER BY origin LIMIT 1 BY store, profile_id, metric, event_id
"""

# A change is led to by an event that its evidence names, or that was the very moment of it. What
# came after a merge is told of the profile that it became part of.
_LED_TO = """
SELECT toUnixTimestamp64Milli(at) AS instant, part, kind, name, id, reason, run, details
FROM
(
    SELECT
        at, 1 AS part, change AS kind, segment AS name, id, '' AS reason, '' AS run,
        evidence AS details
    FROM segment_changes FINAL
    WHERE store = {store:String} AND profile_id IN {profiles:Array(String)} AND (
        (profile_id = {profile:String} AND toUnixTimestamp64Milli(decided_at) = {received_at:Int64})
        OR arrayExists(
            leaf -> has(JSONExtract(leaf, 'events', 'Array(String)'), {id:String}),
            JSONExtractArrayRaw(evidence)))
    UNION ALL
    SELECT decided_at, 2, 'triggered', flow, id, trigger, id, '[]'
    FROM flow_triggers FINAL
    WHERE store = {store:String} AND profile_id IN {profiles:Array(String)}
        AND trigger_event_id = {id:String}
    UNION ALL
    SELECT
        decided_at, 3, outcome, arrayStringConcat(arrayFilter(x -> x != '', [flow, message]), '/'),
        if(send_id = '', id, send_id), reason, flow_run_id, evidence
    FROM send_decisions FINAL
    WHERE store = {store:String} AND profile_id IN {profiles:Array(String)}
        AND (trigger_event_id = {id:String} OR flow_run_id IN
            (SELECT id FROM flow_triggers FINAL
             WHERE store = {store:String} AND trigger_event_id = {id:String}))
    UNION ALL
    SELECT decided_at, 4, 'commanded', concat(channel, ' ', template), id, '', flow_run_id, '{}'
    FROM sends FINAL
    WHERE store = {store:String} AND profile_id IN {profiles:Array(String)} AND flow_run_id IN
        (SELECT id FROM flow_triggers FINAL
         WHERE store = {store:String} AND trigger_event_id = {id:String})
)
ORDER BY instant, part, name, id
"""

State = Literal["accepted", "rejected", "dead-letter", "ours", "waiting", "on its way"]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An event. partition, offset: in `store-events`. why: of what was rejected or set aside.

    profile_id: the one that it belongs to now, after any merge. ours: no event, but a tick, or
    published definitions and the like; why says which. waiting: ingest has not read it yet. on its
    way: it has, and the timeline has not got it: it waits for its round, it was a repeat of another
    with the same metric and id, or its person was erased.
    """

    state: State
    partition: int
    offset: int
    id: EventId | None
    metric: str | None
    received_at: Timestamp
    store: StoreId | None = None
    profile_id: ProfileId | None = None
    why: str | None = None
    field: str | None = None
    led_to: list[StoryRow] = []


class Asked(NamedTuple):
    """What is looked for. place: of one record, where it was named so."""

    id: EventId
    place: tuple[int, int] | None


def asked(text: str) -> Asked:
    """Read an id, or `2/17`."""
    partition, slash, offset = text.partition("/")
    if slash and partition.isdecimal() and offset.isdecimal():
        return Asked(text, (int(partition), int(offset)))
    return Asked(text, None)


def in_timeline(client: Client, what: Asked) -> list[Found]:
    """What the timeline has of it, and what it led to."""
    partition, offset = what.place or (-1, -1)
    rows = client.query(
        _ACCEPTED, parameters={"id": what.id, "partition": partition, "offset": offset}
    ).result_rows
    return [_accepted(client, row) for row in rows]


def _accepted(client: Client, row: Any) -> Found:
    store, profile_id, metric, event_id, partition, offset, received_at, _occurred_at = row
    profiles = profile_ids(client, store, profile_id)
    parameters = {
        "store": store,
        "profile": profile_id,
        "profiles": profiles,
        "id": event_id,
        "received_at": received_at,
    }
    led_to = client.query(_LED_TO, parameters=parameters).result_rows
    return Found(
        state="accepted",
        partition=partition,
        offset=offset,
        id=event_id,
        metric=metric,
        received_at=to_timestamp(received_at),
        store=store,
        profile_id=profiles[0],
        led_to=[story_row(one) for one in led_to],
    )


class Topics:
    """The topics, looked through from `within` before now."""

    def __init__(self, settings: Settings, *, within: Millis) -> None:
        self._settings = settings
        region = IngestSettings(default_region=settings.default_region or None)
        self._read_event = EventReader(Ids(settings.secret_bytes), region)
        self._since: Instant = time.time_ns() // 1_000_000 - within
        self._reader = Reader(**settings.kafka_readers(), max_partition_fetch_bytes=8 << 20)

    async def find(self, what: Asked) -> list[Found]:
        """Every record that is meant, oldest first in each partition."""
        for published in (await definitions_in_force(self._settings)).values():
            self._read_event.adopt(published)
        try:
            await self._reader.start()
            if what.place is not None:
                records = await self._at(*what.place)
            else:
                records = await self._scan(STORE_EVENTS, lambda record: self._is(record, what.id))
            rejected = await self._headed(STORE_EVENTS_REJECTED) if records else {}
            aside = await self._scan(DEAD_LETTERS, lambda one: what.id.encode() in one.value)
            return [await self._judged(record, rejected, aside) for record in records]
        finally:
            await self._reader.stop()

    def _is(self, record: Any, event_id: EventId) -> bool:
        if is_clock(record) or not record.value:
            return False
        if event_id.encode() in record.value:
            said = self._read(record).id or _own_id(record.value)
            return said in (event_id, None)
        return event_id.startswith(DERIVED_EVENT) and self._read(record).id == event_id

    def _read(self, record: Any) -> Event:
        """The event that a record is; one without an id where it is none."""
        said = self._read_event(record, record.timestamp)
        return said[1] if isinstance(said, tuple) and not isinstance(said, Tick) else _NO_EVENT

    async def _judged(
        self, record: Any, rejected: dict[tuple[int, int], Any], aside: list[Any]
    ) -> Found:
        """What became of a record that the timeline does not have."""
        event = self._read(record)
        place = (record.partition, record.offset)
        state: State = "on its way"
        why = field = None
        spoken = dict(record.headers).get(HEADER)
        if place in rejected:
            headers = dict(rejected[place].headers)
            state, field = "rejected", text_of(headers.get("field")) or None
            why = f"{text_of(headers.get('reason'))}: {text_of(headers.get('detail'))}"
        elif spoken is not None:
            state, why = "ours", text_of(spoken)
        elif aside:
            headers = dict(aside[-1].headers)
            state = "dead-letter"
            why = f"{text_of(headers.get('station'))}: {text_of(headers.get('reason'))}"
        elif not await self._was_read(*place):
            state = "waiting"
        return Found(
            state=state,
            partition=record.partition,
            offset=record.offset,
            id=event.id or _own_id(record.value),
            metric=event.metric or None,
            received_at=to_timestamp(record.timestamp),
            store=event.store or None,
            why=why,
            field=field,
        )

    async def _was_read(self, partition: int, offset: int) -> bool:
        """Whether ingest has come so far."""
        row = await read_row(self._settings, INGEST_ROWS, partition, POSITION_KEY % partition)
        return load_position(row, self._settings.partitions).offset > offset

    async def _at(self, partition: int, offset: int) -> list[Any]:
        """The record at one place, if there is one."""
        if partition >= self._settings.partitions:
            return []
        place = TopicPartition(topic_name(self._settings, STORE_EVENTS.name), partition)
        self._reader.assign([place])
        if offset >= (await self._reader.end_offsets([place]))[place]:
            return []
        self._reader.seek(place, offset)
        found = await self._reader.getmany(place, timeout_ms=10 * POLL_MS, max_records=1)
        records = found.get(place, [])
        return [one for one in records if one.offset == offset]

    async def _headed(self, topic: Topic) -> dict[tuple[int, int], Any]:
        """Records by the place of what they are about, which their headers say."""
        found = {}
        for record in await self._scan(topic, lambda _: True):
            headers = dict(record.headers)
            found[int(headers["partition"]), int(headers["offset"])] = record
        return found

    async def _scan(self, topic: Topic, means: Any) -> list[Any]:
        """Read what came lately of all partitions, up to their present end."""
        places = places_of(self._settings, topic)
        self._reader.assign(places)
        ends = await self._reader.end_offsets(places)
        starts = await self._reader.offsets_for_times(dict.fromkeys(places, self._since))
        for place in places:
            found = starts[place]
            self._reader.seek(place, ends[place] if found is None else found.offset)
        kept: list[Any] = []
        silent = 0
        left = places
        while silent < SILENT_POLLS_MAX:
            left = [one for one in left if await self._reader.position(one) < ends[one]]
            if not left:
                break
            batches = await self._reader.getmany(*left, timeout_ms=POLL_MS)
            silent = 0 if batches else silent + 1
            for batch in batches.values():
                kept += [record for record in batch if means(record)]
        return kept


class _Ids(msgspec.Struct):
    id: Any = None


def _own_id(value: bytes) -> EventId | None:
    """The id that a document gives itself; None where it cannot be read."""
    try:
        found = msgspec.json.decode(value, type=_Ids).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if found is None else str(found)


_NO_EVENT = Event(1, "", "", 0, 0, "", "server", (), {}, {}, {}, None, None, "", False, None, ())
