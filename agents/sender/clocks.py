"""The clock by which `valid_until` is judged: that of `send-commands`, never the sender's watch.

Commands of a round come before the clock record that closes it. So the last clock before a command
always lies before its `decided_at`, and by that clock nothing would ever expire. What a late sender
must ask is how far the topic has come *by now*: the newest clock of the command's partition, also
those after the command. That is the rule live (`simulated=False`): a sender that was down for an
hour finds an hour of clocks behind the first command it reads, and drops what is past.

In simulated time the same question has no answer worth having: a year goes by in minutes, so a
sender that is 100 ms behind the log is hours behind its clock, and whether a send expires would
depend on the machine. There the sender counts as being on time (`simulated=True`): a command is
judged by the last clock before it in its partition, the same in every run.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from aiokafka import TopicPartition

from schemas.outputs import ClockStruck, SendCommand
from schemas.values import Instant
from streams.instants import to_instant

Place: TypeAlias = tuple[TopicPartition, int]
"""Where a record stands: its partition and offset."""


class Judged(NamedTuple):
    """A command, the instant by which it is judged, and where it was read."""

    command: SendCommand
    now: Instant
    place: Place | None = None


class TopicClock:
    """The clocks of `send-commands` as far as they are known, by partition."""

    def __init__(self, *, simulated: bool) -> None:
        self._simulated = simulated
        self._newest: dict[int, Instant] = {}

    def hear(self, partition: int, clock: ClockStruck) -> None:
        """Take a clock of this partition, read in its turn or ahead of it."""
        at = to_instant(clock.at)
        self._newest[partition] = max(at, self._newest.get(partition, 0))

    @property
    def newest(self) -> Instant:
        """How far the topic has come in any partition; 0 before the first clock."""
        return max(self._newest.values(), default=0)

    def judge(
        self, partition: int, records: Iterable[SendCommand | ClockStruck]
    ) -> Iterator[Judged]:
        """Say by which instant each command among `records` (one read, in order) is judged."""
        read = list(records)
        if not self._simulated:
            for record in read:
                if isinstance(record, ClockStruck):
                    self.hear(partition, record)
        for record in read:
            if isinstance(record, ClockStruck):
                self.hear(partition, record)
            else:
                yield Judged(record, self._newest.get(partition, 0))
