"""The reference sender: consumes `send-commands` in a group of its own, follows `consent`.

Comes in: commands and clocks, consent and clocks (read_committed: what a station took back is never
seen). Goes out: letters, `Send Expired` events. State: the ledger; the offsets of the group only
say where to read on, and are committed after the ledger has all before them.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
import orjson
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from agents.logs import log
from agents.reader import Reader
from agents.sender.clocks import Judged, TopicClock
from agents.sender.desk import Desk, Promise
from agents.sender.last_look import LastLook
from agents.sender.ledger import Ledger
from agents.sender.smtp import Delivery
from agents.settings import Settings
from agents.switches import PARTITION, read_switch
from agents.topics import places_of, topic_name
from schemas.outputs import ClockStruck, ConsentStated, SendCommand
from schemas.topics import CONSENT, SEND_COMMANDS, STORE_EVENTS, SWITCHES
from schemas.values import Channel, Instant, SendId
from streams.ids import Ids

GROUP = "reference-sender"
DRY_GROUP = "reference-sender-dry"
BATCH_MAX = 500
FETCH_WAIT_MS_MAX = 100
TAIL_RECORDS = 200
"""The newest clock of a partition is among its last records: ticks come four times a second."""
ROUNDS_OF_TAIL_MAX = 50
GIVE_BACK_SECONDS_MAX = 2.0

_read_command = msgspec.json.Decoder(SendCommand | ClockStruck).decode
_read_consent = msgspec.json.Decoder(ConsentStated | ClockStruck).decode


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender has done: the ledger's counts, and what this process saw.

    delivered: by channel. repeats: commands read again. smtp_accepted: handed over for real.
    """

    delivered: dict[str, int]
    expired: int
    suppressed: int
    failed: int
    in_doubt: int
    repeats: int
    read: int


