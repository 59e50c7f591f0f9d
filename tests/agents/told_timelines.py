"""Timelines for tests: small histories drawn at random, and one that is told on purpose."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from clickhouse_connect.driver.client import Client
from hypothesis import strategies as st

from agents.columns import SHAPES
from schemas.outputs import (
    Evidence,
    FlowTriggered,
    IdentityMerged,
    SegmentChanged,
    SendCommand,
    SendDecided,
    TimelineEntry,
)
from schemas.topics import (
    FLOW_TRIGGERS,
    IDENTITY_MERGES,
    SEGMENT_CHANGES,
    SEND_COMMANDS,
    SEND_DECISIONS,
    TIMELINE,
)
from schemas.values import Record
from streams.attribution.rules import MODELS, CreditRules
from streams.instants import to_instant, to_timestamp
from streams.money import to_money

STORES = itertools.count(1)
START = to_instant("2010-12-01T08:00:00.000Z")
OFFSETS = itertools.count(0)


def insert(client: Client, topic: str, records: Sequence[Record]) -> None:
    """Put records into their table as the sink does."""
    if records:
        shape = SHAPES[topic]
        lines = [shape.decode(msgspec.json.encode(record)) for record in records]
        rows = shape.rows(lines, 0, [next(OFFSETS) for _ in lines])
        client.insert_arrow(shape.table.name, rows, settings={"async_insert": 0})


class History(NamedTuple):
    """What happened in one store, as the public topics tell it."""

    store: str
    entries: list[TimelineEntry]
    commands: list[SendCommand]
    merges: list[IdentityMerged]

    def rules(self, **changes: Any) -> CreditRules:
        windows = {"email_click": 5, "email_open": 3, "sms_click": 4, "sms_delivered": 2}
        plain = CreditRules(store=self.store, models=MODELS, windows=windows, half_life=2)
        return plain._replace(**changes)

    def insert(self, client: Client) -> None:
        insert(client, TIMELINE.name, self.entries)
        insert(client, SEND_COMMANDS.name, self.commands)
        insert(client, IDENTITY_MERGES.name, self.merges)


def command(store: str, number: int, profile: str, flow: str | None, at: int) -> SendCommand:
    return SendCommand(
        id=f"s{number}",
        store=store,
        profile_id=profile,
        channel="sms" if number % 3 == 0 else "email",
        address="ann@example.com",
        template="t",
        flow=flow,
        flow_run_id="r1" if flow else None,
        campaign=None if flow else "spring",
        message=f"m{number % 2}",
        variant=None,
        attempt=1,
        transactional=False,
        context={"traits": {}},
        unsubscribe_token="u",
        postal_address=None,
        decided_at=to_timestamp(START + at),
        valid_until=to_timestamp(START + at + 600_000),
    )


def entry(
    store: str, metric: str, profile: str, event_id: str, at: int, order: int, **more: Any
) -> TimelineEntry:
    plain: dict[str, Any] = {"properties": {}, "value": None, "currency": None} | more
    return TimelineEntry(
        event_id=event_id,
        store=store,
        profile_id=profile,
        metric=metric,
        occurred_at=to_timestamp(START + at),
        received_at=to_timestamp(START + at),
        origin=(START, 0, order, 0),
        trust="server",
        source="shop",
        backfill=False,
        identifiers=(("email", "ann@example.com"),),
        **plain,
    )


PROFILES = ("ia", "ib", "ic", "id")
INSTANTS = st.integers(0, 14)
"""Few instants, windows of a few milliseconds: ties and edges are the rule."""


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw sends, outcomes, orders and merges; events that two profiles had among them."""
    store = f"store-{next(STORES)}"
    merges = [
        IdentityMerged(
            id=f"x{loser}",
            store=store,
            winner=PROFILES[winner],
            loser=PROFILES[loser],
            decided_at=to_timestamp(START),
        )
        for loser in range(1, 4)
        if (winner := draw(st.integers(0, 3))) < loser
    ]
    flows = st.sampled_from(["cart", "welcome", None])
    commands = [
        command(store, number, draw(st.sampled_from(PROFILES)), draw(flows), draw(INSTANTS))
        for number in range(draw(st.integers(1, 5)))
    ]
    entries: list[TimelineEntry] = []
    metrics = st.sampled_from(
        ["Opened {}", "Clicked {}", "Clicked {}", "Received {}", "Opened Push"]
    )
    for number in range(draw(st.integers(0, 14))):
        sent = draw(st.sampled_from(commands))
        metric = draw(metrics).format("SMS" if sent.channel == "sms" else "Email")
        send_id = draw(st.sampled_from([sent.id] * 5 + ["unknown"]))
        place = (draw(st.sampled_from(PROFILES)), f"o{draw(st.integers(0, 20))}", draw(INSTANTS))
        entries.append(entry(store, metric, *place, number, properties={"send_id": send_id}))
    for number in range(draw(st.integers(1, 5))):
        place = (draw(st.sampled_from(PROFILES)), f"c{draw(st.integers(0, 6))}", draw(INSTANTS))
        micros = draw(st.integers(-(10**15), 10**15) | st.none())
        value = None if micros is None else to_money(micros)
        currency = draw(st.sampled_from([None, "GBP"]))
        order = 100 - number
        entries.append(entry(store, "Placed Order", *place, order, value=value, currency=currency))
    return History(store, entries, commands, merges)


