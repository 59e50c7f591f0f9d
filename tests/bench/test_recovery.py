"""How long a worker takes to have a million profiles again, and how much memory they need."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from time import perf_counter

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from agents.settings import Settings
from agents.topics import topic_name
from schemas.rows import IdentityRow, ProfileRow
from schemas.topics import IDENTITY_ROWS, PROFILE_ROWS, Topic
from streams.identity.keys import key_of
from streams.intake import partition_of
from streams.published import InForce, kept
from tests.bench.conftest import Results
from tests.bench.load import START, STORE, TICK, load, published
from tests.bench.path import usage_of
from tests.integration.path.running import Deployment, deployed
from tests.integration.path.shop import a_tick, core_in_memory, play

PARTITIONS = 4
PROFILES = 1_000_000
SAMPLE = 20_000
KINDS = ("external_id", "email", "anonymous_id")
PIECE = 1_000
DEADLINE_S = 300

Rows = Iterator[tuple[bytes, bytes]]


@pytest.mark.bench
async def test_a_million_profiles(settings: Settings, results: Results) -> None:
    settings = replace(settings, partitions=PARTITIONS)
    samples = sample_rows(settings.secret_bytes)
    async with deployed(settings) as path:
        path.deadline_s = DEADLINE_S
        in_force = [kept(InForce().take(published(), (START, 0, 0)))] * PARTITIONS
        for topic in (PROFILE_ROWS, IDENTITY_ROWS):
            await write_rows(settings, topic, iter(in_force), spread=True)
        size = await write_rows(settings, PROFILE_ROWS, profile_rows(samples))
        await write_rows(settings, IDENTITY_ROWS, identity_rows())
        took, memory = await recovered(path)
    results.note(
        f"recovery of {PROFILES:,} profiles and {PROFILES * len(KINDS):,} identifiers, in memory",
        seconds=took,
        memory_bytes=memory,
        memory_per_profile_bytes=memory / PROFILES,
        row_bytes=size / PROFILES,
    )


async def recovered(path: Deployment) -> tuple[float, int]:
    """Start a worker on the rows that are there.

    Returns: seconds until its first round is done, and the most memory it held, in bytes.
    """
    end = START + TICK
    for partition in range(PARTITIONS):
        await path.feed_records(partition, [a_tick(end)])
    began = perf_counter()
    worker = path.start_worker()
    await path.comes_to(end)
    took = perf_counter() - began
    memory = usage_of(worker.id.pid).memory
    assert worker.stop() == 0
    return took, memory


def sample_rows(secret: bytes) -> list[ProfileRow]:
    """Rows as a load leaves them."""
    replay = core_in_memory(secret, PARTITIONS)
    log = load(SAMPLE, partitions=PARTITIONS, per_second=2_000, people=SAMPLE // 10, secret=secret)
    for piece in log.rounds:
        play(replay, piece.partitions)
        replay.run()
    read = msgspec.msgpack.Decoder(ProfileRow).decode
    rows = [read(blob) for _, _, blob in replay.rows("profile")]
    return [row for row in rows if row.to is None]


def profile_rows(samples: list[ProfileRow]) -> Rows:
    write = msgspec.msgpack.Encoder().encode
    for number in range(PROFILES):
        row = msgspec.structs.replace(samples[number % len(samples)], id=profile_id(number))
        row.identifiers = {kind: {identifier(kind, number): row.last_seen_at} for kind in KINDS}
        yield row.id.encode(), write(row)


def identity_rows() -> Rows:
    write = msgspec.msgpack.Encoder().encode
    for number in range(PROFILES):
        for kind in KINDS:
            of = (kind, identifier(kind, number))
            links = [f"{other}/{identifier(other, number)}" for other in KINDS if other != kind]
            row = IdentityRow(
                store=STORE, identifier=of, profile_id=profile_id(number), links=links
            )
            yield key_of(STORE, of).encode(), write(row)


def profile_id(number: int) -> str:
    return f"i0{number:024x}"


def identifier(kind: str, number: int) -> str:
    return f"p{number}@example.com" if kind == "email" else f"{kind[0]}-{number}"


async def write_rows(settings: Settings, topic: Topic, rows: Rows, *, spread: bool = False) -> int:
    """Write rows to a changelog as workers leave them; returns their bytes.

    spread: one to each partition, whatever their keys.
    """
    name = topic_name(settings, topic.name)
    producer = AIOKafkaProducer(
        **settings.kafka_clients(), compression_type="zstd", max_batch_size=512 << 10
    )
    await producer.start()
    size = 0
    try:
        while piece := list(islice(rows, PIECE)):
            batches = [producer.create_batch() for _ in range(settings.partitions)]
            for number, (key, blob) in enumerate(piece):
                place = number if spread else partition_of(key.decode(), settings.partitions)
                written = batches[place].append(key=key, value=blob, timestamp=0)
                assert written is not None, "a piece fits into batches"
                size += len(blob)
            for partition, batch in enumerate(batches):
                if batch.record_count():
                    batch.close()
                    await producer.send_batch(batch, name, partition=partition)
        await producer.flush()
    finally:
        await producer.stop()
    return size
