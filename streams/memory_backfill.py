"""The back-fill in memory, for the replay: as if it were done at once.

Comes in: what the path says, in order. Goes out: what is to be published to `store-events`. Live,
`agents/backfill.py` does the same with what ClickHouse has.
"""

from collections.abc import Iterable

import msgspec

from schemas.outputs import DefinitionsStated, DefinitionsSwitched, TimelineEntry
from schemas.records import Backfilled, DefinitionsFilled
from schemas.topics import DEFINITIONS, TIMELINE
from schemas.values import Origin, ProfileId, StoreId
from streams.intake import Write
from streams.segments.backfill import Backfill, event_of, state_in


class _AnyEntry(msgspec.Struct, tag_field="type", tag="timeline-entry"):
    """A timeline entry that is not looked into yet."""


ROUNDS_MAX_ON_THE_WAY = 8
"""What is filled in for somebody who was merged away travels on, a round for each merge."""

_read_entry = msgspec.json.Decoder(TimelineEntry).decode
_read_stated = msgspec.json.Decoder(DefinitionsStated).decode
_read_kind = msgspec.json.Decoder(DefinitionsSwitched | _AnyEntry).decode


class BackfillInMemory:
    """All of a back-fill at the last marker of its switch, its end some rounds later.

    partitions: of the path.
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._stated: dict[StoreId, DefinitionsStated] = {}
        self._entries: dict[tuple[int, ProfileId], list[bytes]] = {}
        self._marked: dict[Origin, set[int]] = {}
        self._before: dict[Origin, dict[ProfileId, list[bytes]]] = {}
        self._ends: list[tuple[int, DefinitionsFilled]] = []

    @property
    def under_way(self) -> bool:
        """Something is still to come, with the rounds."""
        return bool(self._ends)

    def hear(self, writes: Iterable[Write]) -> list[Backfilled | DefinitionsFilled]:
        """Take what was said in a round."""
        found: list[Backfilled | DefinitionsFilled] = [end for left, end in self._ends if not left]
        self._ends = [(left - 1, end) for left, end in self._ends if left]
        for write in writes:
            if write.value is None:
                continue
            if write.topic == DEFINITIONS.name:
                stated = _read_stated(write.value)
                self._stated[stated.store] = stated
            elif write.topic == TIMELINE.name:
                line = _read_kind(write.value)
                if isinstance(line, DefinitionsSwitched):
                    found += self._mark(write.partition, line)
                else:
                    key = write.partition, write.key.decode()
                    self._entries.setdefault(key, []).append(write.value)
        return found

    def _mark(
        self, partition: int, marker: DefinitionsSwitched
    ) -> list[Backfilled | DefinitionsFilled]:
        before = self._before.setdefault(marker.switch, {})
        before |= {
            who: list(values)
            for (number, who), values in self._entries.items()
            if number == partition
        }
        marked = self._marked.setdefault(marker.switch, set())
        marked.add(partition)
        stated = self._stated[marker.store]
        if len(marked) < self._partitions or stated.switch != marker.switch:
            return []
        del self._marked[marker.switch], self._before[marker.switch]
        job = Backfill(state_in(stated))
        filled = (
            job.of(who, [event_of(entry) for entry in map(_read_entry, values)])
            for who, values in before.items()
        )
        self._ends.append((ROUNDS_MAX_ON_THE_WAY, job.end()))
        return [one for one in filled if one is not None]
