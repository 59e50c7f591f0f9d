"""Ten thousand generated bad inputs among good ones: each rejected once, no good one lost."""

from collections import Counter
from dataclasses import replace

import pytest

from agents.demo.log import SINCE, LogRecord
from agents.settings import Settings
from schemas.outputs import TimelineEntry
from schemas.topics import STORE_EVENTS_REJECTED, TIMELINE
from streams.instants import SECOND
from tests.integration.path.reading import records_of, said_in, values_of
from tests.integration.path.running import Deployment, deployed
from tests.integration.path.shop import PARTITIONS, a_tick, core_in_memory, play, said_by
from tests.prove.bad_inputs import Bad, bad_inputs

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(600)]

COUNT = 10_000
BETWEEN_GOOD = 4
BETWEEN_TICKS = 500
PEOPLE = 200

Log = list[list[LogRecord]]


def log_of(bads: list[Bad]) -> tuple[Log, int, list[dict[int, Bad]]]:
    """The log by partition, how many good events it has, and where in it the bad ones are."""
    log: Log = [[] for _ in range(PARTITIONS)]
    places: list[dict[int, Bad]] = [{} for _ in range(PARTITIONS)]
    good = 0
    for number, one in enumerate(bads):
        at, partition = SINCE + number * SECOND, number % PARTITIONS
        places[partition][len(log[partition])] = one
        value: bytes = one.value  # type: ignore[assignment]  # a record may have none
        log[partition].append(LogRecord(at, b"key-%d" % number, value, one.headers))
        if number % BETWEEN_GOOD == 0:
            log[partition].append(LogRecord(at, b"", order(good)))
            good += 1
        if number % BETWEEN_TICKS == 0:
            for records in log:
                records.append(a_tick(at))
    for records in log:
        records.append(a_tick(SINCE + len(bads) * SECOND))
    return log, good, places


def order(number: int) -> bytes:
    return b'{"id":"order-%d","metric":"Placed Order","profile":{"email":"p%d@example.com"}}' % (
        number,
        number % PEOPLE,
    )


async def test_ten_thousand_bad_inputs_stop_nothing(settings: Settings, seed: int) -> None:
    log, good, places = log_of(bad_inputs(COUNT, seed))
    small = replace(settings, partitions=PARTITIONS)
    async with deployed(small) as path:
        worker = path.start_worker()
        for partition, records in enumerate(log):
            await path.feed_records(partition, records)
        await path.comes_to(SINCE + COUNT * SECOND)
        counted = await each_rejected_once(path, places, log)
        said = await said_in(small)
        entries = values_of(said, TIMELINE, TimelineEntry)
        assert sorted(entry.event_id for entry in entries) == sorted(
            f"order-{number}" for number in range(good)
        ), "every good one, once"
        replay = core_in_memory(small.secret_bytes)
        play(replay, log)
        assert said == said_by(replay), "dead letters and all"
        assert worker.stop() == 0, "the worker that began"
    print(f"SEED={seed}: {counted.total()} rejected, {good} good; {dict(counted)}")


async def each_rejected_once(
    path: Deployment, places: list[dict[int, Bad]], log: Log
) -> Counter[str]:
    """With its reason, its original bytes and its place. Returns: how many by reason."""
    left = [dict(of) for of in places]
    counted: Counter[str] = Counter()
    async for (_, partition), record in records_of(path.settings, [STORE_EVENTS_REJECTED]):
        told = dict(record.headers)
        offset = int(told["offset"])
        bad = left[partition].pop(offset, None)
        assert bad is not None, f"rejected twice, or good: {told}"
        assert told["reason"].decode() == bad.reason, bad
        assert (record.value or b"") == (bad.value or b"")
        assert record.key == log[partition][offset].key
        counted[bad.reason] += 1
    assert not any(left), "not rejected"
    return counted
