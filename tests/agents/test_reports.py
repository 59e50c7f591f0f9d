"""The reports are the pure functions, asked of the database."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.migrations import migrate
from agents.reports.attribution import attribution, credits_query, parameters_of
from agents.reports.funnels import FunnelRow, funnels
from agents.reports.stories import ProfileStory, profile_story
from agents.reports.totals import totals
from schemas.outputs import Credit
from schemas.topics import TIMELINE
from streams.attribution.credit import credit
from streams.attribution.rules import MODELS, STRENGTH
from streams.attribution.touches import observed
from streams.instants import to_timestamp
from streams.money import to_micros, to_money
from tests.agents.told_timelines import START, History, entry, histories, insert, tell


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """The embedded engine, in memory, with all tables."""
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


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


@pytest.fixture(scope="module")
def told(client: Client) -> Client:
    """A database that knows the story that is told on purpose."""
    tell(client)
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


def test_events_of_one_instant_are_told_in_the_order_in_which_they_came(client: Client) -> None:
    came = ["Subscribed", "Placed Order", "Started Checkout"]
    entries = [entry("tied", metric, "it", f"e{n}", 0, n) for n, metric in enumerate(came)]
    insert(client, TIMELINE.name, entries)
    assert [row.name for row in profile_story(client, "tied", "it").rows] == came
