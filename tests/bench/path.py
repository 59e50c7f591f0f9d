"""The whole path beside its broker: a log that waits is worked off by one or more workers."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from agents.settings import Settings
from tests.bench.load import Load
from tests.integration.path.running import Worker, deployed

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """What a process has used: seconds of CPU, and the most memory it ever held, in bytes."""

    cpu: float
    memory: int


class Outcome(NamedTuple):
    """seconds: from the first event worked on to the last. usage: by process, `worker-1` ..."""

    events: int
    seconds: float
    usage: dict[str, Usage]

    @property
    def per_second(self) -> float:
        return self.events / self.seconds

    def micros(self, prefix: str) -> float:
        """CPU per event of the processes whose name begins so."""
        spent = sum(one.cpu for name, one in self.usage.items() if name.startswith(prefix))
        return spent / self.events * 1e6


def usage_of(pid: int) -> Usage:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return Usage((int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND, int(peak.split()[1]) << 10)


async def work_off(
    settings: Settings, load: Load, *, workers: int, broker: int, warm: float = 0.2
) -> Outcome:
    """Work off a log that waits; the first share `warm` of its time is not counted.

    broker: the process id of the broker.
    """
    begin = load.rounds[0].end + int((load.end - load.rounds[0].end) * warm)
    counted = load.events_after(begin)
    async with deployed(settings) as path:
        await path.feed(load.rounds)
        running = [path.start_worker() for _ in range(workers)]
        await path.has_members(workers)
        await path.passes(begin)
        before, since = _usages(running, broker), time.perf_counter()
        await path.comes_to(load.end)
        seconds, after = time.perf_counter() - since, _usages(running, broker)
        usage = {
            name: Usage(after[name].cpu - before[name].cpu, after[name].memory) for name in after
        }
        for worker in running:
            assert worker.stop() == 0
        return Outcome(counted, seconds, usage)


def _usages(workers: Sequence[Worker], broker: int) -> dict[str, Usage]:
    found = {f"worker-{n}": usage_of(worker.id.pid) for n, worker in enumerate(workers, 1)}
    return found | {"broker": usage_of(broker)}
