"""What a rebalance overtook counts no more: the rebalance is told at the worst moments, the rest is
the stage's own consumer; no broker is asked.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from aiokafka.errors import IllegalStateError
from faust.types import TP

from agents import consumer
from agents.app import StageApp
from agents.consumer import BatchConsumer
from agents.profile import profile_app
from agents.settings import Settings
from streams.ids import REPLAY_SECRET, Ids

PARTITIONS = 2


class Cluster:
    """A consumer of the profile stage in a group; assignments are what the test says."""

    def __init__(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = Settings(
            kafka=("localhost:1",), data=data, secret=REPLAY_SECRET.decode(), partitions=PARTITIONS
        )
        self.stage: StageApp = profile_app(settings, Ids(REPLAY_SECRET))
        self.consumer: Any = self.stage.app.consumer
        assert isinstance(self.consumer, BatchConsumer)
        self.recovery: Any = self.stage.app.tables.recovery
        self.begins: dict[TP, int] = {}
        self.thread: Any = self.consumer._thread
        patch = monkeypatch.setattr
        patch(self.stage.station, "transactions", SimpleNamespace(claim=nothing, release=nothing))
        patch(self.consumer, "_thread", SimpleNamespace(seek_wait=nothing, seek=lambda *_: None))
        patch(self.consumer, "resume_partitions", lambda _: None)
        patch(self.consumer, "earliest_offsets", self.first_offsets)
        patch(self.consumer, "highwaters", self.first_offsets)
        self.consumer.flow_active = True

    async def assign(self, *partitions: int) -> None:
        """A rebalance, as far as taking partitions goes; recovery has heard of it, and no more."""
        logs = {self.log(partition) for partition in partitions}
        await self.assign_apart(logs, {self.changelog(partition) for partition in partitions})

    async def assign_apart(self, logs: set[TP], changelogs: set[TP]) -> None:
        self.stage.app.consumer_generation_id += 1
        await self.consumer._claim(logs | changelogs)
        self.recovery._generation_id = self.stage.app.consumer_generation_id
        self.recovery.active_tps |= changelogs
        for tp in changelogs:
            self.recovery.active_offsets.setdefault(tp, None)

    async def revoke(self) -> None:
        self.consumer._claimed = None
        self.consumer._begin_anew()
        await self.stage.station.leave()

    async def recovery_seeks(self) -> None:
        await self.consumer.seek_wait({})

    async def fetched(self, partition: int, *offsets: int, epoch: int | None = None) -> None:
        """Records of the changelog come, fetched in an epoch (None: this one)."""
        tp = self.changelog(partition)
        batch = [SimpleNamespace(key=b"%d" % o, value=b"row", offset=o) for o in offsets]
        now = self.consumer._epoch if epoch is None else epoch
        generation = self.stage.app.consumer_generation_id
        await self.consumer._deliver({tp: batch}, None, now, generation)

    async def first_offsets(self, *_: TP) -> dict[TP, int]:
        return {self.log(partition): 0 for partition in range(PARTITIONS)}

    def rows(self, partition: int) -> set[bytes]:
        return set(self.stage.table.rows.partitions[partition].keys())

    def log(self, partition: int) -> TP:
        return TP(self.stage.input_topic, partition)

    def changelog(self, partition: int) -> TP:
        return TP(self.stage.table.changelog_topic_name, partition)


async def nothing(*_: Any) -> None:
    """Done at once."""


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    made = Cluster(tmp_path, monkeypatch)
    yield made
    made.thread.thread_loop.close()


async def test_rows_are_read_from_where_recovery_went(cluster: Cluster) -> None:
    """A fetch that began somewhere else leaves out what is before it."""
    await cluster.assign(0)
    await cluster.fetched(0, 7, 8)
    assert cluster.rows(0) == set()
    await cluster.recovery_seeks()
    await cluster.fetched(0, 0, 7, 8)
    assert cluster.rows(0) == {b"0", b"7", b"8"}


async def test_what_was_fetched_before_recovery_went_there_is_dropped(cluster: Cluster) -> None:
    await cluster.assign(0)
    before = cluster.consumer._epoch
    await cluster.recovery_seeks()
    await cluster.fetched(0, 7, 8, epoch=before)
    assert cluster.rows(0) == set()


async def test_between_rebalances_recovery_goes_nowhere(cluster: Cluster) -> None:
    await cluster.assign(0)
    await cluster.revoke()
    with pytest.raises(IllegalStateError):
        await cluster.recovery_seeks()


async def test_while_partitions_are_taken_the_recovery_before_goes_nowhere(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is fetched from where it went leaves out rows, or comes before there are any."""
    await cluster.assign(1)
    await cluster.revoke()

    async def claim(_: set[int]) -> None:
        with pytest.raises(IllegalStateError):
            await cluster.recovery_seeks()

    monkeypatch.setattr(cluster.stage.station.transactions, "claim", claim)
    await cluster.assign(0, 1)
    await cluster.fetched(0, 7, 8)
    assert cluster.rows(0) == set()


