"""The feeder of simulated time: records of the past with their ticks, into a namespace of its own.

`store-events` of such a namespace takes its writer's timestamps (CreateTime), so a year runs
through the real broker as fast as it can be worked off.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer

from agents.settings import Settings
from agents.topics import topic_name
from schemas.topics import STORE_EVENTS
from schemas.values import Instant

BATCH_BYTES_MAX = 512 << 10
REQUEST_BYTES_MAX = 8 << 20


class Fed(Protocol):
    """A record to be fed."""

    @property
    def received_at(self) -> Instant: ...
    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Feeder:
    """Appends to `store-events` with timestamps of its own. One feeder a namespace."""

    def __init__(self, settings: Settings) -> None:
        self._topic = topic_name(settings, STORE_EVENTS.name)
        self._producer = AIOKafkaProducer(
            **settings.kafka_clients(),
            enable_idempotence=True,
            compression_type="zstd",
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=REQUEST_BYTES_MAX,
        )

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self._producer.stop()

    async def feed(self, partition: int, records: Iterable[Fed]) -> None:
        """Append records to one partition, in their order; return when the broker has them."""
        sent = []
        batch = self._producer.create_batch()
        for record in records:
            item = {
                "key": record.key,
                "value": record.value,
                "timestamp": record.received_at,
                "headers": list(record.headers),
            }
            if batch.append(**item) is None:
                sent.append(await self._send(batch, partition))
                batch = self._producer.create_batch()
                batch.append(**item)
        if batch.record_count():
            sent.append(await self._send(batch, partition))
        for future in sent:
            await future

    async def _send(self, batch: Any, partition: int) -> Any:
        batch.close()
        return await self._producer.send_batch(batch, self._topic, partition=partition)
