"""The station loop against a log that fails: wherever it stops, nothing is lost or doubled."""

from collections import defaultdict
from collections.abc import Generator, Iterable
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.structs import RecordMetadata

from agents.metrics import Metrics
from agents.rows import Changed, MemoryRows
from agents.station import FAILURES_IN_A_ROW_MAX, Read, Refused, Seat, Station, TooManyFailures
from agents.transactions import KafkaTransactions
from schemas.rows import (
    IDENTITY_ROW_SCHEMA,
    POSITION_KEY,
    PROFILE_ROW_SCHEMA,
    IdentityRow,
    Position,
    ProfileRow,
)
from schemas.topics import FLOW_TRIGGERS, STORE_EVENTS, TOPICS
from streams.identity.step import IdentityCore
from streams.ids import REPLAY_SECRET, Ids
from streams.intake import INPUTS, Intake, RoundIntake, Work
from streams.passing import PassIntake
from streams.profile.step import ProfileCore
from streams.published import is_row_of_a_key
from streams.replay import STAGES, MemoryRecord
from streams.rounds import load_position
from streams.versions import NewerSchema
from tests.streams.simulation import replayed
from tests.streams.test_rounds import PATH, world
from tests.streams.toy import ToyIdentity, ToyProfile, ToyReader

ROWS = "{}-changelog"


class Crashed(Exception):
    """The process is gone."""


class Broker:
    """Topics in memory with transactions; every call of a client is a chance to crash."""

    def __init__(self, crash_at: int | None) -> None:
        self.calls, self.crash_at = 0, crash_at
        self.logs: dict[tuple[str, int], list[MemoryRecord]] = defaultdict(list)

    def chance(self) -> None:
        self.calls += 1
        if self.calls == self.crash_at:
            raise Crashed

    async def ends_of(
        self,
        places: Iterable[TopicPartition],
        *,
        committed: bool = False,  # noqa: ARG002 - all that is there is committed
    ) -> dict[TopicPartition, int]:
        return {place: len(self.logs[place.topic, place.partition]) for place in places}


class Batch:
    """What a producer's `create_batch` gives."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def append(self, **record: Any) -> object | None:
        if len(self.records) == 3:
            return None
        self.records.append(record)
        return object()

    def close(self) -> None:
        """Nothing is appended any more."""


class Acknowledged:
    """What `send_batch` gives: awaited, it says that the broker has the batch."""

    def __init__(self, broker: Broker, offset: int) -> None:
        self.broker, self.offset = broker, offset

    def __await__(self) -> Generator[None, None, RecordMetadata]:
        self.broker.chance()
        yield from ()
        return RecordMetadata("", 0, None, self.offset, 0, 0, 0)


class Producer:
    """A transactional producer of the broker above. Every await may be the last."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.open: list[tuple[str, int, Batch]] = []

    async def start(self) -> None:
        self.broker.chance()

    async def stop(self) -> None: ...

    def create_batch(self) -> Batch:
        return Batch()

    async def begin_transaction(self) -> None:
        self.broker.chance()
        self.open = []

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Any:
        self.broker.chance()
        open_here = (
            held for name, number, held in self.open if (name, number) == (topic, partition)
        )
        offset = len(self.broker.logs[topic, partition]) + sum(
            len(held.records) for held in open_here
        )
        self.open.append((topic, partition, batch))
        return Acknowledged(self.broker, offset)

    async def commit_transaction(self) -> None:
        self.broker.chance()
        for topic, partition, batch in self.open:
            log = self.broker.logs[topic, partition]
            for record in batch.records:
                item = MemoryRecord(
                    len(log), record["timestamp"], record["key"], record["value"], ()
                )
                log.append(item)
        self.broker.chance()


class RowsOnDisk(MemoryRows):
    """Rows that outlive a worker, and know how far they go."""

    offset: int | None = None

    def keep(self, changed: Iterable[Changed], offset: int | None) -> None:
        super().keep(changed, offset)
        self.offset = offset if offset is not None else self.offset


Disk = dict[tuple[str, int], RowsOnDisk]


