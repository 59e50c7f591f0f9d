"""STOP, START, subscriptions, merges, refusals, holds and due messages, in every order.

Small cases, exhaustively: each order of the events, each way to spread them over two partitions of
`store-events`, through the real stations with two partitions each. Whoever holds the phone, no text
to it is decided after a denial was received that names it. Two things travel for a few rounds, and
each has a test: a link that is just being made, where the sender's last look objects; and a denial
that names no address, on its way to others who hold one of the profile's addresses.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest

from agents.sender.last_look import LastLook
from schemas.outputs import ConsentStated, SendCommand, SendDecided
from schemas.records import DefinitionsPublished
from schemas.topics import CONSENT, SEND_COMMANDS, SEND_DECISIONS
from schemas.values import Instant
from streams.definitions.switch import in_force
from streams.identity.step import IdentityCore
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.control import tick
from streams.ingest.read import EventReader
from streams.instants import SECOND, to_instant, to_timestamp
from streams.profile.step import ProfileCore
from streams.replay import Replay
from tests.scenarios.play import documents_of

BEGIN = to_instant("2026-01-05T06:59:50Z")
"""Ten seconds before quiet hours end in Berlin, where the phone is from."""

TICK = SECOND // 2
ROUNDS_LATE = 3
GAP = 900
"""Milliseconds between events: a message that one makes due, a second later, is due just after the
next one, within the same round."""

PARTITIONS = 2
PHONE = "+4930123456"
DEFINITIONS = """
store: main
zone: UTC
address: Somewhere 1
consent: {email: not_denied}
quiet_hours: {sms: {from: "07:00", until: "08:00"}}
---
flow: held
trigger: {did: Viewed Product}
steps: [{send: held, channel: sms, template: t, smart_sending: false}]
---
flow: due
trigger: {did: Viewed Product}
steps:
  - wait: 1s
  - {send: due, channel: sms, template: t, smart_sending: false, quiet_hours: ignore}
