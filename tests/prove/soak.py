"""The live pipeline at half of what it can do, for as long as is asked: `make soak MINUTES=20`.

It starts `tillstream up` on a folder of its own, finds out how many events a second it works off,
pushes half as many (or RATE) for the asked time and writes down memory, lag and latency: a CSV and
a picture in `docs/proof/`. It ends everything it started. Settings of the environment hold, but for
the folder and the number of partitions.
"""

import argparse
import asyncio
import csv
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from agents.embedded.process import ProcessId
from agents.live.place import running
from agents.settings import PREFIX, Settings
from agents.standing import standing
from agents.topics import topic_name
from schemas.topics import STORE_EVENTS, TIMELINE
from tests.integration.live.running import children, environ_of, terminal
from tests.prove.chart import svg

UP = f"{sys.executable} -m agents.cli.main up --definitions deploy/demo/definitions"
START_SECONDS_MAX = 120
PARTITIONS = 4
PEOPLE = 20_000
WARM_UP_EVENTS, MEASURED_EVENTS = 20_000, 60_000
BURST = 1_000
TICK_SECONDS = 0.1
SAMPLE_SECONDS = 10
MARKER = b"soak-marker-"
FLAT = 1.5
"""Lag and latency are flat where the last third's median is below this many times the first's."""

METRICS = ("Viewed Product",) * 6 + ("Added to Cart",) * 2 + ("Opened Email", "Placed Order")


class Sample(NamedTuple):
    """What was seen at one instant. Latencies in milliseconds, memory in MiB."""

    minutes: float
    pushed_per_second: float
    lag: int
    waiting: int
    latency_p50: float
    latency_p99: float
    worker: float
    broker: float
    database: float
    up: float


