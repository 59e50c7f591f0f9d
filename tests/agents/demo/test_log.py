"""The log, made with a core that only knows how to greet."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import msgspec
import orjson

from agents.demo.log import (
    ROUND,
    SINCE,
    LogRecord,
    Round,
    Waiting,
    arrivals,
    invoices_until,
    rounds,
)
from agents.demo.recipients import recipients_of
from agents.demo.shop import Invoice
from schemas.outputs import SendCommand
from schemas.values import Instant
from streams.ingest.control import TICK, tick
from streams.instants import DAY, to_instant, to_timestamp

UNTIL = SINCE + 3 * DAY
PARTITIONS = 4
_value, _headers = tick()
A_TICK = LogRecord(0, b"tick", _value, _headers)
OPENING = LogRecord(SINCE, b"definitions", b"{}", (("tillstream", b"definitions"),))
LATER = OPENING._replace(received_at=SINCE + DAY + 1)
_encode = msgspec.json.Encoder().encode


class Said(NamedTuple):
    topic: str
    value: bytes


class Greeter:
    """A core that answers each subscription with a command, decided when it was received."""

    def __init__(self) -> None:
        self._said: list[Said] = []
        self.appended: list[tuple[int, Instant]] = []

    def append(
        self,
        partition: int,
        value: bytes | None,
        received_at: Instant,
        *,
        key: bytes | None = None,  # noqa: ARG002
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        self.appended.append((partition, received_at))
        if headers or value is None:
            return
        event = orjson.loads(value)
        self._said.append(Said("timeline", value))
        if event["metric"] == "Subscribed" and "email" in event["profile"]:
            greeting = _greeting(event["id"], event["profile"]["email"], received_at)
            self._said.append(Said("send-commands", _encode(greeting)))

    def run(self) -> Sequence[Said]:
        said, self._said = self._said, []
        return said


def _greeting(event_id: str, address: str, now: Instant) -> SendCommand:
    return SendCommand(
        id=f"s-{event_id}",
        store="main",
        profile_id="i1",
        channel="email",
        address=address,
        template="welcome",
        flow="welcome",
        flow_run_id="r1",
        message="welcome-1",
        variant=None,
        attempt=0,
        transactional=False,
        context={},
        unsubscribe_token="t",
        postal_address="x",
        decided_at=to_timestamp(now),
        valid_until=to_timestamp(now + ROUND),
    )


@cache
def invoices() -> list[Invoice]:
    return invoices_until(UNTIL)


@cache
def made() -> list[Round]:
    return list(make(Greeter()))


def make(core: Greeter, until: Instant = UNTIL) -> list[Round]:
    return list(
        rounds(
            core,
            recipients_of(invoices()),
            arrivals(invoices(), since=SINCE, until=until),
            partitions=PARTITIONS,
            since=SINCE,
            until=until,
            tick=A_TICK,
            published=[OPENING, LATER],
        )
    )


def all_records() -> list[list[LogRecord]]:
    return [[record for one in made() for record in one.partitions[p]] for p in range(PARTITIONS)]


def test_time_never_goes_backwards_in_a_partition() -> None:
    for records in all_records():
        instants = [record.received_at for record in records]
        assert instants == sorted(instants)
        assert instants[0] == SINCE


def test_every_round_ends_with_one_tick_in_every_partition() -> None:
    assert [one.end for one in made()] == [SINCE + n * ROUND for n in range(1, 13)]
    for one in made():
        for piece in one.partitions:
            assert [record.headers[0][1] == TICK for record in piece if record.headers][-1]
            assert piece[-1] == A_TICK._replace(received_at=one.end)
            assert all(record.received_at < one.end for record in piece[:-1])


def test_the_definitions_come_first_and_later_ones_at_their_instant() -> None:
    for records in all_records():
        assert records[0] == OPENING
        published = [record for record in records if record.key == b"definitions"]
        assert published == [OPENING, LATER]


def test_the_core_gets_every_record_of_the_log() -> None:
    core = Greeter()
    log = make(core)
    assert len(core.appended) == sum(len(piece) for one in log for piece in one.partitions)


def test_a_reaction_arrives_after_the_round_of_its_send_and_after_it_happened() -> None:
    decided: dict[str, Instant] = {}
    reacted = 0
    for one in made():
        for piece in one.partitions:
            for record in piece:
                event = orjson.loads(record.value) if not record.headers else {}
                send_id = event.get("properties", {}).get("send_id")
                if send_id is not None:
                    reacted += 1
                    assert record.received_at > decided[send_id]
                    assert record.received_at > to_instant(event["time"])
        for said in one.writes:
            if said.topic == "send-commands":
                decided[orjson.loads(said.value)["id"]] = one.end
    assert reacted > 100


def test_nobody_is_in_two_partitions_under_one_key() -> None:
    places: dict[bytes, int] = {}
    for partition, records in enumerate(all_records()):
        for record in records:
            if not record.headers:
                assert places.setdefault(record.key, partition) == partition


def test_the_log_is_the_same_every_time_and_a_short_one_its_beginning() -> None:
    assert make(Greeter()) == made()
    short = make(Greeter(), until=SINCE + DAY)
    assert short == made()[:4]


def test_what_waits_is_handed_out_once_in_order() -> None:
    waiting = Waiting([LogRecord(1, b"a", b""), LogRecord(5, b"b", b"")])
    waiting.add([LogRecord(7, b"d", b""), LogRecord(3, b"c", b"")])
    assert [record.key for record in waiting.before(5)] == [b"a", b"c"]
    assert [record.key for record in waiting.before(9)] == [b"b", b"d"]
    assert waiting.before(99) == []
