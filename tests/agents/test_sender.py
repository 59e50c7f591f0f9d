"""The desk of the reference sender without a broker: ledger, clocks, last look."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from agents.metrics import SENDER_SETTLED
from agents.sender.clocks import Judged, TopicClock
from agents.sender.desk import IN_DOUBT, NOT_REPORTED, Desk, Promise, send_expired
from agents.sender.last_look import ConsentBehind, LastLook
from agents.sender.ledger import Ledger, Settled
from agents.sender.smtp import PutOff, Refused, Uncertain, Unreachable
from schemas.outputs import ClockStruck, ConsentDetail, ConsentStated, SendCommand, SendsSwitched
from schemas.values import Channel, Instant
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.read import read_event
from streams.ingest.settings import IngestSettings
from streams.instants import HOUR, MINUTE, to_instant, to_timestamp

DECIDED = "2011-03-01T10:00:00.000Z"
NOON = to_instant("2011-03-01T12:00:00Z")


IDS = Ids(REPLAY_SECRET)


def command(send_id: str = "s1", **changes: Any) -> SendCommand:
    """A marketing e-mail about an abandoned cart."""
    facts: dict[str, Any] = {
        "id": send_id,
        "store": "main",
        "profile_id": "i1",
        "channel": "email",
        "address": "ann@example.com",
        "template": "cart-reminder",
        "flow": "abandoned-cart",
        "flow_run_id": "r1",
        "message": "cart-1",
        "variant": None,
        "attempt": 0,
        "transactional": False,
        "context": {
            "traits": {"first_name": "Ann <3"},
            "trigger": {"items": [{"name": "Tea & cups", "quantity": 2, "price": "3.10"}]},
        },
        "unsubscribe_token": "t1",
        "postal_address": "Till & Stream Gifts, 1 Example Lane",
        "decided_at": DECIDED,
        "valid_until": to_timestamp(to_instant(DECIDED) + 10 * MINUTE),
    }
    return SendCommand(**facts | changes)


def judged(*commands: SendCommand, now: str = DECIDED) -> list[Judged]:
    return [Judged(one, to_instant(now)) for one in commands]


def struck(at: str, partition: int = 0) -> ClockStruck:
    return ClockStruck(partition=partition, at=at)


def stated(at: str, word: str, **changes: Any) -> ConsentStated:
    facts: dict[str, Any] = {
        "store": "main",
        "kind": "email",
        "address": "ann@example.com",
        "channels": {"email": word},
        "suppressed": {},
        "details": {},
        "decided_at": at,
        "cause": "e1",
    }
    return ConsentStated(**facts | changes)


def switched(*, stopped: bool, **changes: Any) -> SendsSwitched:
    facts: dict[str, Any] = {
        "store": "main",
        "number": 7,
        "flow": None,
        "channel": None,
        "author": "lee",
        "at": DECIDED,
    }
    return SendsSwitched(stopped=stopped, **facts | changes)


class Postbox:
    """Remembers what it was given; fails as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.delivered: list[str] = []
        self.failures = list(failures)

    async def deliver(self, command: SendCommand) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.delivered.append(command.id)

    async def close(self) -> None:
        return


class Office:
    """A desk with everything around it."""

    def __init__(
        self, folder: Path, promise: Promise = "at-most-once", failures: Iterable[Exception] = ()
    ) -> None:
        self.ledger = Ledger(folder / "ledger.sqlite")
        self.look = LastLook(1, simulated=False, ids=IDS)
        self.look.hear(struck("2012-01-01T00:00:00.000Z"))
        self.postbox = Postbox(*failures)
        self.reports: list[dict[str, Any]] = []
        self.desk = Desk(
            self.ledger,
            self.look,
            {"email": self.postbox},
            self._report,
            promise=promise,
            consent_seconds_max=0.05,
        )

    async def _report(self, event: dict[str, Any], _: Instant) -> None:
        self.reports.append(event)

    def reason(self, send_id: str) -> str | None:
        """What the ledger says why."""
        [(said,)] = self.ledger._db.execute(
            "select reason from sends where send_id = ?", (send_id,)
        )
        return cast(str | None, said)


Opened = Callable[..., Office]


@pytest.fixture
def office_with(tmp_path: Path) -> Iterator[Opened]:
    """Opens an office; another one of the same test finds the same ledger. Closed at the end."""
    with ExitStack() as closing:

        def opened(promise: Promise = "at-most-once", failures: Iterable[Exception] = ()) -> Office:
            office = Office(tmp_path, promise, failures)
            closing.callback(office.ledger.close)
            return office

        yield opened


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.sender.desk.BACKOFF_SECONDS", 0.0)


