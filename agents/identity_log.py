"""What support asks of identity -> `store-events`, and the answer.

In: an identifier as a person writes it. Out: one record, signed like published definitions; then
the answer of the profile station.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Generic, NamedTuple, TypeVar
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaProducer

from agents.changelog import read_row
from agents.dead_letters import set_aside
from agents.definitions_log import definitions_in_force
from agents.reader import Reader, reader_of
from agents.settings import Settings
from agents.topics import places_of, topic_name
from schemas.outputs import ProfileErased
from schemas.rows import IdentityRow, ProfileRow
from schemas.topics import IDENTITY_ERASURES, IDENTITY_ROWS, PROFILE_ROWS, STORE_EVENTS, Topic
from schemas.values import Identifier, ProfileId, StoreId
from streams.definitions.parse import parse
from streams.identity.held import pointing_to
from streams.identity.keys import key_of
from streams.ids import is_profile_id
from streams.ingest.control import Headers, erasure
from streams.ingest.identifiers import Refusal, normalised, strength_order
from streams.ingest.settings import IngestSettings, settings_of
from streams.intake import partition_of

ANSWER_SECONDS_MAX = 60.0
REDIRECTS_MAX = 1_000

Answer = TypeVar("Answer")

_identity_row = msgspec.msgpack.Decoder(IdentityRow).decode
_profile_row = msgspec.msgpack.Decoder(ProfileRow).decode
_erased = msgspec.json.Decoder(ProfileErased).decode


class NoIdentifier(Exception):
    """What was written is no identifier; the message says why."""


class NobodyThere(Exception):
    """Nobody is known by it."""


class Erasure(NamedTuple):
    """answer: None where none came in time. leftover: records that were set aside and name them."""

    answer: ProfileErased | None
    identifiers: list[Identifier]
    leftover: list[str]


async def identifier_meant(settings: Settings, store: StoreId, text: str) -> Identifier:
    """The identifier as identity knows it: `kind/value`, or an address as it is.

    A profile id stands for one of the identifiers that point to it.

    Raises: NoIdentifier, NobodyThere.
    """
    if is_profile_id(text):
        row = await profile_row(settings, text)
        for one in [] if row is None or row.store != store else pointing_to(row):
            if await profile_of(settings, store, one) == row.id:  # type: ignore[union-attr]
                return one
        raise NobodyThere(f"no identifier of the store {store} points to {text}")
    rules = await rules_in_force(settings, store)
    kinds = strength_order(rules)
    kind, slash, value = text.partition("/")
    if not slash or kind not in kinds:
        kind, value = _kind_of(text, kinds), text
    written = normalised(kind, value, rules)
    if isinstance(written, Refusal):
        raise NoIdentifier(f"'{value[:80]}' is no {kind}: {written.value}")
    return kind, written


def _kind_of(text: str, kinds: Iterable[str]) -> str:
    if "@" in text:
        return "email"
    if text.startswith("+"):
        return "phone"
    raise NoIdentifier(
        f"'{text[:80]}' does not say what it is: write KIND/VALUE with one of {', '.join(kinds)}"
    )


async def rules_in_force(settings: Settings, store: StoreId) -> IngestSettings:
    """What a store says of its identifiers."""
    region = IngestSettings(default_region=settings.default_region or None)
    published = (await definitions_in_force(settings)).get(store)
    if published is None:
        return region
    said = settings_of(parse(published.documents).settings, region.default_region)
    return region.with_store(store, said).of(store)


async def profile_of(
    settings: Settings, store: StoreId, identifier: Identifier
) -> ProfileId | None:
    """The profile an identifier points to."""
    key = key_of(store, identifier)
    partition = partition_of(key, settings.partitions)
    blob = await read_row(settings, IDENTITY_ROWS, partition, key.encode())
    return None if blob is None else _identity_row(blob).profile_id or None


async def profile_row(settings: Settings, profile_id: ProfileId) -> ProfileRow | None:
    """The row of the person who has, or had, this id; None where nobody has."""
    for _ in range(REDIRECTS_MAX):
        partition = partition_of(profile_id, settings.partitions)
        blob = await read_row(settings, PROFILE_ROWS, partition, profile_id.encode())
        row = None if blob is None else _profile_row(blob)
        if row is None or row.gone_at:
            return None
        if row.to is None:
            return row
        profile_id = row.to
    return None


async def erase(settings: Settings, store: StoreId, identifier: Identifier) -> Erasure:
    """Ask for the erasure of whoever this identifier points to, and wait for the answer."""
    pointed = await profile_of(settings, store, identifier)
    row = None if pointed is None else await profile_row(settings, pointed)
    known = [identifier] if row is None else list(dict.fromkeys((identifier, *pointing_to(row))))
    request = uuid4().hex
    value, headers = erasure(store, identifier, request, settings.secret_bytes)
    async with answers(settings, IDENTITY_ERASURES, _erased) as heard:
        await append(settings, key_of(store, identifier), value, headers)
        answer = await heard.of(lambda said: said.request == request)
    return Erasure(answer, known, await _leftover(settings, known))


async def append(settings: Settings, key: str, value: bytes, headers: Headers) -> None:
    producer = AIOKafkaProducer(**settings.kafka_clients(), acks="all")
    try:
        await producer.start()
        await producer.send_and_wait(
            topic_name(settings, STORE_EVENTS.name),
            value,
            key=key.encode(),
            partition=partition_of(key, settings.partitions),
            headers=list(headers),
        )
    finally:
        await producer.stop()


@asynccontextmanager
async def answers(
    settings: Settings, topic: Topic, decode: Callable[[bytes], Answer]
) -> AsyncIterator["Answers[Answer]"]:
    """The answers that are given from now on."""
    places = places_of(settings, topic)
    async with reader_of(settings, places) as reader:
        for place, end in (await reader.end_offsets(places)).items():
            reader.seek(place, end)
        yield Answers(reader, decode)


class Answers(Generic[Answer]):
    """Answers as they come, in the topic that a reader is at the end of."""

    def __init__(self, reader: Reader, decode: Callable[[bytes], Answer]) -> None:
        self._reader, self._decode = reader, decode

    async def of(self, is_meant: Callable[[Answer], bool]) -> Answer | None:
        """The answer that is meant; None where none comes in time."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                while True:
                    for record in await self._reader.records():
                        said = self._decode(record.value)
                        if is_meant(said):
                            return said
        except TimeoutError:
            return None


async def _leftover(settings: Settings, identifiers: list[Identifier]) -> list[str]:
    """Records that were set aside and name one of the identifiers: no topic is rewritten."""
    values = [value.encode() for _, value in identifiers]
    return [
        found.record.id
        async for found in set_aside(settings)
        if any(value in found.value for value in values)
    ]
