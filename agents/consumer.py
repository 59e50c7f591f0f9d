"""Faust's consumer, taught to hand over whole batches: the public hook is `app.transport`.

Stock Faust delivers message by message (60 to 180 us each) and acknowledges what was never
processed. Here an event is all that one fetch brought of one partition; what may be acknowledged is
what the station says, after its transaction. Recovery applies whole fetches of the changelog and
ends by position, because a transaction's marker takes the last offset and is never delivered.

Rebalances follow each other closely, and Faust's recovery of one goes on while the next takes and
gives partitions. So nothing that was begun before partitions were taken counts afterwards: fetches
are known by `_epoch`, changelogs count from where recovery went (`_recovery_sought`), and seats are
taken only while `_claimed` is the same.

The inside of Faust and aiokafka that is used here, pinned with their versions:
- replaced: `_create_worker_consumer`, `_drain_messages`, `_filter_tps_with_pending_acks`,
  `_new_consumer_thread`, `_new_offset`, `_reset_state`, `_wait_next_records`
- of the consumer and its thread: `_committed_offset`, `_ensure_consumer`, `_get_active_partitions`,
  `_is_changelog_tp`, `_read_offset`, `_seek`, `_stopped`
- of the recovery of tables: `_generation_id`, `_set_recovery_ended`, `active_highwaters`,
  `active_offsets`, `active_tps`, `in_recovery`, `need_recovery`, `signal_recovery_end`
- of aiokafka's consumer: `_client`, `_fetch_max_wait_ms`, `_isolation_level`
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any

import faust
from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from agents.rows import StateTable
from agents.station import Read, Refused, Station, give_up

FETCH_WAIT_MS_MAX = 20
POLL_SECONDS = 0.05
RECOVERY_SECONDS = 0.005
ANSWER_SECONDS_MAX = 85.0
"""Less than the `broker_request_timeout` of `agents/app.py`."""


class BatchMessage(ConsumerMessage):
    """Stands for all records that one fetch brought of one partition."""

    __slots__ = ()


class BatchSchema(faust.Schema[Any, Any]):
    """Hands the batch over as it is: decoding is the station's business."""

    def compile(self, app: Any, **_: Any) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001
            return app.create_event(None, message.value, None, message)

        return decode


class _Thread(driver.AIOKafkaConsumerThread):
    """Reads only what was committed, and does not hold up busy partitions for idle ones."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ending = asyncio.Event()

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS_MAX
        return consumer

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await self._unless_ending(super().on_partitions_revoked(revoked))

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        await self._unless_ending(super().on_partitions_assigned(assigned, generation_id))

    async def _unless_ending(self, told: Coroutine[Any, Any, None]) -> None:
        """Tell the worker's thread of a rebalance. Where that ends it may not answer any more, and
        the client would wait for it with its own end.
        """
        telling, ending = asyncio.ensure_future(told), asyncio.ensure_future(self._ending.wait())
        await asyncio.wait({telling, ending}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if telling.done():
            telling.result()
        else:
            telling.cancel()

    async def on_thread_stop(self) -> None:
        """Stop the client, also where it stumbles: as in agents/reader.py."""
        self._ending.set()
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            await self._ensure_consumer()._client.close()

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Whether a partition moves is seen by its clock, not by Faust's acknowledgements."""


