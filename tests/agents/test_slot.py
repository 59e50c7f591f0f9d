"""A worker's slot: for one process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from agents.settings import Settings
from agents.slot import SlotTaken, take_slot


def in_slot(data: Path, slot: str, namespace: str = "") -> Settings:
    return Settings(data=data, slot=slot, namespace=namespace)


HOLDER = """
import sys
from pathlib import Path
from agents.settings import Settings
from agents.slot import take_slot
take_slot(Settings(data=Path(sys.argv[1]), slot="a"))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_slot_that_another_process_holds_is_refused_until_that_ends(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(SlotTaken, match="TILLSTREAM_SLOT 'a'"):
            take_slot(in_slot(tmp_path, "a"), wait_s=0)
        take_slot(in_slot(tmp_path, "b"), wait_s=0)
        take_slot(in_slot(tmp_path, "a", "other"), wait_s=0)
        holder.kill()
        take_slot(in_slot(tmp_path, "a"))
