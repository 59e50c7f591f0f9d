"""`tillstream up` and what other terminals do beside it: kept alive, found, reset."""

import asyncio
import json
import os
import re
import signal
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from agents.embedded.gateway import ClickHouseGateway
from agents.embedded.kafka import EmbeddedKafka
from agents.live.place import running
from agents.settings import Settings
from tests.integration.live.running import (
    DEADLINE_SECONDS,
    Terminal,
    children,
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

SUBSCRIBED = (
    '{{"id": "{id}", "metric": "Subscribed", "profile": {{"email": "{who}@example.com"}}, '
    '"properties": {{"channel": "email"}}}}'
)


class Shop:
    """A data folder with an `up` on it, and commands beside it."""

    def __init__(self, data: Path, environ: Mapping[str, str], up: Terminal) -> None:
        self.data, self.environ, self.up = data, environ, up

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

    def subscribe(self, *, id: str, who: str) -> list[tuple[str, str | None]]:  # noqa: A002
        """Push a subscription; returns (outcome, reason) of the welcome that comes of it."""
        self.says(f"events push - <<<'{SUBSCRIBED.format(id=id, who=who)}'")
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            led_to = self.finds(id, "accepted")["led_to"]
            told = [
                (row["kind"], row["reason"]) for row in led_to if row["name"].startswith("welcome/")
            ]
            if told:
                return told
            until(deadline, f"{id} led to {led_to}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """An `up` for all tests of this module; the last one ends it."""
    folder = tmp_path_factory.mktemp("live")
    environ = environ_of(
        folder / "data",
        TILLSTREAM_NAMESPACE="shop",
        TILLSTREAM_PARTITIONS="2",
        TILLSTREAM_STORE="rocksdb",
    )
    start = f"{TILLSTREAM} up --definitions {STARTER}"
    try:
        with terminal(start, environ, folder / "up.log") as up:
            is_up(up)
            yield Shop(folder / "data", environ, up)
    finally:
        end_up(folder / "data")


def is_up(opened: Terminal) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while "Tillstream is up" not in opened.output():
        assert not opened.ended(), opened.output()
        until(deadline, opened.output())


def test_a_second_up_and_a_reset_are_refused_while_it_runs(shop: Shop) -> None:
    assert "already" in shop.says("up", code=2)
    assert "already" in shop.says("reset --yes", code=2)
    assert "in force already" in shop.says(f"definitions apply {STARTER}")
    assert "holds no definitions" in shop.says("definitions apply docs/decisions", code=1)


def test_an_event_is_found_with_all_that_it_led_to(shop: Shop) -> None:
    place = shop.push(id="o-1", who="c-1")
    found = shop.finds("o-1", "accepted")
    assert (found["partition"], found["offset"]) == (place["partition"], place["offset"])
    assert [(row["kind"], row["name"]) for row in found["led_to"]] == [("entered", "new-customers")]
    assert shop.finds(f"{place['partition']}/{place['offset']}", "accepted")["id"] == "o-1"
    assert "no event nowhere" in shop.says("events find nowhere", code=1)
    assert "did you mean 'segment-changes'" in shop.says("events tail segment-chnges", code=2)


def test_nothing_is_pushed_of_a_file_with_a_bad_line_unless_it_may_be_skipped(shop: Shop) -> None:
    lines = "\n".join([ORDER.format(id="o-3", who="c-3"), '{"id": "o-4", "metric": "Nothing"}'])
    told = shop.says(f"events push - <<<'{lines}'", code=1)
    assert "line 2: missing, $.profile" in told
    assert "nothing was pushed" in told
    pushed = shop.says(f"events push --skip-bad --json - <<<'{lines}' 2> {os.devnull}")
    answer = json.loads(pushed)
    assert (answer["pushed"], [one["number"] for one in answer["bad"]]) == (1, [2])
    shop.finds("o-3", "accepted")


def test_what_others_pushed_and_ingest_rejected_is_found_with_its_reason(shop: Shop) -> None:
    asyncio.run(append(shop, b'{"id": "o-5", "metric": "Placed Order", "profile": {}}'))
    found = shop.finds("o-5", "rejected")
    assert found["why"].startswith("no-identifier")
    assert found["field"] == "$.profile"


def test_sends_are_stopped_and_resumed_in_the_log(shop: Shop) -> None:
    assert "nothing is stopped" in shop.says("sends status")
    assert "no flow `welcom`; its flows: welcome" in shop.says("sends stop --flow welcom", code=2)
    assert "flow welcome stopped" in shop.says("sends stop --flow welcome --author lee")
    assert "stopped already" in shop.says("sends stop --flow welcome")
    assert shop.subscribe(id="s-1", who="c-7") == [("dropped", "stopped")]
    (stop,) = json.loads(shop.says("sends status --json"))["stopped"]
    assert (stop["flow"], stop["channel"], stop["author"]) == ("welcome", None, "lee")
    assert stop["in_the_log_at"] is not None
    assert "not stopped by a stop of its own" in shop.says("sends resume", code=1)
    assert "resumed" in shop.says("sends resume --flow welcome")
    assert shop.subscribe(id="s-2", who="c-8") == [("sent", None)]


def test_a_dry_sender_tells_what_it_would_deliver_and_delivers_nothing(
    shop: Shop, tmp_path: Path
) -> None:
    assert "--smtp, --from, --templates: needed" in shop.says("sender", code=2)
    assert "runs on" in shop.says("sink", code=2), "`up` has one of its own"
    command = f"{TILLSTREAM} sender --dry"
    with terminal(command, shop.environ, tmp_path / "sender.log") as sender:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (told := [line for line in sender.output().splitlines() if line[0] == "{"]):
            assert not sender.ended(), sender.output()
            until(deadline, sender.output())
        assert {json.loads(line)["template"] for line in told} == {"welcome"}
        assert "@" not in "".join(told), "no address"
        found = re.search(r"http://\S+/readyz", sender.output())
        assert found is not None
        with urllib.request.urlopen(found[0]) as answer:
            assert answer.read() == b"ready\n"
        with urllib.request.urlopen(found[0].replace("readyz", "metrics")) as answer:
            assert b'tillstream_sender_settled_total{channel="email"' in answer.read()
        assert sender.interrupt() == 0, sender.output()


def test_definitions_have_numbers_and_an_old_copy_of_them_is_rejected(shop: Shop) -> None:
    found = shop.finds(asyncio.run(append_again(shop)), "rejected")
    assert found["why"].startswith("out-of-sequence")
    first = json.loads(shop.says(f"definitions apply {STARTER} --json"))
    again = json.loads(shop.says(f"definitions apply {STARTER} --again --json"))
    assert (again["published"], again["number"]) == (True, first["number"] + 3), (
        "the stop and its end have had numbers of the same store"
    )


def test_what_is_killed_is_started_again(shop: Shop) -> None:
    owner = up_on(shop.data)
    assert owner is not None
    began = children(owner)
    assert began.keys() == {"worker", "broker", "database"}
    began["worker"].send(signal.SIGKILL)
    began["database"].send(signal.SIGKILL)
    shop.push(id="o-2", who="c-2")
    shop.finds("o-2", "accepted")
    assert "another starts" in shop.up.output()
    assert "starting it again" in shop.up.output()


def test_it_ends_in_order_and_what_it_left_can_be_deleted(shop: Shop) -> None:
    owner = up_on(shop.data)
    assert owner is not None
    present = children(owner)
    shop.push(id="o-6", who="c-6")
    shop.finds("o-6", "accepted")
    assert shop.up.interrupt() == 0, shop.up.output()
    assert not [name for name, one in present.items() if one.is_running()]
    assert json.loads(shop.says("profile show c-6 --json"))["state"]["segments"] == [
        "new-customers"
    ], "the data are looked at without an `up`, too"

    assert "say --yes" in shop.says("reset", code=2)
    deleted = json.loads(shop.says("reset --yes --json"))["deleted"]
    assert "shop-store-events" in deleted["topics"]
    assert "shop-timeline" in deleted["groups"]
    assert deleted["database"] == "shop"
    again = json.loads(shop.says("reset --yes --json"))["deleted"]
    assert (again["topics"], again["groups"]) == ([], [])
    assert "there is no topic shop-store-events" in shop.says("events push - <<<'{}'", code=2)
    assert "no timeline yet" in shop.says("profile show c-6", code=2)


def test_the_servers_that_the_settings_name_are_used(
    kafka: EmbeddedKafka, clickhouse: ClickHouseGateway, tmp_path: Path
) -> None:
    environ = environ_of(
        tmp_path / "data",
        TILLSTREAM_KAFKA=kafka.address,
        TILLSTREAM_CLICKHOUSE=clickhouse.dsn,
        TILLSTREAM_SECRET="sixteen characters",
        TILLSTREAM_NAMESPACE="live-named",
        TILLSTREAM_PARTITIONS="2",
    )
    with terminal(f"{TILLSTREAM} up --workers 2", environ, tmp_path / "up.log") as up:
        is_up(up)
        owner = up_on(tmp_path / "data")
        assert owner is not None
        assert children(owner).keys() == {"worker"}
        shop = Shop(tmp_path / "data", environ, up)
        shop.push(id="o-1", who="c-1")
        shop.finds("o-1", "accepted")
        assert up.interrupt() == 0, up.output()
    assert kafka.process.is_running()


async def append_again(shop: Shop) -> str:
    """Append a copy of the first definitions that were published, as whoever may write could.

    Returns: where it stands, `partition/offset`.
    """
    state = running(Settings(data=shop.data))
    assert state is not None
    reader = AIOKafkaConsumer(
        "shop-store-events",
        bootstrap_servers=list(state.kafka),
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    producer = AIOKafkaProducer(bootstrap_servers=list(state.kafka))
    await reader.start()
    await producer.start()
    try:
        async for record in reader:
            if b"definitions" in dict(record.headers).values():
                place = await producer.send_and_wait(
                    record.topic, record.value, headers=list(record.headers), partition=0
                )
                return f"{place.partition}/{place.offset}"
        raise AssertionError("no definitions were published")
    finally:
        await producer.stop()
        await reader.stop()


async def append(shop: Shop, value: bytes) -> None:
    """Push as a store does that checks nothing."""
    state = running(Settings(data=shop.data))
    assert state is not None
    producer = AIOKafkaProducer(bootstrap_servers=list(state.kafka))
    await producer.start()
    try:
        await producer.send_and_wait("shop-store-events", value)
    finally:
        await producer.stop()
