"""A shop whose definitions change while `up` runs, told by the commands that its people type."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.integration.live.running import (
    DEADLINE_SECONDS,
    Terminal,
    environ_of,
    ran,
    terminal,
    until,
)

TILLSTREAM = ".venv/bin/tillstream"


class Shop:
    """A data folder; `up` runs on it while a terminal is open.

    definitions: name of a folder -> the files in it, without their ending.
    """

    def __init__(self, folder: Path, definitions: Mapping[str, Mapping[str, str]]) -> None:
        self.folder = folder
        self.environ = environ_of(
            folder / "data", TILLSTREAM_NAMESPACE="shop", TILLSTREAM_PARTITIONS="2"
        )
        for name, files in definitions.items():
            (folder / name).mkdir()
            for one, text in files.items():
                (folder / name / f"{one}.yaml").write_text(text)

    def says(self, command: str) -> str:
        code, output = ran(f"{TILLSTREAM} {command}", self.environ)
        assert code == 0, f"{command}: exit code {code}\n{output}"
        return output

    def order(self, *orders: tuple[int, str, int]) -> None:
        """Push orders: (customer, order id, value in EUR)."""
        lines = [
            {
                "id": name,
                "metric": "Placed Order",
                "value": value,
                "currency": "EUR",
                "profile": {"external_id": f"c-{who}"},
            }
            for who, name, value in orders
        ]
        file = self.folder / "events.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.says(f"events push {file}")

    def triggered(self) -> dict[str, int]:
        """How often each flow was started."""
        found = json.loads(self.says("report funnels --json"))
        return {one["flow"]: one["triggered"] for one in found}

    def sizes(self) -> dict[str, int]:
        found = json.loads(self.says("report totals --json"))
        return {one["segment"]: one["profiles"] for one in found["segments"]}

    def comes_to(self, sizes: dict[str, int], up: Terminal) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (found := self.sizes()) != sizes:
            until(deadline, f"{found} is not {sizes}\n{up.output()}")

    def up(self) -> Iterator[Terminal]:
        with terminal(f"{TILLSTREAM} up", self.environ, self.folder / "up.log") as opened:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while "Tillstream is up" not in opened.output():
                assert not opened.ended(), opened.output()
                until(deadline, opened.output())
            yield opened


def assert_live_equals_replay(shop: Shop) -> None:
    """Every byte; but the replay goes through the last ticks, which a worker may have left."""
    _code, output = ran(f"{TILLSTREAM} replay --log shop --json", shop.environ)
    compared = json.loads(output)["topics"]
    assert {"timeline", "segment-changes", "definitions"} <= {one["topic"] for one in compared}
    for one in compared:
        if one["difference"] is not None:
            offset, _what, then, now = one["difference"]
            assert (offset, then) == (None, None), one
            assert '"type":"clock"' in now, one
