"""Three opinions of a segment: the features that run live, brute force, and ClickHouse."""

from collections.abc import Iterator
from typing import Any

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from agents.columns import SHAPES
from agents.migrations import migrate
from schemas import conditions as c
from schemas.events import Event
from schemas.outputs import TimelineEntry
from schemas.rows import ProfileRow
from schemas.topics import TIMELINE
from streams.definitions.program import compile_program
from streams.instants import HOUR, to_timestamp
from streams.money import to_money
from streams.segments.features import note
from streams.segments.person import Person
from tests.agents.segment_sql import NotInSql, condition_sql, members_by_sql
from tests.streams.segments import brute
from tests.streams.segments.invented import BASE, DID, DID_NOT, MEASURED, histories

SAYABLE = st.recursive(
    st.one_of(DID, DID_NOT, MEASURED),
    lambda inner: st.builds(
        lambda word, parts: {word: parts},
        st.sampled_from(["all", "any", "none"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=3,
)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


def insert(client: Client, people: list[list[Event]]) -> None:
    """Each history is a person's; `i0`, `i1` and so on."""
    client.command("TRUNCATE TABLE events")
    entries = [
        TimelineEntry(
            event_id=event.id,
            store="main",
            profile_id=f"i{who}",
            metric=event.metric,
            occurred_at=to_timestamp(event.occurred_at),
            received_at=to_timestamp(event.received_at),
            origin=(event.received_at, 0, number),
            trust="server",
            source="shop",
            backfill=False,
            identifiers=(),
            properties=event.properties,
            value=None if event.value is None else to_money(event.value),
            currency=event.currency,
        )
        for who, events in enumerate(people)
        for number, event in enumerate(events)
    ]
    shape = SHAPES[TIMELINE.name]
    lines = [shape.decode(msgspec.json.encode(entry)) for entry in entries]
    client.insert_arrow(
        "events", shape.rows(lines, 0, range(len(lines))), settings={"async_insert": 0}
    )


def by_features(program: Any, where: c.Condition, came: list[Event], now: int) -> bool:
    row = ProfileRow(id="i1", store="main")
    for event in came:
        note(program, row, event)
    return bool(program.condition(where).ask(Person(row, program), now)[0])


def three_opinions(
    client: Client, condition: dict[str, Any], people: list[list[Event]], hours: list[int]
) -> None:
    program = compile_program(
        [
            {"flow": "f", "trigger": {"did": "A"}, "filter": condition, "steps": []},
            {"store": "main", "currency": "EUR"},
        ],
        version="v1",
    )
    where = program.flows["f"].filter
    assert where is not None
    try:
        condition_sql(where, "EUR")
    except NotInSql:
        assume(False)
    insert(client, people)
    for hour in hours:
        for now in (BASE + hour * HOUR - 1, BASE + hour * HOUR):
            found = members_by_sql(client, "main", where, now, "EUR")
            for who, events in enumerate(people):
                came = [event for event in events if event.received_at <= now]
                wanted = brute.holds(condition, came, now, row=ProfileRow(), trigger=None)
                assert by_features(program, where, came, now) is wanted, (condition, now)
                if came:
                    assert (f"i{who}" in found) is wanted, (condition, now - BASE, came)


PEOPLE = st.lists(histories(1), min_size=8, max_size=12)
INSTANTS = st.lists(st.integers(0, 30), min_size=1, max_size=2)
SETTINGS = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@SETTINGS
@given(condition=SAYABLE, people=PEOPLE, hours=INSTANTS)
def test_features_brute_force_and_clickhouse_agree(
    client: Client, condition: dict[str, Any], people: list[list[Event]], hours: list[int]
) -> None:
    three_opinions(client, condition, people, hours)


@pytest.mark.prove
@settings(SETTINGS, max_examples=3_000, derandomize=False, print_blob=True)
@given(condition=SAYABLE, people=PEOPLE, hours=INSTANTS)
def test_features_brute_force_and_clickhouse_agree_at_length(
    client: Client, condition: dict[str, Any], people: list[list[Event]], hours: list[int]
) -> None:
    three_opinions(client, condition, people, hours)


@pytest.mark.parametrize(
    "where",
    [
        c.Sampled(500_000),
        c.Did(c.EventFilter("A"), c.Compare(">=", brute.Decimal(1)), c.SinceFlowStart()),
        c.Did(
            c.EventFilter("A", (c.Filter("items[].id", (c.IsSet(True),)),)),
            c.Compare(">=", brute.Decimal(1)),
        ),
    ],
)
def test_what_sql_cannot_say_is_refused(where: c.Condition) -> None:
    with pytest.raises(NotInSql):
        condition_sql(where, "EUR")


def test_a_quote_in_a_definition_stays_in_its_text(client: Client) -> None:
    one = Event(
        1, "e1", "It's", BASE, BASE, "main", "server", (), {}, {}, {"size": "a'b\\"}, None, None,
        "shop", False,
    )  # fmt: skip
    insert(client, [[one]])
    where = c.Did(
        c.EventFilter("It's", (c.Filter("size", (c.IsOneOf(("a'b\\",)),)),)),
        c.Compare(">=", brute.Decimal(1)),
    )
    assert members_by_sql(client, "main", where, BASE, "EUR") == ["i0"]
