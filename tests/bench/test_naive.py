"""The same core in the station loop and in stock Faust written naively, side by side."""

from dataclasses import replace

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from agents.embedded.kafka import EmbeddedKafka
from agents.settings import Settings
from schemas.outputs import TimelineEntry
from schemas.topics import TIMELINE
from tests.bench.conftest import Results
from tests.bench.load import Load, load
from tests.bench.path import Outcome
from tests.bench.peers import Contender, Done, figures, in_turn, own_namespace, records_in, watch
from tests.integration.path.reading import records_of
from tests.integration.path.running import Deployment

PARTITIONS = 4
RATE = 10_000
RUNS = 3
EVENTS_PER_PERSON = 20
OURS = Contender("ours", "agents.worker")
NAIVE = Contender("stock Faust", "tests.bench.naive")
EVENTS = {OURS: 60_000, NAIVE: 8_000}
"""Each person does as much in both. Stock Faust gets fewer people: what an event costs it does not
depend on how many there are, and a round gains the more events it has of one person."""

read_entry = msgspec.json.Decoder(TimelineEntry).decode


@pytest.mark.bench
async def test_the_station_loop_beside_stock_faust(
    settings: Settings, kafka: EmbeddedKafka, results: Results
) -> None:
    settings = replace(settings, partitions=PARTITIONS)
    outcomes: dict[Contender, list[Outcome]] = {OURS: [], NAIVE: []}
    for run in range(RUNS):
        for contender in in_turn((OURS, NAIVE), run):
            events = EVENTS[contender]
            own = own_namespace(settings, contender, run)
            log = load(
                events,
                partitions=PARTITIONS,
                per_second=RATE,
                secret=settings.secret_bytes,
                people=events // EVENTS_PER_PERSON,
            )
            done = all_clocks_at(log) if contender is OURS else timeline_of(own, events)
            outcome = await watch(
                own, contender, log, events=events, done=done, broker=kafka.process.pid
            )
            outcomes[contender].append(outcome)
            told = [
                read_entry(record.value).event_id async for _, record in records_of(own, [TIMELINE])
            ]
            assert len(told) == len(set(told)) == events, "every event is told, and once"
    for contender, found in outcomes.items():
        results.note(f"the whole path, {contender.name}", **figures(found))
    ours, naive = (figures(outcomes[contender]) for contender in (OURS, NAIVE))
    results.note(
        "the whole path, ours over stock Faust",
        events_per_s_ratio=ours["events_per_s"] / naive["events_per_s"],
        worker_us_ratio=ours["worker_us"] / naive["worker_us"],
    )


def all_clocks_at(log: Load) -> Done:
    """The station loop says how far it has come."""

    async def done(path: Deployment, _reader: AIOKafkaConsumer) -> bool:
        await path.follow()
        return min(path.clocks.values()) >= log.end - 1

    return done


def timeline_of(settings: Settings, events: int) -> Done:
    """Every event is told to the timeline once; that is the last thing that is done with it."""

    async def done(_path: Deployment, reader: AIOKafkaConsumer) -> bool:
        return await records_in(settings, reader, TIMELINE) >= events

    return done
