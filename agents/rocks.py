"""Rows on disk: one RocksDB a partition, in `<data>/rows/<changelog>/<slot>/<partition>`.

Each write holds the rows and the offset of the changelog that they bring the store to, so a worker
that starts again reads only what came after. The write-ahead log is not synced: what a crash of
the machine takes away, it takes rows and offset together, and the changelog has it.

A store is thrown away, and read again from the start of the changelog, if it belongs to another
topic (another cluster, a topic made anew, another count of partitions), if it is ahead of the
changelog, if it cannot be opened, or if it was left alone for so long that the tombstones of rows
deleted meanwhile may be gone.
"""

import asyncio
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import msgspec
from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteBatch

from agents.changelog import Changelog, changelog_as_it_is
from agents.logs import log
from agents.rows import Changed, Rows
from agents.settings import Settings
from schemas.values import Instant

FORMAT = 1
UNKNOWN_FORMAT = 0
WRITE_BUFFER_BYTES = 8 << 20
WRITE_BUFFERS_MAX = 2
CACHE_BYTES = 64 << 20
BLOOM_BITS = 10
OPEN_FILES_MAX = 64
UNUSED_MS_MAX = 12 * 3_600_000
"""Kafka keeps tombstones for a day (`delete.retention.ms`)."""

_STATE = b"\xffstate"
"""No row's key: those are text in UTF-8."""
_cache = Cache(CACHE_BYTES)


class State(msgspec.Struct, frozen=True, array_like=True):
    """What a store says of itself. of: the changelog's id; at: when it was last written."""

    format: int
    of: str
    offset: int
    at: Instant


_pack = msgspec.msgpack.Encoder().encode
_state = msgspec.msgpack.Decoder(State).decode


class RocksRows:
    """The rows of one partition in a folder of their own."""

    def __init__(self, folder: Path, of: str) -> None:
        """Raises: whatever RocksDB raises."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._of = of
        self._rows = Rdict(str(folder), _options())
        state = self.state
        self.offset = None if state is None else state.offset

    @property
    def state(self) -> State | None:
        """What it says of itself; None: nothing was ever written."""
        blob = self._rows.get(_STATE)
        try:
            return None if blob is None else _state(blob)
        except msgspec.DecodeError:
            return State(UNKNOWN_FORMAT, "", 0, 0)

    def get(self, key: bytes, /) -> bytes | None:
        row: bytes | None = self._rows.get(key)
        return row

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        rows = cast(Iterator[tuple[bytes, bytes]], self._rows.items())
        return ((key, row) for key, row in rows if key != _STATE)

    def keys(self) -> Iterator[bytes]:
        return (key for key in cast(Iterator[bytes], self._rows.keys()) if key != _STATE)

    def keep(self, changed: Iterable[Changed], offset: int | None) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, row in changed:
            if row is None:
                batch.delete(key)
            else:
                batch.put(key, row)
        if offset is not None:
            batch.put(_STATE, _pack(State(FORMAT, self._of, offset, _now())))
            self.offset = offset
        self._rows.write(batch)

    def close(self) -> None:
        self._rows.close()


class OnDisk:
    """Below the folder of one slot; no other process has it (`agents/slot.py`)."""

    def __init__(self, settings: Settings) -> None:
        assert settings.slot is not None, "checked by the worker"
        self._settings, self._slot = settings, settings.slot

    async def open(self, changelog: str, partitions: Iterable[int]) -> dict[int, Rows]:
        found = await changelog_as_it_is(self._settings, changelog)
        folder = self._settings.data / "rows" / changelog / self._slot
        opened: dict[int, Rows] = {
            partition: await asyncio.to_thread(open_rows, folder / str(partition), found, partition)
            for partition in sorted(partitions)
        }
        offsets = {partition: rows.offset for partition, rows in opened.items()}
        log.info("rows on disk", changelog=changelog, offsets=offsets, ends=found.ends)
        return opened


def open_rows(folder: Path, changelog: Changelog, partition: int) -> RocksRows:
    """The rows as they were left, or none, where they do not fit the changelog.

    Raises: whatever RocksDB raises where it cannot make a store.
    """
    try:
        rows = RocksRows(folder, changelog.id)
    except Exception as error:  # noqa: BLE001 - the binding raises nothing narrower
        why = f"it cannot be opened: {error}"
    else:
        unfit = why_unfit(rows.state, changelog, partition)
        if unfit is None:
            return rows
        rows.close()
        why = unfit
    log.warning("a store is thrown away", store=folder.name, of=folder.parent.name, why=why)
    shutil.rmtree(folder, ignore_errors=True)
    return RocksRows(folder, changelog.id)


def why_unfit(state: State | None, changelog: Changelog, partition: int) -> str | None:
    """Why a store must not be used; None: it may be."""
    if state is None:
        return None
    if state.format != FORMAT:
        return f"its format is {state.format}, not {FORMAT}"
    if state.of != changelog.id:
        return "its changelog was another topic"
    if state.offset >= changelog.ends[partition]:
        return f"it is at offset {state.offset}, its changelog ends at {changelog.ends[partition]}"
    if _now() - state.at > UNUSED_MS_MAX:
        return "it was left alone for too long"
    return None


def _options() -> Options:
    blocks = BlockBasedOptions()
    blocks.set_block_cache(_cache)
    blocks.set_bloom_filter(BLOOM_BITS, False)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(blocks)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(WRITE_BUFFERS_MAX)
    options.set_max_open_files(OPEN_FILES_MAX)
    options.set_keep_log_file_num(2)
    return options


def _now() -> Instant:
    return time.time_ns() // 1_000_000
