"""`tillstream up` and what other terminals do beside it: kept alive, found, reset."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.embedded.process import ProcessId
from tests.integration.live.running import (
    DEADLINE_SECONDS,
    Terminal,
    end_up,
    environ_of,
    ran,
    terminal,
    until,
    up_on,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

TILLSTREAM = ".venv/bin/tillstream"
STARTER = "deploy/definitions/starter"
ORDER = '{{"id": "{id}", "metric": "Placed Order", "profile": {{"external_id": "{who}"}}}}'


class Shop:
    """A data folder with an `up` on it, and commands beside it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.environ = environ_of(
            data,
            TILLSTREAM_NAMESPACE="shop",
            TILLSTREAM_PARTITIONS="2",
            TILLSTREAM_SESSION_TIMEOUT_S="6",
        )

    def says(self, command: str, *, code: int = 0) -> str:
        """Run a command that ends with this exit code; returns what it printed."""
        found, output = ran(f"{TILLSTREAM} {command}", self.environ)
        assert found == code, f"{command}: exit code {found}\n{output}"
        return output

    def finds(self, event: str, state: str) -> dict[str, Any]:
        """Look for an event until it is in this state."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            command = f"{TILLSTREAM} events find {event} --json 2> {os.devnull}"
            _code, output = ran(command, self.environ)
            found: list[dict[str, Any]] = json.loads(output)
            if [one["state"] for one in found] == [state]:
                return found[0]
            until(deadline, f"{event} is not {state}:\n{output}")

    def push(self, *, id: str, who: str) -> dict[str, Any]:  # noqa: A002 - as the event has it
        told = self.says(f"events push --json - <<<'{ORDER.format(id=id, who=who)}'")
        (pushed,) = json.loads(told)["events"]
        return dict(pushed)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    data = tmp_path / "data"
    try:
        yield Shop(data)
    finally:
        end_up(data)


def is_up(opened: Terminal) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while "Tillstream is up" not in opened.output():
        assert not opened.ended(), opened.output()
        until(deadline, opened.output())


def children(of: ProcessId) -> dict[str, ProcessId]:
    """What a process started, by what is written in its command line."""
    found = {}
    for task in Path(f"/proc/{of.pid}/task").iterdir():
        for pid in map(int, (task / "children").read_text().split()):
            command = Path(f"/proc/{pid}/cmdline").read_text()
            known = {"worker": "agents.worker", "broker": "kafka.Kafka", "database": "gateway"}
            child = ProcessId.of(pid)
            for name, word in known.items():
                if word in command and child is not None:
                    found[name] = child
    return found


def test_up_keeps_the_path_alive_and_leaves_nothing_behind(shop: Shop, tmp_path: Path) -> None:
    start = f"{TILLSTREAM} up --definitions {STARTER}"
    with terminal(start, shop.environ, tmp_path / "up.log") as up:
        is_up(up)
        owner = up_on(shop.data)
        assert owner is not None
        began = children(owner)
        assert began.keys() == {"worker", "broker", "database"}

        assert "already" in shop.says("up", code=2)
        assert "already" in shop.says("reset --yes", code=2)
        assert "in force already" in shop.says(f"definitions apply {STARTER}")

        shop.push(id="o-1", who="c-1")
        first = shop.finds("o-1", "accepted")
        assert [(row["kind"], row["name"]) for row in first["led_to"]] == [
            ("entered", "new-customers")
        ]

        began["worker"].send(signal.SIGKILL)
        began["database"].send(signal.SIGKILL)
        place = shop.push(id="o-2", who="c-2")
        assert shop.finds("o-2", "accepted")["offset"] == place["offset"]
        assert shop.finds(f"{place['partition']}/{place['offset']}", "accepted")["id"] == "o-2"
        assert "another starts" in up.output()
        assert "starting it again" in up.output()

        present = children(owner)
        assert up.interrupt() == 0, up.output()
    assert not [name for name, one in present.items() if one.is_running()]
    assert json.loads(shop.says("profile show c-2 --json"))["state"]["segments"] == [
        "new-customers"
    ], "what was said last is in the timeline when `up` has ended"

    shop.says("reset", code=2)
    deleted = json.loads(shop.says("reset --yes --json"))["deleted"]
    assert "shop-store-events" in deleted["topics"]
    assert "shop-timeline" in deleted["groups"]
    assert deleted["database"] == "shop"
    assert json.loads(shop.says("reset --yes --json"))["deleted"]["topics"] == []
    assert "there is no topic shop-store-events" in shop.says("events push - <<<'{}'", code=2)
    assert "no timeline yet" in shop.says("profile show c-2", code=2)


def test_a_bad_event_is_not_pushed_and_a_rejected_one_is_found(shop: Shop, tmp_path: Path) -> None:
    with terminal(f"{TILLSTREAM} up", shop.environ, tmp_path / "up.log") as up:
        is_up(up)
        assert "none yet" in up.output()
        lines = "\n".join([ORDER.format(id="o-1", who="c-1"), '{"id": "o-2", "metric": "Nothing"}'])
        told = shop.says(f"events push - <<<'{lines}'", code=1)
        assert "line 2: missing, $.profile" in told
        assert "nothing was pushed" in told
        told = json.loads(
            shop.says(f"events push --skip-bad --json - <<<'{lines}' 2> {os.devnull}")
        )
        assert (told["pushed"], [one["number"] for one in told["bad"]]) == (1, [2])
        shop.finds("o-1", "accepted")
        assert "is no public topic" in shop.says("events tail segment-chnges", code=2)
        assert "no event nowhere" in shop.says("events find nowhere", code=1)
        assert up.interrupt() == 0, up.output()
