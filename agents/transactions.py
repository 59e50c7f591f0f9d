"""One transaction a batch or round: outputs, rows and position become visible together, or not.

Every partition of every stage has a transactional producer of its own. It is claimed when the
partition is assigned, before its rows are recovered: that ends what the former owner left open and
fences it. Where an end is missing nevertheless, nobody goes on
(docs/decisions/0046-a-broker-that-ends-every-transaction.md). Whoever finds itself fenced has lost
the partition and ends the process at once: an orderly way out can hang while the group rejoins
(docs/decisions/0003-fenced-means-gone.md).
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiokafka.producer.sender
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.structs import RecordMetadata

from agents.logs import log
from agents.settings import Settings
from agents.topics import topic_name
from streams.intake import Work, Write

EXIT_FENCED = 70
TRANSACTION_TIMEOUT_MS = 60_000
"""A worker that takes over a quarter of a million rows decodes them for seconds; a transaction that
is open meanwhile must not be ended under it. Whoever takes a partition over ends it at once.
"""
UNDECIDED_SECONDS_MAX = 70.0
"""Longer than any transaction may be open."""
ASK_SECONDS = 0.25
BATCH_BYTES_MAX = 512 << 10
REQUEST_BYTES_MAX = 8 << 20
STOP_SECONDS_MAX = 5.0

# After CONCURRENT_TRANSACTIONS (the marker of the last transaction is still on its way) aiokafka
# sleeps this long; its own 20 ms would be most of a round.
aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.002


class EndLost(Exception):
    """A transaction has no end, and nobody is left who could end it; the message says where."""


class EndsOf(Protocol):
    """`agents.topics.ends_of` of one cluster."""

    async def __call__(
        self, places: Iterable[TopicPartition], *, committed: bool = False
    ) -> Mapping[TopicPartition, int]:
        """Say where partitions end; `committed`: where what is decided ends."""
        ...


class Transactions(Protocol):
    """What a station writes through."""

    async def claim(self, partitions: Iterable[int]) -> None:
        """Become the only writer of these partitions.

        Raises: EndLost.
        """
        ...

    async def release(self, partitions: Iterable[int]) -> None:
        """Give these partitions up."""
        ...

    async def write(self, partition: int, work: Work) -> int | None:
        """Write all of `work`, or nothing that anybody can read.

        Returns: an offset in the changelog up to which all rows are written now, if it is known.
        """
        ...


class KafkaTransactions:
    """Transactions of one stage on a real broker.

    name_of: topic as declared -> topic in Kafka. rows_topic: where changed rows go.
    """

    def __init__(
        self,
        transactional_id: str,
        client: Mapping[str, Any],
        *,
        name_of: Mapping[str, str],
        rows_topic: str,
        ends_of: EndsOf,
        make_producer: Callable[..., AIOKafkaProducer] = AIOKafkaProducer,
        undecided_seconds_max: float = UNDECIDED_SECONDS_MAX,
    ) -> None:
        self._transactional_id, self._client = transactional_id, client
        self._make_producer, self._ends_of = make_producer, ends_of
        self._undecided_seconds_max = undecided_seconds_max
        self._name_of, self._rows_topic = name_of, rows_topic
        self._producers: dict[int, AIOKafkaProducer] = {}

    async def claim(self, partitions: Iterable[int]) -> None:
        fresh = sorted(set(partitions) - self._producers.keys())
        await asyncio.gather(*(self._start(partition) for partition in fresh))
        if fresh:
            await self._expect_ends([TopicPartition(self._rows_topic, p) for p in fresh])

    async def _expect_ends(self, rows: list[TopicPartition]) -> None:
        """Nobody else writes rows, and claiming them ended what was open. What stays undecided the
        next commit would make visible: beside the same round done again. Where we were fenced
        meanwhile, a round of the next owner may be open; that ends.
        """
        written = await self._ends_of(rows)
        patience_until = time.monotonic() + self._undecided_seconds_max
        while True:
            decided = await self._ends_of(rows, committed=True)
            open_ones = [place for place in rows if decided[place] < written[place]]
            if not open_ones:
                return
            if time.monotonic() > patience_until:
                raise EndLost(_end_lost(open_ones[0], decided[open_ones[0]]))
            await asyncio.sleep(ASK_SECONDS)

    async def _start(self, partition: int) -> None:
        producer = self._make_producer(
            **self._client,
            acks="all",
            linger_ms=0,
            retry_backoff_ms=20,
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=REQUEST_BYTES_MAX,
            compression_type="zstd",
            transactional_id=f"{self._transactional_id}-{partition}",
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        )
        try:
            await producer.start()
        except BaseException:
            await self._stop(producer)
            raise
        self._producers[partition] = producer

    async def release(self, partitions: Iterable[int]) -> None:
        gone = [self._producers.pop(p) for p in set(partitions) & self._producers.keys()]
        await asyncio.gather(*map(self._stop, gone))

    async def _stop(self, producer: AIOKafkaProducer) -> None:
        try:
            await asyncio.wait_for(producer.stop(), STOP_SECONDS_MAX)
        except (TimeoutError, KafkaError) as error:
            log.warning("a producer did not stop", stage=self._transactional_id, error=error)

    async def write(self, partition: int, work: Work) -> int | None:
        try:
            return await self._write(self._producers[partition], partition, work)
        except ProducerFenced:
            log.error("fenced: another worker has this partition", partition=partition)
            os._exit(EXIT_FENCED)

    async def _write(self, producer: AIOKafkaProducer, partition: int, work: Work) -> int | None:
        by_place: dict[tuple[str, int], list[Write]] = {}
        for write in work.writes:
            place = (self._name_of[write.topic], write.partition)
            by_place.setdefault(place, []).append(write)
        at = work.writes[-1].timestamp if work.writes else 0
        rows = [Write(self._rows_topic, partition, key, blob, at) for key, blob in work.rows]
        await producer.begin_transaction()
        sent = []
        for (topic, number), writes in by_place.items():
            batches = _batches(producer, writes)
            sent += [await producer.send_batch(batch, topic, partition=number) for batch in batches]
        kept = [
            await producer.send_batch(batch, self._rows_topic, partition=partition)
            for batch in _batches(producer, rows)
        ]
        told = [await future for future in sent + kept]
        await producer.commit_transaction()
        return _first_offset(told[-1])


def _end_lost(place: TopicPartition, offset: int) -> str:
    return (
        f"{place.topic}, partition {place.partition}: the transaction that wrote offset {offset} "
        "has no end, and will get none. The broker lost it: Apache Kafka 4.3.0 to 4.4.0 does, "
        "killed in the middle of a commit. What to do: docs/architecture.md, 'A transaction "
        "without an end'"
    )


def _first_offset(told: RecordMetadata) -> int | None:
    """Of a batch that is written: all before it is written, too. One that was sent again may come
    back without an offset.
    """
    return told.offset if told.offset >= 0 else None


def _batches(producer: AIOKafkaProducer, writes: Iterable[Write]) -> Iterable[Any]:
    """Record batches of up to `BATCH_BYTES_MAX`; a larger record has one of its own."""
    batch = producer.create_batch()
    for write in writes:
        record = {
            "key": write.key,
            "value": write.value,
            "timestamp": write.timestamp,
            "headers": list(write.headers),
        }
        if batch.append(**record) is None:
            batch.close()
            yield batch
            batch = producer.create_batch()
            batch.append(**record)
    batch.close()
    yield batch


@asynccontextmanager
async def sole_producer(
    settings: Settings, name: str, *, timeout_ms: int
) -> AsyncIterator[AIOKafkaProducer]:
    """The one transactional producer of this name in the namespace, for commands and jobs: whoever
    claims it fences the one before, whose next call raises `ProducerFenced`.

    timeout_ms: after so long the broker ends a transaction that was left open.
    """
    producer = AIOKafkaProducer(
        **settings.kafka_clients(),
        acks="all",
        max_request_size=REQUEST_BYTES_MAX,
        transactional_id=topic_name(settings, name),
        transaction_timeout_ms=timeout_ms,
    )
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()
