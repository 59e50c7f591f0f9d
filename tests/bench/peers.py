"""Programs side by side: each works off a log that waits, in a namespace of its own.

Every one of them is watched in the same way: from the first record that its first stage passes on
to the moment when all that it has to say can be read. What its start takes is not counted.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer

from agents.settings import Settings
from schemas.topics import IDENTITY_REQUESTS, Topic
from tests.bench.load import Load
from tests.bench.path import Outcome, Usage, usage_of
from tests.integration.path.reading import places_of, reader_of
from tests.integration.path.running import Deployment, deployed

DEADLINE_SECONDS = 240.0

Done = Callable[[Deployment, AIOKafkaConsumer], Awaitable[bool]]
"""(deployment, a reader in no group) -> can all that was to be said be read?"""


class Contender(NamedTuple):
    """A program that works off a log: `python -m` its module with these arguments."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()


def in_turn(contenders: Sequence[Contender], run: int) -> Sequence[Contender]:
    """Who goes first changes from run to run: the broker gets faster while its Java compiles."""
    first = run % len(contenders)
    return (*contenders[first:], *contenders[:first])


def own_namespace(settings: Settings, contender: Contender, run: int) -> Settings:
    """Settings for one run of one contender."""
    name = contender.name.lower().replace(" ", "-").replace(",", "")
    folder = settings.data / f"{name}-{run}"
    folder.mkdir()
    return replace(settings, namespace=f"{settings.namespace}-{name}-{run}", data=folder)


async def watch(
    settings: Settings, contender: Contender, log: Load, *, events: int, done: Done, broker: int
) -> Outcome:
    """Have one contender work off `log`, which holds so many events.

    broker: the process id of the broker.
    """
    async with deployed(settings) as path:
        path.deadline_s = DEADLINE_SECONDS
        await path.feed(log.rounds)
        reader = reader_of(settings)
        await reader.start()
        try:
            worker = path.start_worker(*contender.arguments, program=contender.module)

            async def passes_on() -> bool:
                return await records_in(settings, reader, IDENTITY_REQUESTS) > 0

            async def has_said_all() -> bool:
                return await done(path, reader)

            await path.until("the first stage passes something on", passes_on)
            since = time.perf_counter()
            before = usage_of(worker.id.pid), usage_of(broker)
            await path.until("all is said", has_said_all)
            seconds = time.perf_counter() - since
            after = usage_of(worker.id.pid), usage_of(broker)
        finally:
            await reader.stop()
        worker.stop()
    used = [Usage(new.cpu - old.cpu, new.memory) for old, new in zip(before, after, strict=True)]
    return Outcome(events, seconds, dict(zip(("worker", "broker"), used, strict=True)))


async def records_in(settings: Settings, reader: AIOKafkaConsumer, topic: Topic) -> int:
    """How many offsets a topic has used: its records, where nobody writes transactions."""
    return sum((await reader.end_offsets(list(places_of(settings, [topic])))).values())


def figures(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """The medians of several runs, and the slowest and fastest of them."""
    rates = [outcome.per_second for outcome in outcomes]
    return {
        "events_per_s": median(rates),
        "slowest_per_s": min(rates),
        "fastest_per_s": max(rates),
        "worker_us": median(outcome.micros("worker") for outcome in outcomes),
        "broker_us": median(outcome.micros("broker") for outcome in outcomes),
        "worker_memory_bytes": max(outcome.usage["worker"].memory for outcome in outcomes),
    }