def decided(
    number: int, outcome: Any, reason: str | None, message: str | None = "m1"
) -> SendDecided:
    return SendDecided(
        id=f"d{number}",
        store="main",
        profile_id="ib",
        flow="cart",
        flow_run_id="r1",
        message=message,
        channel="email",
        outcome=outcome,
        reason=reason,
        send_id="s1" if outcome == "sent" else None,
        decided_at=to_timestamp(START + 10 * number),
    )


def tell(client: Client) -> None:
    """A person with two ids who triggered a flow, was held, then sent a message, and bought."""
    entries = [
        entry("main", "Started Checkout", "ib", "e1", 0, 1, value="9.50", currency="EUR"),
        entry("main", "Placed Order", "ib", "e2", 100, 2, value="0.001", currency="EUR"),
        entry("main", "Placed Order", "ia", "e2", 100, 3, value="0.001", currency="EUR"),
        entry("main", "Placed Order", "ia", "e3", 900, 4, value="12.10", currency="GBP"),
        entry("main", "Opened Email", "ib", "e4", 60, 5, properties={"send_id": "s1"}),
        entry("other", "Placed Order", "ia", "e2", 100, 6, value="5.00", currency="EUR"),
    ]
    insert(client, TIMELINE.name, entries)
    insert(client, TIMELINE.name, entries[:2])
    trigger = FlowTriggered(
        id="r1",
        store="main",
        profile_id="ib",
        flow="cart",
        version="1",
        trigger="Started Checkout",
        trigger_event_id="e1",
        started_at=to_timestamp(START),
        decided_at=to_timestamp(START),
    )
    insert(client, FLOW_TRIGGERS.name, [trigger])
    decisions = [
        decided(1, "held", "quiet-hours"),
        decided(2, "held", "quiet-hours"),
        decided(3, "sent", None),
        decided(4, "dropped", "smart-sending", "m2"),
        decided(5, "refused", "re-entry", None),
    ]
    insert(client, SEND_DECISIONS.name, decisions)
    sent = command("main", 1, "ib", "cart", 30)
    insert(client, SEND_COMMANDS.name, [sent])
    changes = [
        SegmentChanged(
            id=f"g{number}",
            store="main",
            profile_id=profile,
            segment="carts",
            change=change,
            at=to_timestamp(START + at),
            decided_at=to_timestamp(START + at),
            evidence=(Evidence(leaf="did Started Checkout", holds=True, value="1"),),
        )
        for number, (profile, change, at) in enumerate(
            [("ib", "entered", 0), ("ic", "entered", 0), ("ic", "exited", 5), ("ia", "entered", 50)]
        )
    ]
    insert(client, SEGMENT_CHANGES.name, changes)
    merge = IdentityMerged(
        id="x1", store="main", winner="ia", loser="ib", decided_at=to_timestamp(START + 50)
    )
    insert(client, IDENTITY_MERGES.name, [merge])
