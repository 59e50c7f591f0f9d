"""A reader of topics: aiokafka's consumer, whose end is one also while the broker is away."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.settings import Settings
from schemas.values import Instant

POLL_MS = 200
STOP_SECONDS_MAX = 2.0
"""Then it goes without a word. A broker that does not answer is waited for 40 s by aiokafka."""
LAST_COMMIT_SECONDS_MAX = 1.0
"""How long a broker is waited for once its reader is to end."""


class Reader(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """`AIOKafkaConsumer`, mended in one place, with the ways in which topics are read here."""

    async def records(self, *places: TopicPartition, timeout_ms: int = POLL_MS) -> list[Any]:
        """What has come of these partitions, or of all that are assigned: those of one partition
        together and in their order; none where nothing comes in time.
        """
        fetched = await self.getmany(*places, timeout_ms=timeout_ms)
        return [record for batch in fetched.values() for record in batch]

    async def read_to_end(self, place: TopicPartition) -> AsyncIterator[Any]:
        """An assigned partition from its beginning to where it ends now."""
        await self.seek_to_beginning(place)
        end = (await self.end_offsets([place]))[place]
        while await self.position(place) < end:
            for record in await self.records(place):
                yield record

    async def read_on_from(self, place: TopicPartition, at: Instant) -> AsyncIterator[Any]:
        """An assigned partition from the first record with this timestamp or a later one on,
        without end.
        """
        found = (await self.offsets_for_times({place: at}))[place]
        end = (await self.end_offsets([place]))[place]
        self.seek(place, end if found is None else found.offset)
        while True:
            for record in await self.records(place):
                yield record

    async def commit_unless(
        self, stopping: asyncio.Event, offsets: Mapping[TopicPartition, tuple[int, str]]
    ) -> bool:
        """Commit offset and metadata, however long the broker is away. Returns: False where
        `stopping` was set meanwhile and it does not answer; they may be committed all the same.
        """
        committing: asyncio.Future[Any] = asyncio.ensure_future(self.commit(offsets))
        stopped: asyncio.Future[Any] = asyncio.ensure_future(stopping.wait())
        try:
            await asyncio.wait({committing, stopped}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({committing}, timeout=LAST_COMMIT_SECONDS_MAX)
            if committing.done():
                committing.result()
            return committing.done()
        finally:
            committing.cancel()
            stopped.cancel()

    async def stop(self) -> None:
        """Close it, in `STOP_SECONDS_MAX`. The fetcher of aiokafka 0.14 cancels a fetch that waits
        to be tried again and stumbles over the cancellation: whoever stops a reader would seem to
        be cancelled.
        """
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await super().stop()
        except (asyncio.CancelledError, TimeoutError):
            await self._client.close()
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise


@asynccontextmanager
async def reader_of(
    settings: Settings, places: Iterable[TopicPartition] = (), **options: Any
) -> AsyncIterator[Reader]:
    """A reader of what was committed in these partitions, in no group; closed at the end.

    options: aiokafka's, before those of `Settings.kafka_readers`.
    """
    reader = Reader(**{**settings.kafka_readers(), **options})
    try:
        await reader.start()
        if assigned := list(places):
            reader.assign(assigned)
        yield reader
    finally:
        await reader.stop()
