"""A split as support asks for it: what would go, the record, and both histories told again.

In: an identifier, the rows, the timeline. Out: `SplitAsked` in `store-events`; when the profile has
answered, `EventsTold` for both sides, all or none. A split whose history was not told is taken up
again where it is asked for again, or by `up` (agents/live/splitting.py).
"""

import asyncio
import time
from typing import Any, Final, NamedTuple
from uuid import uuid4

import msgspec
from aiokafka import TopicPartition
from clickhouse_connect.driver.client import Client

from agents.arrival import all_stored
from agents.identity_log import (
    ANSWER_SECONDS_MAX,
    NobodyThere,
    answers,
    append,
    profile_of,
    profile_row,
    rules_in_force,
)
from agents.reader import reader_of
from agents.reports.events import COLUMNS, event_in
from agents.settings import Settings
from agents.topics import topic_name
from agents.transactions import sole_producer
from schemas.outputs import ProfileSplit, TimelineEntry
from schemas.rows import ProfileRow
from schemas.splits import EventTold, SplitAsked
from schemas.topics import IDENTITY_SPLITS, STORE_EVENTS, TIMELINE
from schemas.values import Identifier, Instant, ProfileId, StoreId
from streams.identity.held import pointing_to
from streams.identity.keys import key_of
from streams.ingest.control import split
from streams.ingest.identifiers import strength_order
from streams.instants import to_instant, to_timestamp
from streams.intake import partition_of
from streams.profile.sides import belongs
from streams.profile.split_history import companions, counted_once, parts

ASK_SECONDS: Final = 0.5
TRANSACTION_TIMEOUT_MS: Final = 60_000
NO_MARK: Final = (1 << 63) - 1

HISTORY = """
SELECT profile_id, origin, <columns> FROM events FINAL
WHERE store = {store:String} AND profile_id IN {profiles:Array(String)}
    AND (profile_id != {old:String} OR kafka_offset < {mark:UInt64})
ORDER BY origin
""".replace("<columns>", COLUMNS)

MADE = """
SELECT store, split, identifiers, old, new, known_as, author, reason,
    toUnixTimestamp64Milli(decided_at) AS at
FROM identity_splits FINAL
WHERE outcome = 'split' AND
"""
ONE = MADE + "store = {store:String} AND split = {split:String}"
BETWEEN = MADE + "at BETWEEN {since:Int64} AND {until:Int64} ORDER BY at, split"

_answer = msgspec.json.Decoder(ProfileSplit).decode
_line = msgspec.json.Decoder(TimelineEntry | ProfileSplit).decode
_identifiers = msgspec.json.Decoder(tuple[Identifier, ...]).decode


class NotToSplit(Exception):
    """The identifier stays where it is; the message says why."""


class Outlook(NamedTuple):
    """What a split would do.

    identifiers: that would go: the one that was named, and those that came only with it. going,
    staying: events. unfinished: the id of a split whose history is to be told first.
    """

    profile_id: ProfileId
    identifiers: tuple[Identifier, ...]
    going: int
    staying: int
    unfinished: str | None = None


async def outlook(
    settings: Settings, client: Client, store: StoreId, identifier: Identifier
) -> Outlook:
    """Say what would go with an identifier.

    Raises: NobodyThere, NotToSplit.
    """
    row = await _row(settings, store, identifier)
    earlier = _unfinished(row)
    if earlier is not None:
        return Outlook(row.id, (identifier,), 0, 0, earlier)
    kinds = strength_order(await rules_in_force(settings, store))
    told = await _whole_history(settings, client, store, identifier)
    held = pointing_to(row)
    others = [one for one in companions(identifier, told, kinds) if one in held]
    identifiers = (identifier, *others)
    if set(held) <= set(identifiers):
        split_off = [side.other for side in row.sides if not side.stays]
        raise NotToSplit(
            f"nothing but {_shown(identifiers)} names the profile {row.id}: there is nobody to "
            "split it from" + (f"; it was split from {split_off[0]} before" if split_off else "")
        )
    history = counted_once(told)
    going = sum(belongs(one.event, identifiers) for one in history)
    return Outlook(row.id, identifiers, going, len(history) - going)


async def unfinished(settings: Settings, store: StoreId, identifier: Identifier) -> str | None:
    """A split of whom this identifier points to whose history is still to be told."""
    try:
        return _unfinished(await _row(settings, store, identifier))
    except NobodyThere:
        return None


def _unfinished(row: ProfileRow) -> str | None:
    return next((side.split for side in row.sides if side.next is not None), None)


async def _row(settings: Settings, store: StoreId, identifier: Identifier) -> ProfileRow:
    pointed = await profile_of(settings, store, identifier)
    row = None if pointed is None else await profile_row(settings, pointed)
    if row is None:
        raise NobodyThere(f"nobody is known by {_shown((identifier,))} in the store {store}")
    return row


async def _whole_history(
    settings: Settings, client: Client, store: StoreId, identifier: Identifier
) -> list[EventTold]:
    """The events of whom an identifier points to, when the timeline has all of them."""
    deadline = time.monotonic() + ANSWER_SECONDS_MAX
    while True:
        row = await _row(settings, store, identifier)
        known_as = (row.id, *row.absorbed)
        told = await asyncio.to_thread(_history, client, store, known_as, NO_MARK)
        if len(told) >= row.events:
            return told
        if time.monotonic() > deadline:
            raise NotToSplit(
                f"the timeline has {len(told)} of the {row.events} events of {row.id}: without "
                "its whole history it cannot be split. Does the timeline's sink run?"
            )
        await asyncio.sleep(ASK_SECONDS)