---
flow: mail
trigger: {did: Placed Order}
steps: [{send: mail, channel: email, template: t, smart_sending: false}]
"""
IDS = Ids(REPLAY_SECRET)
PUBLISHED = in_force(None, DefinitionsPublished("main", "v1", "ann", documents_of(DEFINITIONS)), ())
IDENTITY = IdentityCore(IDS).adopt(PUBLISHED)
PROFILE = ProfileCore(IDS).adopt(PUBLISHED)

ANN, BOB, MAIL = {"external_id": "c-1"}, {"external_id": "c-2"}, {"email": "ann@example.com"}
P = {"phone": PHONE}
SMS = {"channel": "sms"}
EVENTS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "ann-views": ("Viewed Product", ANN | P, {}),
    "bob-views": ("Viewed Product", BOB | P, {}),
    "stop": ("Received SMS Reply", P, {"body": "STOP"}),
    "bob-denies": ("Unsubscribed", BOB | P, SMS),
    "start": ("Received SMS Reply", P, {"body": "START"}),
    "ann-subscribes": ("Subscribed", ANN | P, SMS),
    "merge": ("Identify", MAIL | P, {}),
    "refusal": ("Identify", BOB | P, {}),
}
MORE: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "mail-denied": ("Unsubscribed", MAIL, {}),
    "bob-orders": ("Placed Order", BOB | MAIL, {}),
    "bob-denies-all": ("Unsubscribed", BOB, {}),
}
DENIES = frozenset({"stop", "bob-denies"})
GRANTS = frozenset({"start", "ann-subscribes"})


class Came(NamedTuple):
    """An event as it came. The first one is before all that is told of."""

    name: str
    at: Instant


class Ended(NamedTuple):
    """What was said of one order."""

    commands: list[SendCommand]
    decisions: list[SendDecided]
    look: LastLook


def played(came: Sequence[Came], partitions: Sequence[int]) -> Ended:
    """Play an order of events, each in its partition, and ticks of both."""
    replay = Replay(PARTITIONS, reader=lambda: EventReader(IDS), identity=IDENTITY, profile=PROFILE)
    entries: list[tuple[Instant, int, bytes, Any]] = [
        (one.at, partition, content(one), ())
        for one, partition in zip(came, partitions, strict=True)
    ]
    value, headers = tick()
    last = came[-1].at + 15 * SECOND
    entries += [
        (at, partition, value, headers)
        for at in range(came[0].at // TICK * TICK + TICK, last, TICK)
        for partition in range(PARTITIONS)
    ]
    for at, partition, text, named in sorted(entries, key=lambda entry: entry[:2]):
        replay.append(partition, text, at, headers=named)
    look = LastLook(PARTITIONS, simulated=True, ids=IDS)
    commands, decisions = [], []
    for write in sorted(replay.run(), key=lambda write: write.timestamp):
        if write.key.startswith(b"clock/"):
            continue
        if write.topic == SEND_COMMANDS.name:
            commands.append(msgspec.json.decode(write.value, type=SendCommand))
        elif write.topic == SEND_DECISIONS.name:
            decisions.append(msgspec.json.decode(write.value, type=SendDecided))
        elif write.topic == CONSENT.name:
            look.hear(msgspec.json.decode(write.value, type=ConsentStated))
    return Ended(commands, decisions, look)


def content(one: Came) -> bytes:
    metric, who, properties = (EVENTS | MORE)[one.name]
    return msgspec.json.encode(
        {
            "id": f"{one.name}-{one.at}",
            "metric": metric,
            "time": to_timestamp(one.at),
            "profile": who,
            "properties": properties,
        }
    )


def denied_since(came: Sequence[Came], at: Instant) -> Instant | None:
    """When the denial was received that holds just before `at`; None: none does."""
    words = [one for one in came if one.at < at and one.name in DENIES | GRANTS]
    return words[-1].at if words and words[-1].name in DENIES else None


class Count(NamedTuple):
    """sent: texts that were decided. dropped: those that had no consent. held: how often one waited
    for quiet hours to end.
    """

    sent: int
    dropped: int
    held: int


def check(names: Iterable[str], partitions: Sequence[int]) -> Count:
    """One order of events: no text after a denial."""
    came = [
        Came("ann-subscribes", BEGIN - 10 * SECOND),
        *(Came(name, BEGIN + index * GAP) for index, name in enumerate(names, start=1)),
    ]
    ended = played(came, [0, *partitions])
    for command in ended.commands:
        assert command.address == PHONE
        denied_at = denied_since(came, to_instant(command.decided_at))
        story = [(one.name, one.at - BEGIN) for one in came], partitions, command.message
        assert denied_at is None, story
    outcomes = [(one.outcome, one.reason) for one in ended.decisions]
    return Count(
        len(ended.commands),
        outcomes.count(("dropped", "no-consent")),
        sum(outcome == "held" for outcome, _ in outcomes),
    )


def total(cases: Iterable[tuple[Sequence[str], Sequence[int]]]) -> Count:
    counts = [check(names, partitions) for names, partitions in cases]
    return Count(*(sum(one) for one in zip(*counts, strict=True)))


def orders(of: Sequence[str], spreads: int) -> Iterator[tuple[Sequence[str], Sequence[int]]]:
    """Every order of these events, every way (or the first so many) to spread them."""
    for names in itertools.permutations(of):
        ways = itertools.product(range(PARTITIONS), repeat=len(names))
        yield from ((names, way) for way in itertools.islice(ways, spreads))


ALL_WAYS = 1 << 30


@pytest.mark.parametrize(
    "of",
    [
        ("ann-views", "stop", "start"),
        ("ann-views", "stop", "merge"),
        ("bob-views", "bob-denies", "ann-views"),
        ("refusal", "bob-views", "stop"),
    ],
)
def test_no_order_of_three_events_sends_after_a_denial(of: Sequence[str]) -> None:
    count = total(orders(of, ALL_WAYS))
    assert count.sent > 0
    assert count.dropped > 0
    assert count.held > 0


def test_where_a_link_is_just_being_made_the_last_look_objects() -> None:
    """Bob orders with an address that was denied before; his profile has not heard of it yet."""
    sent = 0
    for partitions in itertools.product(range(PARTITIONS), repeat=2):
        came = [Came("mail-denied", BEGIN), Came("bob-orders", BEGIN + 10 * SECOND)]
        ended = played(came, partitions)
        for command in ended.commands:
            assert ended.look.objects(command) == "denied"
            sent += 1
    assert sent > 0, "the link was known at once: then the store need not say so"


def test_a_denial_that_names_no_address_reaches_who_shares_one_within_three_rounds() -> None:
    found = [decided_after(gap, way) for gap in range(0, 6 * TICK, TICK // 2) for way in (0, 1)]
    assert any(found), "it travels"
    assert not all(found), "and arrives"


def decided_after(gap: Instant, partition: int) -> bool:
    """Ann's message is due `gap` after Bob has denied. Returns: whether it was decided."""
    due_at = BEGIN + 2 * SECOND + 300
    came = [
        Came("ann-subscribes", BEGIN - 20 * SECOND),
        Came("refusal", BEGIN - 15 * SECOND),
        Came("ann-views", due_at - SECOND),
        Came("bob-denies-all", due_at - gap - 1),
    ]
    ended = played(sorted(came, key=lambda one: one.at), [0, 0, 0, partition])
    due = [command for command in ended.commands if command.message == "due"]
    assert not due or gap <= (ROUNDS_LATE + 1) * TICK
    return bool(due)


def test_the_partition_of_an_event_decides_nothing() -> None:
    """So many events need not be spread in every way: no two are received at one instant."""
    names = ("ann-views", "merge", "bob-denies", "refusal", "bob-views")
    came = [
        Came("ann-subscribes", BEGIN - 10 * SECOND),
        *(Came(name, BEGIN + index * GAP) for index, name in enumerate(names, start=1)),
    ]
    ways = list(itertools.product(range(PARTITIONS), repeat=len(came)))
    first, *others = [played(came, way) for way in (ways[0], ways[-1], *ways[5:60:11])]
    assert first.commands
    for other in others:
        assert other.commands == first.commands
        assert other.decisions == first.decisions


def among(size: int) -> list[Any]:
    """So many of the events, each choice as a case of its own."""
    return [pytest.param(of, id="+".join(of)) for of in itertools.combinations(EVENTS, size)]


@pytest.mark.prove
@pytest.mark.parametrize("of", [*among(2), *among(3)])
def test_no_order_of_any_events_in_any_partitions_sends_after_a_denial(of: Sequence[str]) -> None:
    total(orders(of, ALL_WAYS))


@pytest.mark.prove
@pytest.mark.parametrize("of", [*among(4), *among(5)])
def test_no_order_of_four_or_five_events_sends_after_a_denial(of: Sequence[str]) -> None:
    total(orders(of, 2))
