"""One Faust app per stage, and the worker that runs them.

Each stage has its own consumer group, table and transactional producers, so each scales and fails
alone; a worker runs any of them in one process.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import faust
from faust.auth import Credentials
from faust.types import TP

from agents.consumer import BatchConsumer, BatchSchema, transport_for
from agents.logs import log
from agents.metrics import Metrics
from agents.rows import InMemory, Keeping, Rows, StateTable
from agents.settings import Settings
from agents.station import Station, give_up
from agents.topics import ends_of, topic_name
from agents.transactions import KafkaTransactions
from schemas.rows import Position
from schemas.topics import TOPICS, Topic
from schemas.values import Instant, Stage
from streams.core import Core
from streams.intake import INPUTS, Intake, RoundIntake

MakeIntake = Callable[[int, Position, Rows], Intake]


LEAVE_SECONDS_MAX = 5.0

METADATA_MS_MAX = 3_000
"""A broker that comes back may not know every topic at first, and the assignor leaves out what is
not known. The client that looks again has everybody join again."""


class _App(faust.App):
    """Ends in order: the seats with their running transactions, Faust's services, the producers."""

    station: Station
    table: StateTable

    async def on_stop(self) -> None:
        await self._leave()
        await super().on_stop()

    async def on_shutdown(self) -> None:
        await super().on_shutdown()
        await self._leave()  # a rebalance under way may have claimed partitions again
        await self.station.transactions.release(range(self.conf.topic_partitions))
        self.table.rows.close()

    async def _leave(self) -> None:
        """Leave all seats; a transaction that hangs, on a broker that is away, is left open."""
        try:
            await asyncio.wait_for(self.station.leave(), LEAVE_SECONDS_MAX)
        except TimeoutError:
            log.warning("a transaction did not end", stage=self.station.name)


def rounds_of(core: Core[Any]) -> MakeIntake:
    """Makes the intakes of a stage that works in rounds, with the definitions its rows have."""

    def make(partition: int, position: Position, rows: Rows) -> RoundIntake[Any]:
        return RoundIntake(core, partition, position, rows)

    return make


def keeping_of(settings: Settings) -> Keeping:
    """Where the settings say that rows are kept."""
    if settings.store == "memory":
        return InMemory()
    from agents.rocks import OnDisk

    return OnDisk(settings)


class StageApp:
    """A stage as a Faust app: `app`, its `table`, its `station` and the input topic."""

    def __init__(
        self, stage: Stage, settings: Settings, *, rows_topic: Topic, make_intake: MakeIntake
    ) -> None:
        names = {topic.name: topic_name(settings, topic.name) for topic in TOPICS}
        self.stage = stage
        self.app = _App(topic_name(settings, stage), **_faust_settings(settings))
        self.table = StateTable(
            self.app,
            name="rows",
            changelog=names[rows_topic.name],
            partitions=settings.partitions,
            keeping=keeping_of(settings),
        )
        self.app.tables.add(self.table)
        self.station = Station(
            stage,
            settings.partitions,
            make_intake=make_intake,
            rows_of=lambda partition: self.table.rows.partitions[partition],
            transactions=KafkaTransactions(
                self.app.conf.id,
                settings.kafka_clients(),
                name_of=names,
                rows_topic=names[rows_topic.name],
                ends_of=partial(ends_of, settings),
            ),
            seek=self._seek,
            metrics=Metrics(stage),
        )
        self.app.station, self.app.table = self.station, self.table
        self.input_topic = names[INPUTS[stage].name]
        self.app.transport = transport_for(
            self.app, station=self.station, table=self.table, input_topic=self.input_topic
        )
        self.channel = self.app.topic(
            self.input_topic, partitions=settings.partitions, schema=BatchSchema()
        )

    def _seek(self, partition: int, offset: int) -> None:
        consumer = self.app.consumer
        assert isinstance(consumer, BatchConsumer)
        consumer.seek_again(partition, offset)

    @property
    def reached(self) -> Instant | None:
        """The last boundary that all its partitions in this worker have done; None: there is none.

        For the stages that work in rounds.
        """
        intakes = [seat.intake for seat in self.station.seats().values()]
        clocks = [intake.rounds.clock for intake in intakes if isinstance(intake, RoundIntake)]
        return min(clocks, default=None) or None

    @property
    def is_ready(self) -> bool:
        """Its partitions are assigned and recovered."""
        tables: Any = self.app.tables
        return bool(tables.recovery.completed.is_set() and not self.app.rebalancing)

    async def run(self, stream: Any) -> None:
        """Hand every batch of the stream to the station.

        What fails here ends the process: Faust would go on with the next batch.
        """
        stream.enable_acks = False
        async for event in stream.events():
            tp: TP = event.message.tp
            try:
                await self.station.take(tp.partition, event.value)
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing may go on
                give_up(f"{self.stage}/{tp.partition}", error)


def _credentials(settings: Settings) -> Credentials | None:
    """How Faust's own clients prove who they are; all others take `kafka_clients`."""
    clients = settings.kafka_clients()
    context = clients.get("ssl_context")
    if settings.uses_sasl:
        return faust.SASLCredentials(
            username=settings.kafka_username,
            password=settings.kafka_password,
            mechanism=clients["sasl_mechanism"],
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)


def _faust_settings(settings: Settings) -> dict[str, Any]:
    return {
        "broker_credentials": _credentials(settings),
        "broker": [f"kafka://{address}" for address in settings.kafka or ()],
        "store": "memory://",
        "datadir": str(settings.data / "faust"),
        "topic_partitions": settings.partitions,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "table_standby_replicas": 0,
        "web_enabled": False,
        "autodiscover": False,
        "stream_wait_empty": False,
        "stream_buffer_maxsize": 16,
        "broker_max_poll_records": 2_000,
        "broker_commit_interval": 1.0,
        "broker_session_timeout": float(settings.session_seconds),
        "broker_heartbeat_interval": max(0.3, settings.session_seconds / 6),
        "broker_rebalance_timeout": float(settings.session_seconds),
        "broker_request_timeout": 90.0,
        "consumer_auto_offset_reset": "earliest",
        "consumer_metadata_max_age_ms": METADATA_MS_MAX,
        "consumer_group_instance_id": settings.slot,
    }
