"""What a store publishes beside its events: definitions, cuts, the word that sends stop or resume.

In: one of them. Out: a copy in every partition of `store-events` and its note in `switches`, in one
transaction, with the next number of its store. There is one transactional id, so of two who publish
at once one is refused, and numbers neither repeat nor leave a gap.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerFenced

from agents.changelog import read_rows
from agents.settings import Settings
from agents.topics import topic_name
from agents.transactions import sole_producer
from schemas.outputs import DefinitionsAnnounced, PopulationStated, SendsSwitched
from schemas.topics import INGEST_ROWS, STORE_EVENTS, SWITCHES
from schemas.values import StoreId
from streams.ingest.control import Headers
from streams.published import InForce

TRANSACTIONAL_ID = "definitions"
TRANSACTION_TIMEOUT_MS = 10_000
PARTITION = 0
"""Of `switches`: all of it is in one order."""

Switched: TypeAlias = DefinitionsAnnounced | SendsSwitched | PopulationStated

_encode = msgspec.json.Encoder().encode
read_switch = msgspec.json.Decoder(Switched).decode


class AnotherPublishes(Exception):
    """Somebody else published at the same moment: nothing of this was; the message says so."""


class Place(NamedTuple):
    """Where a copy stands."""

    partition: int
    offset: int


class Control(NamedTuple):
    """A record of ours with its number: what goes to `store-events`, and the note of it."""

    value: bytes
    headers: Headers
    note: Switched


async def publish(
    settings: Settings, store: StoreId, numbered: Callable[[int], Control]
) -> tuple[int, list[Place]]:
    """Append what `numbered` makes of the next number, everywhere or nowhere.

    Returns: the number, and where the copies stand.

    Raises: AnotherPublishes.
    """
    claimed = sole_producer(settings, TRANSACTIONAL_ID, timeout_ms=TRANSACTION_TIMEOUT_MS)
    try:
        async with claimed as producer:  # who began before is fenced: the number stays the last
            number = await _last_number(settings, store) + 1
            return number, await _append(settings, producer, numbered(number))
    except ProducerFenced as error:
        raise AnotherPublishes("somebody else publishes just now; nothing was published") from error


async def _append(settings: Settings, producer: AIOKafkaProducer, control: Control) -> list[Place]:
    topic = topic_name(settings, STORE_EVENTS.name)
    async with producer.transaction():
        sent = [
            await producer.send(
                topic, control.value, partition=partition, headers=list(control.headers)
            )
            for partition in range(settings.partitions)
        ]
        noted = await producer.send(
            topic_name(settings, SWITCHES.name),
            _encode(control.note),
            key=key_of(control.note),
            partition=PARTITION,
        )
        places = [await future for future in sent]
        await noted
    return [Place(place.partition, place.offset) for place in places]


def key_of(note: Switched) -> bytes:
    """The key of a note: what it is the newest word about."""
    if isinstance(note, DefinitionsAnnounced):
        return f"definitions/{note.store}".encode()
    if isinstance(note, PopulationStated):
        return f"population/{note.store}".encode()
    return f"sends/{note.store}/{note.flow or ''}/{note.channel or ''}".encode()


async def switches(settings: Settings) -> list[Switched]:
    """The newest word about everything that was published."""
    rows = await read_rows(settings, SWITCHES, PARTITION)
    return [read_switch(value) for _, value in sorted(rows.items())]


async def in_force(settings: Settings) -> InForce:
    """What ingest has taken up."""
    return InForce((await read_rows(settings, INGEST_ROWS, PARTITION)).items())


async def _last_number(settings: Settings, store: StoreId) -> int:
    """The highest of the store: as noted, or as ingest has it where notes were lost."""
    noted = [one.number for one in await switches(settings) if one.store == store]
    return max(*noted, (await in_force(settings)).number(store), 0)
