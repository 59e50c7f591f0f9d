"""The broker's disk is full: what is not written is not acknowledged, and all goes on with room."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path

import pytest

from tests.integration.path.shop import Shop
from tests.prove.faults import on_trial

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(600)]

DISK_MIB = 128
SECONDS_TO_END_MAX = 60


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own; skips where none may be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk cannot be mounted here: not proved")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(ballast: Path) -> int:
    """Leave no byte. Returns: how many were left."""
    with ballast.open("wb", buffering=0) as opened:
        with pytest.raises(OSError, match="No space left"):
            _write_for_ever(opened)
        return opened.tell()


def _write_for_ever(opened: RawIOBase) -> None:
    while True:
        opened.write(bytes(64 << 10))


async def test_a_full_disk_loses_and_doubles_nothing(tmp_path: Path, shop: Shop, seed: int) -> None:
    third = len(shop.rounds) // 3
    with small_disk(tmp_path / "disk") as disk:
        async with on_trial(tmp_path, store="rocksdb", seed=seed, disk=disk) as trial:
            await trial.feed(shop.rounds[:third])
            await trial.follow_for(trial.chance.uniform(0, 2))
            left = fill(disk / "ballast")
            feeding = asyncio.create_task(trial.feed(shop.rounds[third:]))
            async with asyncio.timeout(SECONDS_TO_END_MAX):
                while trial.kafka.process.is_running():  # a broker without a log dir ends
                    await trial.follow()
            assert not feeding.done(), "nothing was acknowledged that is not written"
            (disk / "ballast").unlink()
            await trial.start_broker_again()
            await feeding
            await trial.comes_to(shop.end)
            await trial.expect_the_same_as(shop)
    print(f"SEED={seed}: {left >> 20} MiB were left; {'; '.join(trial.told)}")
