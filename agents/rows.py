"""Tables of rows: a Faust table whose store is kept apart by partition.

Key and value are bytes; decoding is the core's business. The only writes are those of the station
loop, after their transaction, and those of recovery: whole fetches of the changelog at once.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import faust
from faust.stores import memory
from faust.types import TP

Changed = tuple[bytes, bytes | None]
"""A key and its newest row; None: there is none any more."""


class Rows(Protocol):
    """The rows of one partition, by key."""

    @property
    def offset(self) -> int | None:
        """The last offset of the changelog that is in; None: it has to be read from its start."""
        ...

    def get(self, key: bytes, /) -> bytes | None:
        """The row of `key`, if there is one."""
        ...

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        """All rows."""
        ...

    def keys(self) -> Iterable[bytes]:
        """Of all rows."""
        ...

    def keep(self, changed: Iterable[Changed], offset: int | None) -> None:
        """Keep what the changelog holds already, up to `offset` (None: not known), all or none."""
        ...

    def close(self) -> None:
        """The partition goes away."""
        ...


class MemoryRows(dict[bytes, bytes]):
    """Rows in memory: gone with the process, read again from the start of the changelog."""

    offset = None

    def keep(self, changed: Iterable[Changed], offset: int | None) -> None:  # noqa: ARG002
        for key, row in changed:
            if row is None:
                self.pop(key, None)
            else:
                self[key] = row

    def close(self) -> None:
        self.clear()


class Keeping(Protocol):
    """Where the rows of a worker's partitions are kept."""

    async def open(self, changelog: str, partitions: Iterable[int]) -> dict[int, Rows]:
        """The rows of partitions that are ours from now on, as they were left, if they fit."""
        ...


class InMemory:
    """In this process."""

    async def open(
        self,
        changelog: str,  # noqa: ARG002
        partitions: Iterable[int],
    ) -> dict[int, Rows]:
        return {partition: MemoryRows() for partition in partitions}


class RowStore(memory.Store[bytes, bytes]):
    """partition -> its rows. A partition that goes away takes its rows with it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.partitions: dict[int, Rows] = {}

    def recover(self, partition: int, records: Iterable[Any]) -> None:
        """Apply records of the changelog, oldest first; a record without a value is a tombstone."""
        newest = {record.key: record for record in records}
        last = max(record.offset for record in newest.values())
        changed = ((key, record.value) for key, record in newest.items())
        self.partitions[partition].keep(changed, last)

    def drop(self, partition: int) -> None:
        """Let a partition go: a row kept in memory would come back to life later."""
        rows = self.partitions.pop(partition, None)
        if rows is not None:
            rows.close()

    def close(self) -> None:
        """Let every partition go."""
        for partition in list(self.partitions):
            self.drop(partition)

    def persisted_offset(self, tp: TP) -> int | None:
        """Where recovery goes on, for Faust."""
        rows = self.partitions.get(tp.partition)
        return None if rows is None else rows.offset

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Keep all: this may be said of partitions that were ours before the last rebalance. What
        is not ours any more went when the others were claimed.
        """


class StateTable(faust.Table[bytes, bytes]):
    """A table of rows with a changelog topic whose name is written out, not derived."""

    def __init__(
        self, app: faust.App, *, name: str, changelog: str, partitions: int, keeping: Keeping
    ) -> None:
        self._written_name, self._keeping = changelog, keeping
        super().__init__(
            app,
            name=name,
            key_type=bytes,
            value_type=bytes,
            partitions=partitions,
        )

    def _changelog_topic_name(self) -> str:
        return self._written_name

    def _new_store(self) -> RowStore:
        return RowStore("memory://", self.app, self, table_name=self.name)

    @property
    def rows(self) -> RowStore:
        """The store itself."""
        store = self.data
        assert isinstance(store, RowStore)
        return store

    async def take(self, partitions: Iterable[int]) -> None:
        """Open the rows of partitions that are ours now; those we have stay as they are."""
        fresh = set(partitions) - self.rows.partitions.keys()
        if fresh:
            self.rows.partitions |= await self._keeping.open(self._written_name, fresh)
