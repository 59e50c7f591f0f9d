"""Tables of rows: a Faust table whose store is kept apart by partition.

Key and value are bytes; decoding is the core's business. The only writes are those of the station
loop, after their transaction, and those of recovery: whole fetches of the changelog at once.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import faust
from faust.stores import memory
from faust.types import TP


class RowStore(memory.Store[bytes, bytes]):
    """partition -> key -> row. A partition that goes away takes its rows with it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.partitions: dict[int, dict[bytes, bytes]] = defaultdict(dict)

    def recover(self, partition: int, records: Iterable[Any]) -> None:
        """Apply records of the changelog, oldest first; a record without a value is a tombstone."""
        rows = self.partitions[partition]
        for record in records:
            if record.value is None:
                rows.pop(record.key, None)
            else:
                rows[record.key] = record.value

    def drop(self, partition: int) -> None:
        """Forget a partition: a row kept in memory would come back to life later."""
        self.partitions.pop(partition, None)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Drop what is not ours any more."""
        ours = {tp.partition for tp in active_tps | standby_tps}
        for partition in self.partitions.keys() - ours:
            self.drop(partition)


class StateTable(faust.Table[bytes, bytes]):
    """A table of rows with a changelog topic whose name is written out, not derived."""

    def __init__(self, app: faust.App, *, name: str, changelog: str, partitions: int) -> None:
        self._written_name = changelog
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