async def test_a_recovery_that_is_overtaken_on_its_way_does_not_count(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cluster.assign(1)

    async def overtaken(_: dict[TP, int]) -> None:
        await cluster.revoke()
        await cluster.assign(0, 1)

    monkeypatch.setattr(cluster.consumer._thread, "seek_wait", overtaken)
    await cluster.recovery_seeks()
    await cluster.fetched(0, 7, 8)
    assert cluster.rows(0) == set()


async def test_a_partition_that_comes_again_is_read_from_its_start(cluster: Cluster) -> None:
    """Also where a recovery that was overtaken noted meanwhile how far it had come."""
    await cluster.assign(0, 1)
    await cluster.recovery_seeks()
    await cluster.fetched(0, 0, 1)
    await cluster.assign(1)
    cluster.recovery.active_offsets[cluster.changelog(0)] = 1
    await cluster.assign(0, 1)
    await cluster.recovery_seeks()
    await cluster.fetched(0, 0, 1, 2)
    assert cluster.rows(0) == {b"0", b"1", b"2"}


async def test_a_recovery_that_ends_late_takes_no_rows_away(cluster: Cluster) -> None:
    await cluster.assign(1)
    await cluster.recovery_seeks()
    await cluster.fetched(1, 0)
    await cluster.assign(0, 1)
    await cluster.stage.table.on_recovery_completed({cluster.changelog(1)}, set())
    assert cluster.rows(0) == set()
    assert cluster.rows(1) == {b"0"}


async def test_a_recovery_that_is_overtaken_takes_no_seats(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are empty at first: a seat taken then would do the whole log a second time."""
    await cluster.assign(0)

    async def overtaken(*tps: TP) -> dict[TP, int]:
        await cluster.revoke()
        await cluster.assign(0, 1)
        return dict.fromkeys(tps, 0)

    monkeypatch.setattr(cluster.consumer, "highwaters", overtaken)
    await cluster.consumer.perform_seek()
    assert not cluster.stage.station.has(0)
    monkeypatch.setattr(cluster.consumer, "highwaters", cluster.first_offsets)
    await cluster.consumer.perform_seek()
    assert cluster.stage.station.has(0)
    assert cluster.stage.station.has(1)


async def test_a_partition_that_is_given_away_while_recovery_asks_for_it_ends_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cluster.assign(0)
    await cluster.recovery_seeks()
    changelog = cluster.changelog(0)
    cluster.recovery.active_highwaters[changelog] = 5
    cluster.recovery.active_offsets[changelog] = -1

    async def given_away(tp: TP) -> int:
        raise IllegalStateError(tp)

    monkeypatch.setattr(cluster.consumer, "position", given_away)
    await cluster.consumer._end_recovery()
    assert cluster.recovery.need_recovery()


async def test_between_rebalances_no_seat_is_taken(cluster: Cluster) -> None:
    await cluster.assign(0)
    await cluster.revoke()
    await cluster.consumer.perform_seek()
    assert not cluster.stage.station.has(0)


@pytest.mark.parametrize("asked", ["earliest_offsets", "highwaters"])
async def test_a_broker_that_does_not_answer_recovery_ends_the_process(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """Before Faust gives up its recovery, and only that."""
    assert cluster.stage.app.conf.broker_request_timeout > consumer.ANSWER_SECONDS_MAX

    async def never(*_: TP) -> None:
        await asyncio.get_running_loop().create_future()

    def give_up(seat: str, error: BaseException) -> NoReturn:
        raise SystemExit(f"{seat}: {type(error).__name__}")

    monkeypatch.setattr(consumer, "ANSWER_SECONDS_MAX", 0.001)
    monkeypatch.setattr(consumer, "give_up", give_up)
    monkeypatch.setattr(cluster.consumer, "_thread", SimpleNamespace(**{asked: never}))
    with pytest.raises(SystemExit, match="profile, recovering: TimeoutError"):
        await getattr(BatchConsumer, asked)(cluster.consumer, cluster.changelog(0))


async def test_a_worker_that_ends_takes_no_seats(cluster: Cluster) -> None:
    """It may end in the middle of recovery, with a part of the rows."""
    await cluster.assign(0)
    cluster.consumer._stopped.set()
    await cluster.consumer.perform_seek()
    assert not cluster.stage.station.has(0)


async def test_a_client_that_stumbles_while_it_stops_is_closed(cluster: Cluster) -> None:
    """aiokafka lets the cancellation of a fetch that waits to be tried again through."""
    ended: list[str] = []

    class Client:
        async def close(self) -> None:
            ended.append("client")

    class Stumbling:
        _client = Client()

        async def stop(self) -> None:
            ended.append("fetches")
            raise asyncio.CancelledError

    cluster.thread._consumer = Stumbling()
    await cluster.thread.on_thread_stop()
    assert ended == ["fetches", "client"]


async def test_a_client_that_ends_waits_for_no_answer(cluster: Cluster) -> None:
    """The worker's thread that ends hears of no rebalance any more: its queue is stopped first."""
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    cluster.consumer.threadsafe_partitions_assigned = lambda *_: never
    cluster.thread._consumer = None
    telling = asyncio.create_task(cluster.thread.on_partitions_assigned({cluster.log(0)}, 1))
    await asyncio.sleep(0)
    await cluster.thread.on_thread_stop()
    await telling
    assert never.cancelled()


async def test_a_partition_that_comes_without_its_changelog_is_left_alone(cluster: Cluster) -> None:
    """As an assignor gives it where a member asks for one of the two topics only."""
    await cluster.assign_apart({cluster.log(0), cluster.log(1)}, {cluster.changelog(1)})
    await cluster.recovery_seeks()
    await cluster.consumer.perform_seek()
    assert not cluster.stage.station.has(0)
    assert cluster.stage.station.has(1)


async def test_a_changelog_that_comes_without_its_partition_is_left_alone(cluster: Cluster) -> None:
    await cluster.assign_apart({cluster.log(1)}, {cluster.changelog(0), cluster.changelog(1)})
    await cluster.recovery_seeks()
    await cluster.fetched(0, 0, 1)
    await cluster.fetched(1, 0, 1)
    assert cluster.stage.table.rows.partitions.keys() == {1}
    assert cluster.rows(1) == {b"0", b"1"}


async def test_nothing_is_asked_for_but_both_topics(cluster: Cluster) -> None:
    """Faust asks for the input alone where it is told to end before its tables have started."""
    asked: list[set[str]] = []

    async def subscribe(topics: set[str]) -> None:
        asked.append(topics)

    cluster.consumer._thread.subscribe = subscribe
    both = {cluster.log(0).topic, cluster.changelog(0).topic}
    await cluster.consumer.subscribe({cluster.log(0).topic})
    await cluster.consumer.subscribe(both)
    assert asked == [both]