class BatchConsumer(driver.Consumer):
    """The consumer of one stage: one input topic, one table."""

    station: Station
    table: StateTable
    input_topic: str
    app: Any

    def _reset_state(self) -> None:
        super()._reset_state()
        self._sought: dict[int, int] = {}
        self._fetching = asyncio.Lock()
        self._epoch, self._recovery_sought = 0, False
        self._claimed: frozenset[int] | None = None

    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    # --- rebalancing ---------------------------------------------------------------------------

    def _whole(self, assigned: Iterable[TP]) -> set[int]:
        """The partitions that came with their changelog. Others wait for the next rebalance."""
        partitions = {topic: set[int]() for topic in (self.input_topic, self._changelog)}
        for tp in assigned:
            partitions[tp.topic].add(tp.partition)
        return set.intersection(*partitions.values())

    @property
    def _changelog(self) -> str:
        return self.table.changelog_topic_name

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Ask for partitions of the input and of the changelog together, or for none.

        Faust asks for the input alone where it is told to end while it starts. Its assignor would
        part the two: a seat without rows would do the whole log a second time.
        """
        if {self.input_topic, self._changelog} <= set(topics):
            await super().subscribe(topics)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Leave the seats. What fails ends the process: the client would only log it and go on."""
        try:
            self._claimed = None
            self._begin_anew()
            await self.station.leave()
            self._sought.clear()
            await super().on_partitions_revoked(revoked)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may go on
            give_up(f"{self.station.name}, leaving", error)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Take the seats. What fails ends the process: partitions nobody works on stand still."""
        try:
            await self._claim(assigned)
            await super().on_partitions_assigned(assigned, generation_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may go on
            give_up(f"{self.station.name}, taking over", error)

    async def _claim(self, assigned: set[TP]) -> None:
        """Claim what is ours now, before recovery asks for the changelog's end.

        A partition that stays keeps its producer and rows: had another worker had it meanwhile,
        the next transaction is fenced.
        """
        self._begin_anew()
        recovery = self.app.tables.recovery
        recovery.active_highwaters.clear()
        ours = self._whole(assigned)
        kept = self.table.rows.partitions.keys() & ours
        gone = self.table.rows.partitions.keys() - ours
        await self.station.transactions.release(gone)
        for partition in gone:
            self.table.rows.drop(partition)
        for tp in [tp for tp in recovery.active_offsets if tp.partition not in kept]:
            del recovery.active_offsets[tp]
        await self.station.transactions.claim(ours)
        await self.table.take(ours)
        self._claimed = frozenset(ours)

    def _begin_anew(self) -> None:
        self._epoch += 1
        self._recovery_sought = False

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Recovery goes to where it reads from. What was fetched before is dropped: were it applied
        afterwards, the rows between would be missing.

        Raises: IllegalStateError, by which Faust ends a recovery that was overtaken.
        """
        async with self._fetching:
            if not self._recovers_what_is_claimed():
                raise IllegalStateError("partitions were taken or given meanwhile")
            epoch = self._epoch = self._epoch + 1
            await super().seek_wait(partitions)
            self._recovery_sought = epoch == self._epoch

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        return await self._in_time(super().earliest_offsets(*partitions))

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        return await self._in_time(super().highwaters(*partitions))

    async def _in_time(self, asked: Coroutine[Any, Any, Mapping[TP, int]]) -> Mapping[TP, int]:
        """End the process where the broker does not answer: Faust's recovery would take that for
        the end of its service, and no partition would be recovered any more.
        """
        try:
            return await asyncio.wait_for(asked, ANSWER_SECONDS_MAX)
        except TimeoutError as error:
            give_up(f"{self.station.name}, recovering", error)

    def _recovers_what_is_claimed(self) -> bool:
        """Has recovery heard of the newest assignment? Until then it goes on with the last one."""
        heard_of = self.app.tables.recovery._generation_id
        return self._claimed is not None and heard_of == self.app.consumer_generation_id

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Hold the inputs back until `perform_seek`: Faust would let them through before."""
        changelogs = {tp for tp in tps if self._is_changelog_tp(tp)}
        super().resume_partitions(changelogs)

    async def perform_seek(self) -> None:
        """Go to where the rows say that the log is needed from; where they do not, to the start.

        Nothing is done where partitions were taken or given meanwhile: this comes again then.
        """
        claimed = self._claimed
        await self._rows_recovered()
        if self.should_stop:
            return
        inputs = {TP(self.input_topic, partition) for partition in claimed or ()}
        if inputs:
            first = await self.earliest_offsets(*inputs)
            end = await self.highwaters(*inputs)
            for tp in inputs:
                if self._claimed is not claimed:
                    return
                self._check(tp, first[tp], end[tp])
                low = self.station.needed_from(tp.partition)
                start = first[tp] if low is None else low
                await self._go_to(tp, start)
                self._committed_offset[tp] = low
                self.station.enter(tp.partition, start)
        super().resume_partitions(inputs)

    def _check(self, tp: TP, first: int, end: int) -> None:
        """Refuse to work on a log that does not fit the rows: Faust would only try again."""
        try:
            self.station.check_log(tp.partition, first, end)
        except Refused as refused:
            give_up(f"{self.station.name}/{tp.partition}", refused)

    async def _go_to(self, tp: TP, offset: int) -> None:
        await self._seek(tp, offset)
        self._read_offset[tp] = offset

    def seek_again(self, partition: int, offset: int) -> None:
        """Read a partition again from `offset`; what is under way is dropped."""
        self._sought[partition] = offset

    # --- acknowledging -------------------------------------------------------------------------

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:  # noqa: ARG002
        return (TP(self.input_topic, partition) for partition in self.station.lows())

    def _new_offset(self, tp: TP) -> int | None:
        low = self.station.lows().get(tp.partition)
        return low if low != self._committed_offset[tp] else None

    # --- reading -------------------------------------------------------------------------------

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's shape
        if self.flow_active and not self._get_active_partitions():
            await asyncio.sleep(0.002)  # stock Faust would sleep for a second
            return {}, set()
        return await super()._wait_next_records(timeout)

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                await asyncio.sleep(0)
                while self._sought:
                    partition, offset = self._sought.popitem()
                    await self._go_to(TP(self.input_topic, partition), offset)
                if not self.flow_active:
                    await self.wait(self.can_resume_flow)  # type: ignore[arg-type]
                async with self._fetching:
                    if not self.flow_active:
                        continue
                    epoch, generation = self._epoch, self.app.consumer_generation_id
                    records, active = await self._wait_next_records(POLL_SECONDS)
                if records is None or self.should_stop or not self.flow_active:
                    continue
                await self._deliver(records, active, epoch, generation)
                await self._end_recovery()
        except self.consumer_stopped_errors:
            if not self.transport.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.transport.app.should_stop:
                raise

    async def _deliver(
        self,
        records: Mapping[Any, Sequence[Any]],
        active: set[TP] | None,
        epoch: int,
        generation: int,
    ) -> None:
        """Hand over what was fetched; what a rebalance overtook is read again."""
        for of, batch in records.items():
            if not self.flow_active or epoch != self._epoch:
                return
            tp = TP(of.topic, of.partition)
            if tp.topic != self.input_topic:
                self._recover(tp, batch)
            elif (active is None or tp in active) and generation == self.app.consumer_generation_id:
                await self._hand_over(tp, batch, generation)

    async def _hand_over(self, tp: TP, batch: Sequence[Any], generation: int) -> None:
        follows = self._read_offset[tp]
        fresh = [record for record in batch if follows is None or record.offset >= follows]
        if not fresh:
            return
        last = fresh[-1]
        message = BatchMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            Read(follows, fresh),  # type: ignore[arg-type]
            None,
            0,
            0,
            tp,
            generation_id=generation,
        )
        self._read_offset[tp] = last.offset + 1
        await self.wait_first(self.callback(message), self.suspend_flow.wait())

    # --- recovery ------------------------------------------------------------------------------

    def _recover(self, tp: TP, batch: Sequence[Any]) -> None:
        """Apply a fetch of the changelog at once, and never through Faust's recovery buffer: a
        record that waits there is applied after newer ones and overwrites them.
        """
        offsets = self.app.tables.recovery.active_offsets
        if tp not in offsets or tp.partition not in self.table.rows.partitions:
            return
        if not self._recovery_sought:
            return
        seen = offsets[tp]
        fresh = [record for record in batch if seen is None or record.offset > seen]
        if fresh:
            self.table.rows.recover(tp.partition, fresh)
            offsets[tp] = self._read_offset[tp] = fresh[-1].offset

    async def _end_recovery(self) -> None:
        """End recovery where the position has passed the end of every changelog."""
        recovery, epoch = self.app.tables.recovery, self._epoch
        if not self._recovery_sought:
            return
        if recovery.need_recovery():
            for tp, end in list(recovery.active_highwaters.items()):
                if tp in recovery.active_tps and (recovery.active_offsets.get(tp) or -1) < end:
                    try:
                        position = await self.position(tp)
                    except IllegalStateError:
                        return  # it was given away meanwhile
                    if epoch != self._epoch:
                        return
                    if position is not None and position > end:
                        recovery.active_offsets[tp] = end
        known = recovery.active_tps <= recovery.active_highwaters.keys()
        if recovery.in_recovery and known and not recovery.need_recovery():
            recovery._set_recovery_ended()
            recovery.signal_recovery_end.set()

    async def _rows_recovered(self) -> None:
        """Wait until the changelogs were really read to their ends.

        Faust's word for it is an event that stays set for up to five seconds: of two rebalances
        in a row the second recovery would end before it began, and the rows would be missing.
        """
        recovery, generation = self.app.tables.recovery, self.app.consumer_generation_id
        if not recovery.need_recovery():
            return
        changelogs = set(recovery.active_tps)
        super().resume_partitions(changelogs)
        while recovery.need_recovery() and not self.should_stop:
            if generation != self.app.consumer_generation_id:
                return
            await asyncio.sleep(RECOVERY_SECONDS)
        self.pause_partitions(changelogs)


def transport_for(
    app: faust.App, *, station: Station, table: StateTable, input_topic: str
) -> driver.Transport:
    """The transport of one stage's app."""

    class Consumer(BatchConsumer):
        pass

    Consumer.station, Consumer.table, Consumer.input_topic = station, table, input_topic

    class Transport(driver.Transport):
        pass

    Transport.Consumer = Consumer
    return Transport(app.conf.broker_consumer, app)