class Worker:
    """All three stages in one process, recovered from a disk and from what the broker got since."""

    def __init__(self, broker: Broker, partitions: int, disk: Disk) -> None:
        self.broker, self.partitions, self.disk = broker, partitions, disk
        self.seats: list[tuple[str, Seat]] = []
        self.read: list[int] = []

    async def start(self) -> None:
        for stage in STAGES:
            transactions = KafkaTransactions(
                stage,
                {},
                name_of={topic.name: topic.name for topic in TOPICS},
                rows_topic=ROWS.format(stage),
                ends_of=self.broker.ends_of,
                make_producer=lambda **_: Producer(self.broker),  # type: ignore[arg-type]
            )
            await transactions.claim(range(self.partitions))
            for partition in range(self.partitions):
                self._sit(stage, partition, transactions)

    def _recovered(self, stage: str, partition: int) -> MemoryRows:
        rows = self.disk.setdefault((stage, partition), RowsOnDisk())
        changelog = self.broker.logs[ROWS.format(stage), partition]
        known = -1 if rows.offset is None else rows.offset
        assert rows.offset is None or known < len(changelog), "never ahead of the changelog"
        for record in changelog[known + 1 :]:
            assert record.key is not None
            rows.keep([(record.key, record.value)], record.offset)
        assert rows == {record.key: record.value for record in changelog}
        return rows

    def _sit(self, stage: Any, partition: int, transactions: KafkaTransactions) -> None:
        rows = self._recovered(stage, partition)
        position = load_position(rows.get(POSITION_KEY % partition), self.partitions)
        intake: Intake
        if stage == "ingest":
            intake = PassIntake(ToyReader(), partition, position)
        else:
            core: Any = ToyIdentity() if stage == "identity" else ToyProfile()
            intake = RoundIntake(core, partition, position, rows)
        seat = Seat(
            partition,
            intake,
            rows,
            transactions,
            seek=lambda _: pytest.fail("nothing has to be read again"),
            metrics=Metrics("test"),
        )
        self.seats.append((stage, seat))
        self.read.append(position.low)

    async def work(self) -> None:
        """Until nothing moves."""
        moved = True
        while moved:
            moved = False
            for number, (stage, seat) in enumerate(self.seats):
                log = self.broker.logs[INPUTS[stage].name, seat.partition]  # type: ignore[index]
                fresh = log[self.read[number] :]
                if fresh:
                    moved = True
                    follows, self.read[number] = self.read[number], len(log)
                    await seat.handle(Read(follows, fresh))


async def run_with_crash_at(
    call: int | None, partitions: int, source: list[list[MemoryRecord]]
) -> Broker:
    broker, disk = Broker(call), Disk()
    for partition, log in enumerate(source):
        broker.logs[STORE_EVENTS.name, partition] = list(log)
    for _ in range(2):
        worker = Worker(broker, partitions, disk)
        try:
            await worker.start()
            await worker.work()
        except Crashed:
            continue
        return broker
    raise AssertionError("crashed twice")


def said_and_rows(broker: Broker, partitions: int) -> tuple[Any, Any]:
    said = [
        [record.value for record in broker.logs[FLOW_TRIGGERS.name, partition]]
        for partition in range(partitions)
    ]
    rows = {
        (stage, record.key): record.value
        for stage in ("identity", "profile")
        for partition in range(partitions)
        for record in broker.logs[ROWS.format(stage), partition]
        if is_row_of_a_key(record.key)  # type: ignore[arg-type]
    }
    return said, rows


@pytest.fixture
async def small() -> tuple[int, list[list[MemoryRecord]], int]:
    """A world of two partitions with reminders and merges, and how many calls it takes."""
    partitions, source = world(99)
    source = [[record for record in log if record.timestamp < 1100] for log in source]
    broker = await run_with_crash_at(None, partitions, source)
    return partitions, source, broker.calls


async def test_a_crash_at_any_await_loses_and_doubles_nothing(
    small: tuple[int, list[list[MemoryRecord]], int],
) -> None:
    """Rows that were kept on disk are, after what came since, those of the whole changelog."""
    partitions, source, calls = small
    want = said_and_rows(await run_with_crash_at(None, partitions, source), partitions)
    assert sum(map(len, want[0])) >= 3, "reminders were sent"
    replay = replayed(PATH, partitions, source)
    sent = [write for write in replay.run() if write.topic == FLOW_TRIGGERS.name]
    assert sum(map(len, want[0])) == len(sent)
    assert calls > 300
    for call in range(1, calls + 1):
        got = said_and_rows(await run_with_crash_at(call, partitions, source), partitions)
        assert got == want, f"after a crash at call {call}"


class Failing:
    """An intake with a dead letter in every transaction; with `pauses`, in every other one."""

    def __init__(self, *, steps: int = 1, pauses: bool = False) -> None:
        self._left, self._steps, self._pauses = 0, steps, pauses

    def read(self, records: Any) -> None:
        self._left += len(list(records))

    def next(self) -> Work | None:
        if not self._left:
            return None
        self._left -= 1
        if self._pauses and self._left % 2:
            return Work([], [], 1, 0, None, 0)
        return Work([], [], 1, self._steps, None, 1)

    def read_again_from(self) -> int | None:
        return None


class Nowhere:
    """Transactions that are always committed."""

    async def claim(self, partitions: Any) -> None: ...

    async def release(self, partitions: Any) -> None: ...

    async def write(self, partition: int, work: Work) -> None: ...


