"""A reader of topics: aiokafka's consumer, whose end is one also while the broker is away."""

import asyncio

from aiokafka import AIOKafkaConsumer


class Reader(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """`AIOKafkaConsumer`, mended in one place."""

    async def stop(self) -> None:
        """Close it. The fetcher of aiokafka 0.14 cancels a fetch that waits to be tried again and
        stumbles over the cancellation: whoever stops a reader would seem to be cancelled.
        """
        try:
            await super().stop()
        except asyncio.CancelledError:
            await self._client.close()
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
