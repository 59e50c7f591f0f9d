"""The broker and the database of a live pipeline: embedded ones, or those that the settings name.

What is embedded is started, looked after and ended here. A broker that ends is started again on its
port, from its data; a database that ends gets a new port, so whoever used the old one must be told.
"""

import asyncio
import urllib.request
from dataclasses import replace

from agents.embedded.gateway import ClickHouseGateway
from agents.embedded.kafka import EmbeddedKafka
from agents.settings import Settings, SettingsError

PING_SECONDS_MAX = 5.0
PINGS_MISSED_MAX = 3


class BrokerMoved(Exception):
    """The broker came back on another port than its clients know."""


class Servers:
    """`settings` know the addresses once `start` has returned."""

    def __init__(self, settings: Settings) -> None:
        """Raises: SettingsError, for an embedded database in a folder of its own."""
        if settings.clickhouse is not None and settings.clickhouse.startswith("chdb://"):
            raise SettingsError(
                "TILLSTREAM_CLICKHOUSE names an embedded engine; `up` keeps its own below "
                "TILLSTREAM_DATA. Leave the variable out, or name a server: http://..."
            )
        self.settings = settings
        self.kafka = EmbeddedKafka(settings.data / "kafka") if settings.embedded_kafka else None
        self.gateway = ClickHouseGateway(settings.data) if settings.clickhouse is None else None
        self._missed = 0

    async def start_kafka(self) -> None:
        """Start the broker, or find it running.

        Raises: BrokerFailed; JarsMissing.
        """
        if self.kafka is not None:
            await asyncio.to_thread(self.kafka.start)
            self.settings = self.settings.connected_to(self.kafka.address)

    async def start_database(self) -> None:
        """Start the database.

        Raises: GatewayFailed.
        """
        if self.gateway is not None:
            await asyncio.to_thread(self.gateway.start)
            self.settings = replace(self.settings, clickhouse=self.gateway.dsn)

    async def kafka_revived(self) -> bool:
        """Start the broker again if it has ended. Returns: whether it had.

        Raises: BrokerMoved; BrokerFailed.
        """
        if self.kafka is None or self.kafka.process.is_running():
            return False
        await asyncio.to_thread(self.kafka.start)
        if (self.kafka.address,) != self.settings.kafka:
            raise BrokerMoved(
                f"the embedded broker had to take another port ({self.kafka.address}): "
                "start `tillstream up` again"
            )
        return True

    async def database_ended(self) -> bool:
        """Say whether the embedded database gives no answer any more."""
        if self.gateway is None:
            return False
        alive = await asyncio.to_thread(_answers, f"{self.gateway.dsn}ping")
        self._missed = 0 if alive else self._missed + 1
        return self._missed >= PINGS_MISSED_MAX

    async def database_revived(self) -> None:
        """Start the database again; `settings` know its new address.

        Raises: GatewayFailed.
        """
        assert self.gateway is not None
        await asyncio.to_thread(self.gateway.stop)
        self._missed = 0
        await self.start_database()

    async def stop_database(self) -> None:
        """End the embedded database; its data stay."""
        if self.gateway is not None:
            await asyncio.to_thread(self.gateway.stop)

    async def stop_kafka(self) -> None:
        """End the embedded broker; its data stay."""
        if self.kafka is not None:
            await asyncio.to_thread(self.kafka.stop)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=PING_SECONDS_MAX):  # noqa: S310
            return True
    except OSError:
        return False