# --- the desk ------------------------------------------------------------------------------------


async def test_a_command_that_is_out_when_its_sends_are_stopped_is_withdrawn(
    office_with: Opened,
) -> None:
    office = office_with()
    office.look.hear_switch(switched(stopped=True, flow="abandoned-cart"))
    await office.desk.settle(judged(command("s1"), command("s2", flow="welcome")))
    assert office.postbox.delivered == ["s2"]
    assert office.ledger.states(["s1"]) == {"s1": "expired"}
    assert office.reason("s1") == "stopped"
    assert [report["properties"]["send_id"] for report in office.reports] == ["s1"]
    office.look.hear_switch(switched(stopped=False, flow="abandoned-cart"))
    await office.desk.settle(judged(command("s3")))
    assert office.postbox.delivered == ["s2", "s3"]


async def test_a_command_that_is_read_twice_is_delivered_once(office_with: Opened) -> None:
    office = office_with()
    await office.desk.settle(judged(command(), command()))
    await office.desk.settle(judged(command(), command("s2")))
    assert office.postbox.delivered == ["s1", "s2"]
    assert office.desk.repeats == 2


async def test_a_command_past_its_time_by_the_topics_clock_expires_and_says_so(
    office_with: Opened,
) -> None:
    office = office_with()
    await office.desk.settle(judged(command(), now="2011-03-01T10:10:00.000Z"))
    await office.desk.settle(judged(command("s2"), now="2011-03-01T10:10:00.001Z"))
    assert office.postbox.delivered == ["s1"]
    [report] = office.reports
    assert report["metric"] == "Send Expired"
    assert report["properties"]["send_id"] == "s2"
    assert office.ledger.states(["s2"]) == {"s2": "expired"}


async def test_a_stop_that_came_after_the_decision_stops_the_send(office_with: Opened) -> None:
    office = office_with()
    office.look.hear(stated("2011-03-01T10:00:01.000Z", "denied"))
    await office.desk.settle(judged(command(), command("s2", transactional=True)))
    assert office.postbox.delivered == ["s2"], "a receipt needs no consent"
    assert office.ledger.states(["s1"]) == {"s1": "suppressed"}


async def test_who_has_denied_messages_about_purchases_gets_marketing_alone(
    office_with: Opened,
) -> None:
    office = office_with()
    detail = ConsentDetail(transactional_denied_at=DECIDED)
    office.look.hear(stated(DECIDED, "granted", details={"email": detail}))
    await office.desk.settle(judged(command(), command("s2", transactional=True)))
    assert office.postbox.delivered == ["s1"]


async def test_a_suppressed_address_gets_not_even_a_receipt(office_with: Opened) -> None:
    office = office_with()
    office.look.hear(stated(DECIDED, "granted", suppressed={"email": ("hard-bounce",)}))
    await office.desk.settle(judged(command("s2", transactional=True)))
    assert office.postbox.delivered == []


async def test_nothing_is_delivered_while_consent_is_behind(office_with: Opened) -> None:
    office = office_with()
    office.look.__init__(2, simulated=False, ids=IDS)  # type: ignore[misc]
    office.look.hear(struck("2012-01-01T00:00:00.000Z", partition=0))
    with pytest.raises(ConsentBehind, match="behind"):
        await office.desk.settle(judged(command()))
    assert office.ledger.states(["s1"]) == {}
    office.look.hear(struck(DECIDED, partition=1))
    await office.desk.settle(judged(command()))
    assert office.postbox.delivered == ["s1"]


async def test_an_unreachable_server_is_tried_again_and_then_named(office_with: Opened) -> None:
    office = office_with(failures=[Unreachable("down")] * 2)
    await office.desk.settle(judged(command()))
    assert office.postbox.delivered == ["s1"]
    office.postbox.failures = [Unreachable("down")] * 6
    with pytest.raises(Unreachable):
        await office.desk.settle(judged(command("s2")))
    assert office.ledger.states(["s2"]) == {}, "it was not handed over: it stays fresh"


@pytest.mark.parametrize(
    ("promise", "delivered", "state"),
    [("at-most-once", [], "failed"), ("at-least-once", ["s1"], "delivered")],
)
async def test_a_connection_lost_in_between_is_met_as_promised(
    office_with: Opened, promise: Promise, delivered: list[str], state: str
) -> None:
    office = office_with(promise, failures=[Uncertain("lost")])
    await office.desk.settle(judged(command()))
    assert office.postbox.delivered == delivered
    assert office.ledger.states(["s1"]) == {"s1": state}


