"""The catalogue's watcher under care, beside the timeline sink that it depends on."""

import asyncio

from agents.catalog import CatalogWatcher
from agents.clickhouse import open_client
from agents.live.kept import Say, keep
from agents.settings import Settings


class Catalog:
    """`keep` it running until `stop`. settings: with the addresses of broker and database."""

    def __init__(self, settings: Settings, say: Say) -> None:
        self._settings, self._say = settings, say
        self._watcher: CatalogWatcher | None = None
        self._stopping = asyncio.Event()

    async def keep(self) -> None:
        """Watch until `stop`, whatever happens."""
        await keep(self._run, self._stopping, what="the catalogue's watcher", say=self._say)

    def stop(self) -> None:
        """Let `keep` end."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.stop()

    async def _run(self) -> None:
        client = await asyncio.to_thread(open_client, self._settings)
        try:
            self._watcher = CatalogWatcher(self._settings, client)
            if not self._stopping.is_set():
                await self._watcher.run()
        finally:
            self._watcher = None
            client.close()