def _history(
    client: Client, store: StoreId, known_as: tuple[ProfileId, ...], mark: int
) -> list[EventTold]:
    """The events under these ids; under the first, those that stand before the mark."""
    asked: dict[str, Any] = {
        "store": store, "profiles": list(known_as), "old": known_as[0], "mark": mark
    }  # fmt: skip
    rows = client.query(HISTORY, parameters=asked).result_rows
    return [EventTold(row[0], tuple(row[1]), event_in(store, row[2:])) for row in rows]


async def split_off(
    settings: Settings,
    store: StoreId,
    identifiers: tuple[Identifier, ...],
    *,
    author: str,
    reason: str,
) -> ProfileSplit | None:
    """Ask for the split. Returns: the answer; None where none came in time."""
    asked = SplitAsked(store, identifiers, uuid4().hex, author, reason)
    value, headers = split(asked, settings.secret_bytes)
    async with answers(settings, IDENTITY_SPLITS, _answer) as heard:
        await append(settings, key_of(store, identifiers[0]), value, headers)
        return await heard.of(lambda said: said.split == asked.split)


async def made(client: Client, store: StoreId, name: str) -> ProfileSplit:
    """A split that was made, as the timeline knows it.

    Raises: NotToSplit.
    """
    asked = {"store": store, "split": name}
    found = await asyncio.to_thread(_made, client, ONE, asked)
    if not found:
        raise NotToSplit(f"the split {name} is not in the timeline yet: try again in a moment")
    return found[0]


def made_between(client: Client, since: Instant, until: Instant) -> list[ProfileSplit]:
    """The splits that were made then, of all stores, as the timeline knows them, oldest first."""
    return _made(client, BETWEEN, {"since": since, "until": until})


def _made(client: Client, query: str, asked: dict[str, Any]) -> list[ProfileSplit]:
    return [
        ProfileSplit(
            id="",
            store=store,
            split=split,
            outcome="split",
            identifiers=_identifiers(identifiers),
            old=old,
            new=new,
            known_as=tuple(known_as),
            author=author,
            reason=reason,
            decided_at=to_timestamp(at),
        )
        for store, split, identifiers, old, new, known_as, author, reason, at in client.query(
            query, parameters=asked
        ).result_rows
    ]


async def tell_history(settings: Settings, client: Client, done: ProfileSplit) -> bool:
    """Tell both sides their history, all or nothing, and wait until they have it.

    Returns: whether they had it in time.
    Raises: NotToSplit.
    """
    mark = await _place_of_mark(settings, done)
    await _stored(settings)
    told = await asyncio.to_thread(_history, client, done.store, done.known_as, mark)
    claimed = sole_producer(settings, f"split-{done.split}", timeout_ms=TRANSACTION_TIMEOUT_MS)
    async with claimed as producer, producer.transaction():
        for part in parts(done, told):
            value, headers = split(part, settings.secret_bytes)
            await producer.send(
                topic_name(settings, STORE_EVENTS.name),
                value,
                partition=partition_of(done.split, settings.partitions),
                headers=list(headers),
            )
    return await _has_come(settings, done)


async def _place_of_mark(settings: Settings, done: ProfileSplit) -> int:
    """Where the timeline says that it was split."""
    partition = partition_of(done.old, settings.partitions)
    place = TopicPartition(topic_name(settings, TIMELINE.name), partition)
    async with asyncio.timeout(ANSWER_SECONDS_MAX), reader_of(settings, [place]) as reader:
        async for record in reader.read_on_from(place, to_instant(done.decided_at)):
            line = _line(record.value) if record.key == done.old.encode() else None
            if isinstance(line, ProfileSplit) and line.split == done.split:
                return int(record.offset)
    raise AssertionError("a topic is read on without end")


async def _stored(settings: Settings) -> None:
    """Wait until the database has all that the timeline has now.

    Raises: NotToSplit.
    """
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            await all_stored(settings)
    except TimeoutError:
        raise NotToSplit(
            "the split is made, but the timeline has not stored all that was said before it: does "
            "its sink run? The same command goes on then, and tells both their past"
        ) from None


async def _has_come(settings: Settings, done: ProfileSplit) -> bool:
    """Wait until neither side awaits history any more."""
    deadline = time.monotonic() + ANSWER_SECONDS_MAX
    while time.monotonic() < deadline:
        if not await awaits_history(settings, done):
            return True
        await asyncio.sleep(ASK_SECONDS)
    return False


async def awaits_history(settings: Settings, done: ProfileSplit) -> bool:
    """Is the history of either side still to come?"""
    rows = [await profile_row(settings, one) for one in (done.old, done.new)]
    sides = [side for row in rows if row is not None for side in row.sides]
    return any(side.split == done.split and side.next is not None for side in sides)


def _shown(identifiers: tuple[Identifier, ...]) -> str:
    return ", ".join(f"{kind}/{value}" for kind, value in identifiers)