ADDRESSES: dict[Channel, tuple[str, str]] = {
    "email": ("email", "ann@example.com"),
    "sms": ("phone", "+4915112345678"),
    "whatsapp": ("phone", "+4915112345678"),
    "push": ("device_id", "device-of-ann"),
}


@pytest.mark.parametrize("channel", ADDRESSES)
async def test_a_denial_is_found_by_the_address_of_its_channel(
    office_with: Opened, channel: Channel
) -> None:
    kind, address = ADDRESSES[channel]
    office = office_with()
    office.look.hear(stated(DECIDED, "", kind=kind, address=address, channels={channel: "denied"}))
    await office.desk.settle(judged(command(channel=channel, address=address)))
    assert office.ledger.states(["s1"]) == {"s1": "suppressed"}


@pytest.mark.parametrize("channel", ADDRESSES)
async def test_the_report_of_a_send_that_expired_is_an_event_that_ingest_takes(
    office_with: Opened, channel: Channel
) -> None:
    kind, address = ADDRESSES[channel]
    office = office_with()
    late = judged(command(channel=channel, address=address), now="2011-03-02T00:00:00.000Z")
    await office.desk.settle(late)
    [report] = office.reports
    event = read_event(orjson.dumps(report), NOON, IngestSettings(), Ids(REPLAY_SECRET))
    assert event.identifiers == ((kind, address),)


async def test_an_in_app_send_that_expired_is_in_the_ledger_and_not_reported(
    office_with: Opened,
) -> None:
    office = office_with()
    shown = command(channel="in_app", address="i1")
    assert send_expired(shown, NOON) is None
    await office.desk.settle(judged(shown, now="2011-03-02T00:00:00.000Z"))
    assert office.reports == []
    assert office.reason("s1") == NOT_REPORTED