class Shop:
    """Pushes events of a fixed crowd, and watches when the marked ones come out."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self._topic = topic_name(settings, STORE_EVENTS.name)
        self._producer = AIOKafkaProducer(
            **settings.kafka_clients(), linger_ms=5, compression_type="zstd"
        )
        self._reader = AIOKafkaConsumer(
            **settings.kafka_clients(), isolation_level="read_committed", fetch_max_wait_ms=20
        )
        name = topic_name(settings, TIMELINE.name)
        self._places = [TopicPartition(name, partition) for partition in range(PARTITIONS)]
        self._chance = random.Random(seed)
        self.pushed = self.seen = 0
        self._marked: dict[bytes, float] = {}
        self._latencies: list[float] = []

    async def __aenter__(self) -> "Shop":
        await self._producer.start()
        await self._reader.start()
        self._reader.assign(self._places)
        await self._reader.seek_to_end()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watching.cancel()
        await asyncio.wait({self._watching})
        await self._reader.stop()
        await self._producer.stop()

    async def push(self, count: int) -> None:
        """Append events; the first of them is marked."""
        for number in range(count):
            name = b"%s%d" % (MARKER if not number else b"soak-", self.pushed)
            if not number:
                self._marked[name] = time.monotonic()
            await self._producer.send(
                self._topic, self._event(name), partition=self.pushed % PARTITIONS
            )
            self.pushed += 1

    def _event(self, name: bytes) -> bytes:
        metric = self._chance.choice(METRICS)
        value = ',"value":"19.90","currency":"EUR"' if metric == "Placed Order" else ""
        person = self._chance.randrange(PEOPLE)
        return (
            f'{{"id":"{name.decode()}","metric":"{metric}"{value},'
            f'"properties":{{"product_id":"p{person % 300}"}},'
            f'"profile":{{"email":"p{person}@example.com"}}}}'
        ).encode()

    async def _watch(self) -> None:
        while True:
            for records in (await self._reader.getmany(timeout_ms=50)).values():
                now = time.monotonic()
                for record in records:
                    self.seen += 1
                    if (start := record.value.find(MARKER)) >= 0:
                        name = record.value[start : record.value.index(b'"', start)]
                        self._latencies.append(1000 * (now - self._marked.pop(name)))

    async def work_off(self, seconds_max: float) -> None:
        """Wait until all that was pushed has come out."""
        async with asyncio.timeout(seconds_max):
            while self.seen < self.pushed:  # noqa: ASYNC110 - the reader counts
                await asyncio.sleep(TICK_SECONDS)

    def latencies(self) -> list[float]:
        """Those since last asked, sorted; what has not come out yet counts with its age."""
        now = time.monotonic()
        waiting = [1000 * (now - since) for since in self._marked.values()]
        found, self._latencies = sorted(self._latencies + waiting), []
        return found


async def rate_max(shop: Shop) -> float:
    """Events a second that are worked off, the pushing being done before most of it."""
    await shop.push(WARM_UP_EVENTS)
    await shop.work_off(START_SECONDS_MAX)
    began = time.monotonic()
    for _ in range(MEASURED_EVENTS // BURST):
        await shop.push(BURST)
    await shop.work_off(4 * START_SECONDS_MAX)
    shop.latencies()
    return MEASURED_EVENTS / (time.monotonic() - began)


async def soak(shop: Shop, settings: Settings, rate: float, minutes: float) -> list[Sample]:
    """Push at this rate for so long. Returns: what was seen each `SAMPLE_SECONDS`."""
    samples: list[Sample] = []
    began = sampled = time.monotonic()
    before = shop.pushed
    pushing = asyncio.create_task(push_at(shop, rate))
    try:
        while time.monotonic() - began < 60 * minutes:
            await asyncio.wait({pushing}, timeout=SAMPLE_SECONDS)
            assert not pushing.done(), pushing.exception()
            now, pushed = time.monotonic(), shop.pushed
            pace = (pushed - before) / (now - sampled)
            samples.append(await sample(shop, settings, (now - began) / 60, pace))
            sys.stdout.write(f"{samples[-1]}\n")
            sys.stdout.flush()
            sampled, before = now, pushed
    finally:
        pushing.cancel()
        await asyncio.wait({pushing})
    return samples


async def push_at(shop: Shop, rate: float) -> None:
    """Push so many events a second, until cancelled."""
    began, first = time.monotonic(), shop.pushed
    while True:
        due = int(rate * (time.monotonic() - began)) - (shop.pushed - first)
        if due > 0:
            await shop.push(due)
        await asyncio.sleep(TICK_SECONDS)


async def sample(shop: Shop, settings: Settings, minutes: float, pace: float) -> Sample:
    seen = await standing(settings)
    latencies = shop.latencies() or [0.0]
    memory = memory_of(settings)
    return Sample(
        round(minutes, 2),
        round(pace, 1),
        sum(stage.lag for stage in seen.stages),
        sum(stage.waiting for stage in seen.stages),
        round(latencies[len(latencies) // 2], 1),
        round(latencies[len(latencies) * 99 // 100], 1),
        *(round(memory.get(name, 0), 1) for name in ("worker", "broker", "database", "up")),
    )


def memory_of(settings: Settings) -> Mapping[str, float]:
    """What the processes of `up` hold in memory, in MiB."""
    state = running(settings)
    assert state is not None, "`up` has ended"
    processes: dict[str, ProcessId] = {"up": state.owner, **children(state.owner)}
    return {name: resident_kib(one.pid) / 1024 for name, one in processes.items()}


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def growth(values: list[float]) -> float:
    """The last third's median over the first third's."""
    third = max(1, len(values) // 3)
    return statistics.median(values[-third:]) / max(1.0, statistics.median(values[:third]))


def report(samples: list[Sample], most: float, out: Path) -> bool:
    """Write CSV and picture, say what grew. Returns: whether lag and latency are flat."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "soak.csv").open("w", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(Sample._fields)
        writer.writerows(samples)
    column: Any = {name: [getattr(one, name) for one in samples] for name in Sample._fields}
    pace = statistics.mean(column["pushed_per_second"])
    title = f"{pace:,.0f} events/s; {most:,.0f} were worked off at the beginning"
    panels = {
        "latency to the timeline, ms": {"p50": column["latency_p50"], "p99": column["latency_p99"]},
        "lag, records": {"lag": column["lag"], "waiting": column["waiting"]},
        "memory, MiB": {name: column[name] for name in ("worker", "broker", "database", "up")},
    }
    (out / "soak.svg").write_text(svg(title, column["minutes"], panels))
    grew = {name: round(growth(column[name]), 2) for name in Sample._fields[2:]}
    print(f"{title}; last third over first third: {grew}")
    return all(grew[name] < FLAT for name in ("lag", "latency_p50", "latency_p99"))


async def run(settings: Settings, options: argparse.Namespace) -> bool:
    state = running(settings)
    assert state is not None
    there = settings.connected_to(*state.kafka)
    async with Shop(there, options.seed) as shop:
        most = await rate_max(shop)
        print(f"worked off: {most:,.0f} events/s")
        samples = await soak(shop, there, options.rate or most / 2, options.minutes)
        await shop.work_off(START_SECONDS_MAX)
    return report(samples, most, options.out)


def main() -> int:
    """Returns: 1 where lag or latency grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rate", type=float, help="events a second; by itself half of the most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/proof"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tillstream-soak-") as name:
        data = Path(name)
        told = {variable: text for variable, text in os.environ.items() if PREFIX in variable}
        fixed = {f"{PREFIX}PARTITIONS": str(PARTITIONS), f"{PREFIX}DATA": name}
        environ = environ_of(data, **told | fixed)
        settings = Settings.from_environ(environ)
        with terminal(UP, environ, data / "up.log") as up:
            deadline = time.monotonic() + START_SECONDS_MAX
            while "Tillstream is up" not in up.output():
                assert not up.ended(), up.output()
                assert time.monotonic() < deadline, up.output()
                time.sleep(TICK_SECONDS)
            flat = asyncio.run(run(settings, options))
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
