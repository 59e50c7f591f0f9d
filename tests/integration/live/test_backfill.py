"""New definitions over a live past: filled in from the timeline, once, also after a crash."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.live.running import (
    DEADLINE_SECONDS,
    Terminal,
    end_up,
    environ_of,
    ran,
    terminal,
    until,
)

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(600)]

TILLSTREAM = ".venv/bin/tillstream"
STORE = "store: main\ncurrency: EUR\naddress: Somewhere 1\n"
BEFORE = {
    "store": STORE,
    "buyers": "segment: buyers\nwhere: {did: Placed Order}\n",
    "edited": 'segment: edited\nwhere: {did: Placed Order, times: ">= 3"}\n',
    "gone": "segment: gone\nwhere: {did: Placed Order}\n",
}
AFTER = {
    "store": STORE,
    "buyers": BEFORE["buyers"],
    "edited": (
        "segment: edited\nwhere: {all: [{did: Placed Order, times: '>= 5'}, {did_not: Returned}]}\n"
    ),
    "added": 'segment: added\nwhere: {did: Placed Order, total: {of: value, is: "> 100"}}\n',
    "welcome": "flow: welcome\ntrigger: {enters: added}\nsteps: [{exit: done}]\n",
}
PEOPLE = 40
ORDERS = 5


class Shop:
    """A data folder; `up` runs on it while a terminal is open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = environ_of(
            folder / "data", TILLSTREAM_NAMESPACE="shop", TILLSTREAM_PARTITIONS="2"
        )
        for name, files in (("before", BEFORE), ("after", AFTER)):
            (folder / name).mkdir()
            for one, text in files.items():
                (folder / name / f"{one}.yaml").write_text(text)

    def says(self, command: str) -> str:
        code, output = ran(f"{TILLSTREAM} {command}", self.environ)
        assert code == 0, f"{command}: exit code {code}\n{output}"
        return output

    def push(self, orders: int, people: range, *, first: int) -> None:
        lines = [
            {
                "id": f"o-{who}-{first + number}",
                "metric": "Placed Order",
                "value": 30,
                "currency": "EUR",
                "profile": {"external_id": f"c-{who}"},
            }
            for number in range(orders)
            for who in people
        ]
        file = self.folder / "events.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.says(f"events push {file}")

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


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    try:
        yield Shop(tmp_path)
    finally:
        end_up(tmp_path / "data")


def test_the_past_is_filled_in_once_though_up_is_killed_and_live_equals_replay(shop: Shop) -> None:
    for up in shop.up():
        shop.says(f"definitions apply {shop.folder / 'before'}")
        shop.push(ORDERS, range(PEOPLE), first=0)
        shop.comes_to({"buyers": PEOPLE, "edited": PEOPLE, "gone": PEOPLE}, up)
        told = shop.says(f"definitions apply {shop.folder / 'after'}")
        assert "ask about the past: added, edited." in told
        assert up.id is not None
        up.id.send(signal.SIGKILL)
    for up in shop.up():
        shop.comes_to({"buyers": PEOPLE, "edited": PEOPLE, "gone": 0, "added": PEOPLE}, up)
        shop.push(ORDERS, range(PEOPLE, PEOPLE + 3), first=0)
        now = PEOPLE + 3
        shop.comes_to({"buyers": now, "edited": now, "gone": 0, "added": now}, up)
        triggered = json.loads(shop.says("report funnels --json"))
        assert [(one["flow"], one["triggered"]) for one in triggered] == [("welcome", 3)]
        assert up.interrupt() == 0
    assert_live_equals_replay(shop)


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