async def test_a_full_mailbox_holds_up_nobody_and_is_tried_again(
    office_with: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = office_with(failures=[PutOff("smtp 452")])
    await office.desk.settle(judged(command(), command("s2")))
    assert office.postbox.delivered == ["s2"]
    assert office.ledger.states(["s1"]) == {"s1": "failed"}
    assert office.reason("s1") == "smtp 452"
    await office.desk.settle(judged(command("s3")))
    assert office.postbox.delivered == ["s2", "s3"], "not due yet"
    monkeypatch.setattr("agents.sender.desk.time.monotonic", lambda: time.perf_counter() + 1e9)
    office.postbox.failures = [Unreachable("down")]
    await office.desk.settle(judged(command("s3")))
    assert office.postbox.delivered == ["s2", "s3"], "put off once more"
    assert office.ledger.states(["s1"]) == {"s1": "failed"}
    monkeypatch.setattr("agents.sender.desk.time.monotonic", lambda: time.perf_counter() + 2e9)
    await office.desk.settle(judged(command("s4")))
    await office.desk.settle(judged(command("s5")))
    assert office.postbox.delivered == ["s2", "s3", "s4", "s1", "s5"]
    assert office.ledger.states(["s1"]) == {"s1": "delivered"}


@pytest.mark.parametrize(
    ("then", "state"),
    [
        (Refused("smtp 550"), "failed"),
        (Uncertain("lost"), "failed"),
        ("denied", "suppressed"),
        ("stopped", "expired"),
        ("2011-03-02T00:00:00.000Z", "expired"),
    ],
)
async def test_what_is_tried_again_is_asked_everything_again(
    office_with: Opened, monkeypatch: pytest.MonkeyPatch, then: Exception | str, state: str
) -> None:
    monkeypatch.setattr("agents.sender.desk.AGAIN_SECONDS", 0.0)
    office = office_with(failures=[PutOff("smtp 451")] * 2)
    await office.desk.settle(judged(command()))
    now = DECIDED
    if isinstance(then, Exception):
        office.postbox.failures = [then]
    elif then == "denied":
        office.look.hear(stated(DECIDED, "denied"))
    elif then == "stopped":
        office.look.hear_switch(switched(stopped=True))
    else:
        now = then
    await office.desk.settle([Judged(command(), to_instant(now))])
    assert office.ledger.states(["s1"]) == {"s1": state}
    assert [report["properties"]["send_id"] for report in office.reports] == (
        ["s1"] if state == "expired" else []
    )
    assert office.postbox.delivered == []


@pytest.mark.parametrize(
    ("promise", "state"), [("at-most-once", "failed"), ("at-least-once", "taken")]
)
async def test_a_second_try_that_is_cut_off_is_not_planned_anew(
    office_with: Opened, monkeypatch: pytest.MonkeyPatch, promise: str, state: str
) -> None:
    """The relay may have the letter: under another id it would go out twice."""
    monkeypatch.setattr("agents.sender.desk.AGAIN_SECONDS", 0.0)
    office = office_with(promise=promise, failures=[PutOff("smtp 451")] * 2)
    await office.desk.settle(judged(command()))
    handed_over = asyncio.Event()

    async def deliver(_: SendCommand) -> None:
        handed_over.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(office.postbox, "deliver", deliver)
    trying = asyncio.create_task(office.desk.try_again(to_instant(DECIDED)))
    await handed_over.wait()
    trying.cancel()
    await asyncio.wait({trying})
    await office.desk.give_back()
    assert office.reports == []
    assert office.ledger.states(["s1"]) == {"s1": state}


@pytest.mark.parametrize("state", ["delivered", "failed", "expired"])
async def test_a_command_that_is_put_off_counts_once_when_it_is_settled(
    office_with: Opened, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr("agents.sender.desk.AGAIN_SECONDS", 0.0)
    before = counted()
    office = office_with(failures=[PutOff("smtp 452")] * 2)
    await office.desk.settle(judged(command()))
    assert counted() == before, "it is still put off"
    if state == "failed":
        office.postbox.failures = [Refused("smtp 550")]
    if state == "expired":
        await office.desk.give_back()
    await office.desk.settle([])
    assert counted() == before | {state: before[state] + 1}


def counted() -> dict[str, float]:
    """What the metric says of e-mails, by state."""
    return {
        state: SENDER_SETTLED.labels("email", state)._value.get()
        for state in ("delivered", "expired", "failed")
    }


class Killer(Postbox):
    """Is handed a letter and ends the process, as an outage would."""

    async def deliver(self, command: SendCommand) -> None:  # noqa: ARG002
        os.kill(os.getpid(), signal.SIGKILL)


def die_between_taking_and_writing_down(folder: str) -> None:
    """Run in a process of its own."""
    office = Office(Path(folder))
    office.desk._deliveries = {"email": Killer()}
    asyncio.run(office.desk.settle(judged(command())))


def killed_in_another_process(folder: Path) -> int:
    script = "import runpy, sys; runpy.run_path(sys.argv[1])[sys.argv[2]](sys.argv[3])"
    name = die_between_taking_and_writing_down.__name__
    return subprocess.run(
        [sys.executable, "-c", script, __file__, name, str(folder)],
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    ).returncode


@pytest.mark.parametrize(
    ("promise", "delivered", "state"),
    [("at-most-once", [], "failed"), ("at-least-once", ["s1"], "delivered")],
)
async def test_a_sender_killed_between_taking_and_writing_down_keeps_its_promise(
    tmp_path: Path, office_with: Opened, promise: Promise, delivered: list[str], state: str
) -> None:
    assert killed_in_another_process(tmp_path) == -signal.SIGKILL
    office = office_with(promise)
    assert office.ledger.states(["s1"]) == {"s1": "taken"}
    await office.desk.settle(judged(command(), command("s2")))
    await office.desk.settle(judged(command()))
    assert office.postbox.delivered == [*delivered, "s2"]
    assert office.ledger.states(["s1"]) == {"s1": state}


def test_the_ledger_counts_by_state_and_channel(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        ledger.settle([Settled(command(f"s{n}"), "delivered") for n in range(1200)])
        ledger.settle([Settled(command("x", channel="sms"), "failed", IN_DOUBT)])
        assert ledger.counts() == {("delivered", "email"): 1200, ("failed", "sms"): 1}
        assert len(ledger.states([f"s{n}" for n in range(2000)])) == 1200


# --- whose clock, which word ---------------------------------------------------------------------


def test_live_a_late_sender_judges_by_all_clocks_it_can_see() -> None:
    clock = TopicClock(simulated=False)
    read = [struck("2011-03-01T09:00:00.000Z"), command(), struck("2011-03-01T12:00:00.000Z")]
    [one] = clock.judge(0, read)
    assert one.now == NOON
    clock.hear(0, struck("2011-03-01T13:00:00.000Z"))
    [one] = clock.judge(0, [command()])
    assert one.now == NOON + HOUR, "read ahead of its turn"


def test_in_simulated_time_the_last_clock_before_the_command_counts() -> None:
    clock = TopicClock(simulated=True)
    early, late = "2011-03-01T09:00:00.000Z", "2011-03-01T12:00:00.000Z"
    assert [one.now for one in clock.judge(0, [struck(early), command(), struck(late)])] == [
        to_instant(early)
    ]
    assert [one.now for one in clock.judge(1, [command()])] == [0], "a clock of its partition"
    assert [one.now for one in clock.judge(0, [command()])] == [NOON]