async def test_dead_letters_in_a_row_stop_the_station() -> None:
    seat = Seat(0, Failing(), MemoryRows(), Nowhere(), seek=lambda _: None, metrics=Metrics("test"))
    records = [MemoryRecord(n, 0, b"", b"") for n in range(FAILURES_IN_A_ROW_MAX)]
    await seat.handle(Read(0, records[:-1]))
    with pytest.raises(TooManyFailures):
        await seat.handle(Read(records[-1].offset, records[-1:]))


async def test_a_dead_letter_among_many_good_turns_does_not_count() -> None:
    seat = Seat(
        0, Failing(steps=100), MemoryRows(), Nowhere(), seek=lambda _: None, metrics=Metrics("test")
    )
    records = [MemoryRecord(n, 0, b"", b"") for n in range(5 * FAILURES_IN_A_ROW_MAX)]
    await seat.handle(Read(0, records))
    assert seat.low == 1


async def test_empty_rounds_between_dead_letters_do_not_hide_them() -> None:
    seat = Seat(
        0,
        Failing(pauses=True),
        MemoryRows(),
        Nowhere(),
        seek=lambda _: None,
        metrics=Metrics("test"),
    )
    records = [MemoryRecord(n, 0, b"", b"") for n in range(2 * FAILURES_IN_A_ROW_MAX)]
    with pytest.raises(TooManyFailures):
        await seat.handle(Read(0, records))


async def test_a_gap_in_what_is_read_is_read_again_once() -> None:
    sought: list[int] = []
    seat = Seat(0, Failing(), MemoryRows(), Nowhere(), seek=sought.append, metrics=Metrics("test"))
    records = [MemoryRecord(n, 0, b"", b"") for n in range(20)]
    await seat.handle(Read(None, records[:5]))
    await seat.handle(Read(7, records[7:9]))
    await seat.handle(Read(9, records[9:]))
    assert sought == [5]
    await seat.handle(Read(5, records[5:]))
    assert seat.steps == 20


def station_with(position: bytes) -> Station:
    return Station(
        "profile",
        2,
        make_intake=lambda *_: Failing(),
        rows_of=lambda partition: MemoryRows({POSITION_KEY % partition: position}),
        transactions=Nowhere(),
        seek=lambda *_: None,
        metrics=Metrics("test"),
    )


def test_a_partition_is_ours_before_anything_of_it_is_read() -> None:
    station = station_with(msgspec.msgpack.encode(Position(partitions=2)))
    assert not station.has(0)
    station.enter(0, 0)
    assert station.has(0)
    assert not station.seats(), "who has to tick before it can read would wait for its own ticks"


def test_a_log_that_was_made_anew_or_cut_is_refused() -> None:
    station = station_with(msgspec.msgpack.encode(Position(low=100, offset=120, partitions=2)))
    station.check_log(0, first=100, end=120)
    with pytest.raises(Refused, match="read up to offset 120, but ends at 119"):
        station.check_log(0, first=0, end=119)
    with pytest.raises(Refused, match="from offset 100 on, but begins at 101"):
        station.check_log(0, first=101, end=200)


def test_a_row_of_a_newer_version_is_refused() -> None:
    newer = msgspec.msgpack.encode(ProfileRow(schema=PROFILE_ROW_SCHEMA + 1))
    with pytest.raises(NewerSchema, match=f"schema {PROFILE_ROW_SCHEMA + 1}"):
        ProfileCore(Ids(REPLAY_SECRET)).decode(newer)
    newer = msgspec.msgpack.encode(IdentityRow(schema=IDENTITY_ROW_SCHEMA + 1))
    with pytest.raises(NewerSchema, match=f"schema {IDENTITY_ROW_SCHEMA + 1}"):
        IdentityCore(Ids(REPLAY_SECRET)).decode(newer)


def test_a_row_of_an_older_version_is_written_as_one_of_this() -> None:
    """The older version must refuse it, not read half of it."""
    profiles, identifiers = ProfileCore(Ids(REPLAY_SECRET)), IdentityCore(Ids(REPLAY_SECRET))
    former = msgspec.msgpack.encode(ProfileRow(schema=PROFILE_ROW_SCHEMA - 1))
    blob = profiles.encode(profiles.decode(former))
    assert msgspec.msgpack.decode(blob)[0] == PROFILE_ROW_SCHEMA
    former = msgspec.msgpack.encode(IdentityRow(schema=IDENTITY_ROW_SCHEMA - 1))
    blob = identifiers.encode(identifiers.decode(former))
    assert msgspec.msgpack.decode(blob)[0] == IDENTITY_ROW_SCHEMA


def test_a_changed_number_of_partitions_and_a_newer_schema_are_refused() -> None:
    station = station_with(msgspec.msgpack.encode(Position(partitions=3)))
    with pytest.raises(Refused, match="3 partitions and now has 2"):
        station.needed_from(0)
    station = station_with(msgspec.msgpack.encode(Position(schema=2, partitions=2)))
    with pytest.raises(Refused, match="schema 2"):
        station.needed_from(1)
