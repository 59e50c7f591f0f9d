"""How the path stands: what its workers say of themselves, what the broker knows of its topics."""

import asyncio
import time
import urllib.request
from collections.abc import Mapping, Sequence

import msgspec

from agents.admin import committed_offsets
from agents.backfill import BackfillStanding, standing_of_backfills
from agents.probes import HOST, addresses
from agents.reader import reader_of
from agents.settings import Settings
from agents.topics import places_of, topic_name
from agents.worker_status import WorkerStatus
from schemas.topics import DEAD_LETTERS, DEFINITIONS, STORE_EVENTS_REJECTED
from schemas.values import Instant, Stage
from streams.intake import INPUTS

ANSWER_SECONDS_MAX = 2.0
SAMPLE_SECONDS = 1.0
SET_ASIDE = (STORE_EVENTS_REJECTED, DEAD_LETTERS)
TOPICS = (*INPUTS.values(), *SET_ASIDE, DEFINITIONS)
"""What is asked about."""

_statuses = msgspec.json.Decoder(WorkerStatus)


class StageStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One stage over all workers.

    lag: records after what was acknowledged (transaction markers and clocks count).
    clock: the least of its partitions, None before the first round; held_back_by: by whom.
    """

    stage: Stage
    partitions: int
    steps_per_second: float
    lag: int
    clock: Instant | None
    held_back_by: str | None
    waiting: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The whole path.

    set_aside: topic -> records that were rejected or failed. backfills: those under way.
    """

    workers: list[WorkerStatus]
    stages: list[StageStanding]
    set_aside: dict[str, int]
    backfills: list[BackfillStanding] = []


def workers_here(settings: Settings) -> list[WorkerStatus]:
    """What the workers of this machine say now; one that does not answer is left out."""
    found = []
    for address in addresses(settings, "worker"):
        url = f"http://{HOST}:{address.port}/status"
        try:
            with urllib.request.urlopen(url, timeout=ANSWER_SECONDS_MAX) as answer:
                found.append(_statuses.decode(answer.read()))
        except OSError:
            continue
    return found


async def standing(settings: Settings) -> Standing:
    """Look twice, `SAMPLE_SECONDS` apart, so that there are rates."""
    before = workers_here(settings)
    began = time.monotonic()
    lags, set_aside = await _from_the_broker(settings)
    backfills = await standing_of_backfills(settings)
    await asyncio.sleep(max(0.0, SAMPLE_SECONDS - (time.monotonic() - began)))
    took = time.monotonic() - began
    after = workers_here(settings)
    stages = [stage_standing(stage, before, after, took, lags[stage]) for stage in INPUTS]
    return Standing(workers=after, stages=stages, set_aside=set_aside, backfills=backfills)


def stage_standing(
    stage: Stage,
    before: Sequence[WorkerStatus],
    after: Sequence[WorkerStatus],
    seconds: float,
    lag: int,
) -> StageStanding:
    """Put the partitions of one stage together."""
    mine = [one for worker in after for one in worker.partitions if one.stage == stage]
    steps = {
        (worker.pid, one.partition): one.steps
        for worker in before
        for one in worker.partitions
        if one.stage == stage
    }
    done = sum(
        one.steps - steps.get((worker.pid, one.partition), 0)
        for worker in after
        for one in worker.partitions
        if one.stage == stage
    )
    last = min(mine, key=lambda one: one.clock, default=None)
    return StageStanding(
        stage=stage,
        partitions=len(mine),
        steps_per_second=round(done / seconds, 1),
        lag=lag,
        clock=None if last is None or not last.clock else last.clock,
        held_back_by=None if last is None else last.held_back_by,
        waiting=sum(one.waiting for one in mine),
    )


async def _from_the_broker(settings: Settings) -> tuple[Mapping[Stage, int], dict[str, int]]:
    """(stage -> lag, topic -> how many records were set aside)."""
    uncommitted = {"isolation_level": "read_uncommitted"}
    async with reader_of(settings, **uncommitted) as reader:
        lags: dict[Stage, int] = {}
        for stage, topic in INPUTS.items():
            places = places_of(settings, topic)
            ends = await reader.end_offsets(places)
            done = await committed_offsets(settings, topic_name(settings, stage))
            lags[stage] = sum(
                end - max(0, done[place].offset if place in done else 0)
                for place, end in ends.items()
            )
        set_aside = {}
        for topic in SET_ASIDE:
            places = places_of(settings, topic)
            first = await reader.beginning_offsets(places)
            ends = await reader.end_offsets(places)
            set_aside[topic.name] = sum(ends[place] - first[place] for place in places)
    return lags, set_aside
