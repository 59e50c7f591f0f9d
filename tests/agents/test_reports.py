"""The reports are the pure functions, asked of the database."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.columns import SHAPES
from agents.migrations import migrate
from agents.reports.attribution import attribution, credits_query, parameters_of
from agents.reports.funnels import FunnelRow, funnels
from agents.reports.stories import ProfileStory, profile_story, send_story
from agents.reports.totals import totals
from schemas.outputs import (
    Credit,
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
from streams.attribution.credit import credit
from streams.attribution.rules import MODELS, STRENGTH, TOUCHES, CreditRules
from streams.attribution.touches import observed
from streams.instants import to_instant, to_timestamp
from streams.money import to_micros, to_money

STORES = itertools.count(1)
START = to_instant("2010-12-01T08:00:00.000Z")
OFFSETS = itertools.count(0)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """The embedded engine, in memory, with all tables."""
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


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


def as_credits(rows: Sequence[Any], model: str, store: str) -> list[Credit]:
    kinds = {strength: kind for kind, strength in STRENGTH.items()}
    return [
        Credit(
            store=store,
            profile_id=profile,
            conversion=conversion,
            converted_at=to_timestamp(converted_at),
            send_id=send,
            flow=flow or None,
            campaign=campaign or None,
            message=message,
            channel=channel,
            touch=f"{channel}_{kinds[strength]}",
            touched_at=to_timestamp(at),
            model=model,
            share=to_money(share),
            amount=to_money(amount),
            currency=currency,
        )
        for (
            profile,
            conversion,
            converted_at,
            send,
            flow,
            campaign,
            message,
            channel,
            strength,
            at,
            currency,
            _place,
            amount,
            share,
        ) in rows
    ]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    history=histories(),
    model=st.sampled_from(MODELS),
    starts=st.sampled_from(["touch", "receipt"]),
)
def test_the_query_and_the_pure_function_give_the_same_credits(
    client: Client, history: History, model: Any, starts: Any
) -> None:
    history.insert(client)
    rules = history.rules(models=(model,), starts=starts)
    touches, conversions = observed(history.entries, history.commands, history.merges, rules)
    expected = credit(touches, conversions, rules)

    query = credits_query(model, rules) + " ORDER BY converted_at, conversion, profile_id, place"
    rows = client.query(query, parameters=parameters_of(rules, 0, 2 * START)).result_rows
    assert as_credits(rows, model, history.store) == expected

    earned: dict[Any, int] = defaultdict(int)
    for one in expected:
        key = (one.flow, one.campaign, one.message, one.channel, one.currency)
        earned[key] += to_micros(Decimal(one.amount))
    reported = {
        (row.flow, row.campaign, row.message, row.channel, currency): amount
        for row in attribution(client, 0, 2 * START, model, rules)
        for currency, amount in row.revenue.items()
    }
    assert reported == {key: to_money(amount) for key, amount in earned.items()}


def test_touch_metrics_are_known() -> None:
    assert TOUCHES["Opened Email"] == ("email", "open")


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


@pytest.fixture(scope="module")
def told(client: Client) -> Client:
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
    return client


def test_totals_count_a_person_with_two_ids_and_an_event_that_both_had_once(told: Client) -> None:
    found = totals(told)
    metrics = {
        (row.metric, row.events): row.revenue for row in found.metrics if row.store == "main"
    }
    assert metrics == {
        ("Placed Order", 2): {"EUR": "0.001", "GBP": "12.10"},
        ("Opened Email", 1): {},
        ("Started Checkout", 1): {"EUR": "9.50"},
    }
    assert found.profiles["main"] == found.profiles["other"] == 1
    segments = [row for row in found.segments if row.store == "main"]
    assert [(row.segment, row.profiles, row.profiles_ever) for row in segments] == [("carts", 1, 2)]


def test_a_funnel_counts_a_send_that_was_held_twice_as_held_once(told: Client) -> None:
    (row,) = funnels(told, "main", START, START + 1000)
    assert row == FunnelRow(
        flow="cart",
        triggered=1,
        sent=1,
        held=1,
        dropped=1,
        skipped=0,
        refused=1,
        reasons={
            "held": {"quiet-hours": 1},
            "dropped": {"smart-sending": 1},
            "refused": {"re-entry": 1},
        },
    )
    assert funnels(told, "main", START + 1000, START + 2000) == []


def test_a_story_is_told_in_order_whatever_id_is_asked_for(told: Client) -> None:
    story = profile_story(told, "main", "ib")
    assert story == profile_story(told, "main", "ia")
    assert (story.profile_id, story.merged) == ("ia", ["ib"])
    assert [(row.kind, row.name, row.reason) for row in story.rows] == [
        ("event", "Started Checkout", None),
        ("entered", "carts", None),
        ("triggered", "cart", "Started Checkout"),
        ("held", "cart/m1", "quiet-hours"),
        ("held", "cart/m1", "quiet-hours"),
        ("sent", "cart/m1", None),
        ("commanded", "email t", None),
        ("dropped", "cart/m2", "smart-sending"),
        ("merged", "ib into ia", None),
        ("entered", "carts", None),
        ("refused", "cart", "re-entry"),
        ("event", "Opened Email", None),
        ("event", "Placed Order", None),
        ("event", "Placed Order", None),
    ]
    assert story.rows[1].details[0]["leaf"] == "did Started Checkout"
    assert msgspec.json.decode(msgspec.json.encode(story), type=ProfileStory) == story


def test_nobody_has_an_empty_story(told: Client) -> None:
    assert profile_story(told, "main", "nobody").rows == []
    assert send_story(told, "nothing") is None


def test_a_send_is_explained_from_its_trigger_to_its_outcomes(told: Client) -> None:
    story = send_story(told, "s1")
    assert story is not None
    assert story.command is not None
    assert (story.profile_id, story.command["template"]) == ("ib", "t")
    assert [(row.kind, row.name) for row in story.rows] == [
        ("event", "Started Checkout"),
        ("triggered", "cart"),
        ("held", "cart/m1"),
        ("held", "cart/m1"),
        ("sent", "cart/m1"),
        ("commanded", "email t"),
        ("outcome", "Opened Email"),
    ]