class ReferenceSender:
    """Delivers what `send-commands` says.

    ledger:      the file of the ledger; one sender at a time.
    deliveries:  channel -> who delivers it (`agents.sender.smtp.SmtpDelivery`).
    simulated:   the namespace holds simulated time (agents/sender/clocks.py, last_look.py).
    handed_over: which sends are really handed over; all by default.
    group:       the consumer group: where it goes on reading after a restart.
    reports:     what came too late is reported; a dry sender says nothing to anybody.
    only_deliverable: commands of channels without a delivery are another sender's; else they are
                 settled in the ledger as if they had been delivered.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Path,
        deliveries: Mapping[Channel, Delivery],
        *,
        promise: Promise = "at-most-once",
        simulated: bool = False,
        handed_over: Callable[[SendId], bool] = lambda _: True,
        group: str = GROUP,
        reports: bool = True,
        only_deliverable: bool = False,
    ) -> None:
        self._reports, self._only_deliverable = reports, only_deliverable
        self.has_begun = False
        self._settings, self._simulated = settings, simulated
        self._deliveries = deliveries
        self._ledger = Ledger(ledger)
        self._last_look = LastLook(
            settings.partitions, simulated=simulated, ids=Ids(settings.secret_bytes)
        )
        self._clock = TopicClock(simulated=simulated)
        self._desk = Desk(
            self._ledger,
            self._last_look,
            deliveries,
            self._report,
            promise=promise,
            handed_over=handed_over,
        )
        reads = {**settings.kafka_readers(), "fetch_max_wait_ms": FETCH_WAIT_MS_MAX}
        self._topic = topic_name(settings, SEND_COMMANDS.name)
        in_group = {"group_id": topic_name(settings, group)}
        self._commands = Reader(self._topic, **in_group, **reads)
        self._consent = Reader(**reads)
        self._switches = Reader(**reads)
        self._tail = Reader(**reads)
        self._producer = AIOKafkaProducer(enable_idempotence=True, **settings.kafka_clients())
        self._stopping = asyncio.Event()
        self._moved = asyncio.Condition()
        self._done: dict[int, int] = {}
        self._read = 0

    async def run(self) -> None:
        """Deliver until `stop` is called.

        Raises: ConsentBehind, Unreachable; what was not delivered is read again by the next run.
        """
        clients = (self._producer, self._switches, self._consent, self._tail, self._commands)
        try:
            for client in clients:
                await client.start()
            await self._know_stops()
            self.has_begun = True
            await self._both()
        finally:
            for client in reversed(clients):
                await client.stop()
            for delivery in self._deliveries.values():
                await delivery.close()
            log.info("sender stopped", **msgspec.to_builtins(self.figures()))
            self._ledger.close()

    async def _both(self) -> None:
        """Follow consent and stops, and deliver, until stopped or until one of them fails."""
        tasks = [
            asyncio.create_task(self._read_consent()),
            asyncio.create_task(self._read_switches()),
            asyncio.create_task(self._deliver()),
        ]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """Let `run` end after the batch it is at."""
        self._stopping.set()

    async def drained(self, ends: Mapping[int, int]) -> None:
        """Wait until all before these offsets of `send-commands` (partition -> end) is settled."""
        async with self._moved:
            await self._moved.wait_for(
                lambda: all(self._done.get(partition, 0) >= end for partition, end in ends.items())
            )

    @property
    def consent_read_to(self) -> Instant:
        """How far `consent` has been read, in every partition; 0: not at all."""
        return self._last_look.reached()

    @property
    def aside(self) -> int:
        """Commands that their receiver put off and that will be tried again."""
        return self._desk.aside

    def figures(self) -> Figures:
        counts = self._ledger.counts()

        def total(state: str) -> int:
            return sum(count for (of, _), count in counts.items() if of == state)

        return Figures(
            delivered={
                channel: n for (state, channel), n in counts.items() if state == "delivered"
            },
            expired=total("expired"),
            suppressed=total("suppressed"),
            failed=total("failed"),
            in_doubt=total("taken"),
            repeats=self._desk.repeats,
            read=self._read,
        )

    async def _deliver(self) -> None:
        """Deliver until stopped; give back what is put off then, also where something fails."""
        try:
            await self._deliver_batches()
        finally:
            await self._give_back()

    async def _deliver_batches(self) -> None:
        while not self._stopping.is_set():
            fetched = await self._commands.getmany(timeout_ms=200, max_records=BATCH_MAX)
            for place, records in fetched.items():
                said = [_read_command(record.value) for record in records]
                if not self._simulated:
                    await self._look_ahead(place)
                judged = self._clock.judge(place.partition, said)
                offsets = [
                    record.offset
                    for record, one in zip(records, said, strict=True)
                    if isinstance(one, SendCommand)
                ]
                placed = [
                    one._replace(place=(place, offset))
                    for one, offset in zip(judged, offsets, strict=True)
                ]
                await self._settle([one for one in placed if self._is_mine(one.command)])
            await self._desk.try_again(self._clock.newest)
            if fetched:
                await self._commands.commit()
            await self._note_progress()

    async def _give_back(self) -> None:
        """Go back to what is in doubt, so that the next run reads it again; report the others."""
        first: dict[TopicPartition, int] = {}
        for place, offset in self._desk.in_doubt:
            if place in self._commands.assignment():
                first[place] = min(offset, first.get(place, offset))
        with contextlib.suppress(KafkaError, TimeoutError):  # then the ledger says `failed`
            async with asyncio.timeout(GIVE_BACK_SECONDS_MAX):
                if first:
                    with contextlib.suppress(KafkaError):
                        await self._commands.commit(first)
                await self._desk.give_back()

    def _is_mine(self, command: SendCommand) -> bool:
        return not self._only_deliverable or command.channel in self._deliveries

    async def _settle(self, batch: list[Judged]) -> None:
        if batch:
            self._read += len(batch)
            await self._desk.settle(batch)

    async def _note_progress(self) -> None:
        """Tell who waits how far everything has been settled; a marker has an offset too."""
        async with self._moved:
            for place in self._commands.assignment():
                self._done[place.partition] = await self._commands.position(place)
            self._moved.notify_all()

    async def _look_ahead(self, place: TopicPartition) -> None:
        """Hear the newest clock of a partition whose end is further on than this reader is."""
        end = self._commands.last_stable_offset(place) or 0
        position = await self._commands.position(place)
        if position >= end:
            return
        self._tail.assign([place])
        self._tail.seek(place, max(position, end - TAIL_RECORDS))
        for _ in range(ROUNDS_OF_TAIL_MAX):
            for record in await self._tail.records(timeout_ms=FETCH_WAIT_MS_MAX):
                said = _read_command(record.value)
                if isinstance(said, ClockStruck):
                    self._clock.hear(place.partition, said)
            if await self._tail.position(place) >= end:
                return

    async def _read_consent(self) -> None:
        """Follow `consent` from its beginning, for ever."""
        self._consent.assign(places_of(self._settings, CONSENT))
        while True:
            with contextlib.suppress(OffsetOutOfRangeError):  # compacted away below our feet
                for record in await self._consent.records():
                    if record.value is None:
                        self._last_look.hear_nothing(record.key.decode(), record.timestamp)
                    else:
                        self._last_look.hear(_read_consent(record.value))

    async def _know_stops(self) -> None:
        """Read `switches` up to its end, before the first command."""
        place = TopicPartition(topic_name(self._settings, SWITCHES.name), PARTITION)
        self._switches.assign([place])
        async for record in self._switches.read_to_end(place):
            self._last_look.hear_switch(read_switch(record.value))

    async def _read_switches(self) -> None:
        """Follow `switches` for ever."""
        while True:
            for record in await self._switches.records():
                self._last_look.hear_switch(read_switch(record.value))

    async def _report(self, event: dict[str, Any], now: Instant) -> None:
        """Append a store event. Where the topic takes its writer's time, that is the topic's."""
        if not self._reports:
            return
        key = event["properties"]["send_id"].encode()
        await self._producer.send_and_wait(
            topic_name(self._settings, STORE_EVENTS.name),
            orjson.dumps(event),
            key=key,
            partition=crc32(key) % self._settings.partitions,
            timestamp_ms=now if self._simulated else None,
        )
