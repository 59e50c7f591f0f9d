"""What a worker says of itself at `/status`: its form alone, so that whoever asks need not import
what makes a worker.
"""

import msgspec

from schemas.values import Instant, Stage


class PartitionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One partition of one stage in a worker.

    clock: the last boundary done, 0 before the first. held_back_by: the source heard least far.
    waiting: records that are read and not yet applied. disbelieved: ticks too far from our watch.
    steps: records and timers applied since this worker took the partition over.
    """

    stage: Stage
    partition: int
    clock: Instant
    held_back_by: str | None
    waiting: int
    disbelieved: int
    steps: int


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A worker: its process, the instant it said this, whether it is ready, its partitions.

    ticked_seconds_ago: None where another worker ticks.
    """

    pid: int
    now: Instant
    ready: bool
    why_not: list[str]
    partitions: list[PartitionStatus]
    ticked_seconds_ago: float | None = None
