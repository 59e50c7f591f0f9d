"""A small job on the station loop and in Quix Streams, side by side; all must say the same."""

from collections import Counter
from dataclasses import replace
from importlib.util import find_spec

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from agents.embedded.kafka import EmbeddedKafka
from agents.settings import Settings
from schemas.outputs import ClockStruck
from schemas.topics import SEGMENT_CHANGES, SEND_COMMANDS
from streams.replay import Replay
from tests.bench.conftest import Results
from tests.bench.path import Outcome
from tests.bench.peers import Contender, Done, figures, in_turn, own_namespace, watch
from tests.bench.toy_job.log import ToyLog, toy_log
from tests.bench.toy_job.ours import ToyIdentity, ToyProfile, ToyReader
from tests.bench.toy_job.rules import Change, MembershipChanged, ToyCommand
from tests.integration.path.reading import places_of, records_of
from tests.integration.path.running import Deployment

PARTITIONS = 4
EVENTS = 100_000
RUNS = 3
OURS = Contender("ours", "tests.bench.toy_job.ours")
QUIX = Contender("Quix Streams, at least once", "tests.bench.toy_job.quix")
QUIX_ONCE = Contender("Quix Streams, exactly once", QUIX.module, ("--exactly-once",))
CONTENDERS = (OURS, QUIX, QUIX_ONCE)

read_change = msgspec.json.Decoder(MembershipChanged).decode
read_command = msgspec.json.Decoder(ToyCommand | ClockStruck).decode

needs_quix = pytest.mark.skipif(
    find_spec("quixstreams") is None,
    reason="Quix Streams is not installed: `make bench` does, or pip install -e '.[bench]'",
)


def test_our_cores_of_the_small_job_say_what_must_be_said() -> None:
    job = toy_log(3_000, partitions=2, browsers=150)
    path = Replay(2, reader=ToyReader, identity=ToyIdentity(), profile=ToyProfile())
    for piece in job.log.rounds:
        for partition, records in enumerate(piece.partitions):
            for record in records:
                path.append(
                    partition,
                    record.value,
                    record.received_at,
                    key=record.key,
                    headers=record.headers,
                )
    said = [change_in(write.value) for write in path.run() if write.topic == SEGMENT_CHANGES.name]
    assert len({segments for _, segments in said}) > 4, "a log in which much happens"
    assert sorted(said) == sorted(job.changes)


@pytest.mark.bench
@needs_quix
async def test_a_small_job_beside_quix_streams(
    settings: Settings, kafka: EmbeddedKafka, results: Results
) -> None:
    settings = replace(settings, partitions=PARTITIONS)
    job = toy_log(EVENTS, partitions=PARTITIONS)
    outcomes: dict[Contender, list[Outcome]] = {contender: [] for contender in CONTENDERS}
    for run in range(RUNS):
        for contender in in_turn(CONTENDERS, run):
            own = own_namespace(settings, contender, run)
            outcome = await watch(
                own,
                contender,
                job.log,
                events=job.records,
                done=all_changes_read(own, job),
                broker=kafka.process.pid,
            )
            outcomes[contender].append(outcome)
            await expect_what_must_be_said(own, job)
    for contender, found in outcomes.items():
        results.note(f"toy job, {contender.name}", **figures(found))
    ours = figures(outcomes[OURS])
    for contender in (QUIX, QUIX_ONCE):
        theirs = figures(outcomes[contender])
        results.note(
            f"toy job, ours over {contender.name}",
            events_per_s_ratio=ours["events_per_s"] / theirs["events_per_s"],
            worker_us_ratio=ours["worker_us"] / theirs["worker_us"],
        )


def all_changes_read(settings: Settings, job: ToyLog) -> Done:
    """All changes that must be said can be read, by a reader of what is committed."""
    missing = Counter(job.changes)

    async def done(_path: Deployment, reader: AIOKafkaConsumer) -> bool:
        if not reader.assignment():
            reader.assign(list(places_of(settings, [SEGMENT_CHANGES])))
        for records in (await reader.getmany(timeout_ms=50)).values():
            missing.subtract(change_in(record.value) for record in records)
        return all(left <= 0 for left in missing.values())

    return done


def change_in(value: bytes) -> Change:
    change = read_change(value)
    return change.profile, tuple(change.segments)


async def expect_what_must_be_said(settings: Settings, job: ToyLog) -> None:
    """Nobody was disturbed, so all contenders say every change once, and a command with it."""
    said = [change_in(record.value) async for _, record in records_of(settings, [SEGMENT_CHANGES])]
    assert sorted(said) == sorted(job.changes)
    commands = [
        read_command(record.value) async for _, record in records_of(settings, [SEND_COMMANDS])
    ]
    told = [command.profile for command in commands if isinstance(command, ToyCommand)]
    assert sorted(told) == sorted(profile for profile, _ in job.changes)
