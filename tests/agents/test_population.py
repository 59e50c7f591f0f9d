"""Cuts from the timeline are those of the profiles themselves; when they are measured."""

import random
from collections.abc import Iterator
from typing import Any

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from agents.live.ranking import instant_of, is_due
from agents.migrations import migrate
from agents.population import measured
from agents.reports.membership import explain_segment
from agents.reports.preview import preview
from schemas.events import Event
from schemas.records import Cut, DefinitionsPublished
from schemas.rows import DefinitionsRow, ProfileRow
from streams.definitions.program import Program, compile_program
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import DAY, HOUR, to_timestamp
from streams.segments.features import note
from streams.segments.ranked import measure

AT = 1_767_225_600_000
IDS = Ids(REPLAY_SECRET)
STORE = {"store": "ranks", "currency": "EUR"}
WINDOWS: list[dict[str, Any]] = [
    {},
    {"in_last": "30d"},
    {"at_least_ago": "30d"},
    {"ago": ["10d", "40d"]},
    {"before": "2025-12-20"},
    {"after": "2025-12-20"},
    {"between": ["2025-12-01", "2025-12-20"]},
]
RANKED_BY: list[dict[str, Any]] = [
    {},
    *({one: "value"} for one in ("total", "average", "min", "max")),
    *({one: "price"} for one in ("total", "average", "min", "max")),
    {"where": {"price": ">= 2"}},
    {"where": {"items[].category": "shoes"}, "average": "value"},
]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """The embedded engine, in memory, with all tables."""
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


def history(chance: random.Random, profiles: int) -> list[tuple[str, Event]]:
    """Orders at whole days, some of them exactly at the ends of windows."""
    told = []
    for number in range(profiles * 6):
        occurred_at = AT - chance.choice([0, 1, 5, 9, 10, 11, 29, 30, 31, 39, 40, 41]) * DAY
        currency = chance.choice([None, "EUR", "EUR", "USD"])
        event = Event(
            schema=1,
            id=f"o{number}",
            metric=chance.choice(["Placed Order", "Placed Order", "Viewed Product"]),
            occurred_at=occurred_at,
            received_at=occurred_at,
            store="ranks",
            trust="server",
            identifiers=(),
            traits={},
            traits_once={},
            properties={
                "price": chance.choice([1, "2.50", 2.5, 3, "x"]),
                "items": [{"category": chance.choice(["shoes", "hats"])}],
            },
            value=chance.choice([None, 0, 1_000_000, 2_500_000, -1_000_000, 333_333]),
            currency=currency,
            source="shop",
            backfill=False,
        )
        told.append((f"i{chance.randrange(profiles):02}", event))
    return told


def insert(client: Client, told: list[tuple[str, Event]]) -> None:
    rows = [
        {
            "store": event.store,
            "profile_id": profile,
            "occurred_at": event.occurred_at,
            "metric": event.metric,
            "event_id": event.id,
            "received_at": event.received_at,
            "origin": [event.received_at, 0, offset],
            "trust": event.trust,
            "source": event.source,
            "identifiers": '[["external_id", "c-1"]]',
            "traits": "{}",
            "properties": msgspec.json.encode(event.properties).decode(),
            "value_micros": event.value,
            "currency": event.currency or "",
            "kafka_partition": 0,
            "kafka_offset": offset,
        }
        for offset, (profile, event) in enumerate(told)
    ]
    client.insert("events", [list(row.values()) for row in rows], column_names=list(rows[0]))


def test_the_timeline_gives_the_cuts_of_the_profiles(client: Client) -> None:
    told = history(random.Random(7), 20)
    insert(client, told)
    merge = {"id": "m1", "store": "ranks", "winner": "i00", "loser": "i01", "decided_at": AT}
    row = {**merge, "kafka_partition": 0, "kafka_offset": 0}
    client.insert("identity_merges", [list(row.values())], column_names=list(row))
    each = [{"did": "Placed Order", **by, **window} for by in RANKED_BY for window in WINDOWS]
    leaves = [
        {"top": "25%", "by": by} if number % 4 else {"bottom": "7%", "by": by}
        for number, by in enumerate(each)
        if number % 2 == 0
    ]
    documents = [{"segment": f"s{i}", "where": leaf} for i, leaf in enumerate(leaves)]
    program = compile_program([*documents, STORE], version="v1")
    rows: dict[str, ProfileRow] = {}
    for profile, event in sorted(told, key=lambda one: one[1].received_at):
        united = "i00" if profile == "i01" else profile
        note(program, rows.setdefault(united, ProfileRow(id=united)), event)
    expected = {cut.ranking: cut for cut in measure(program, rows.values(), AT)}
    found = {cut.ranking: cut for cut in measured(client, program, AT)}
    assert len(expected) > len(leaves) / 2
    for name, ranking in program.rankings.items():
        ours, theirs = expected.get(name), found.get(name)
        if ours is None or theirs is None:
            assert ours is theirs, ranking.condition
            continue
        assert theirs.total * ours.count == ours.total * theirs.count, ranking.condition
        assert theirs.profiles == ours.profiles, ranking.condition


def test_a_store_without_such_events_has_no_cut(client: Client) -> None:
    leaf = {"top": "25%", "by": {"did": "Never"}}
    program = compile_program([{"segment": "s", "where": leaf}, STORE], version="v1")
    assert measured(client, program, AT) == ()


def test_who_is_explained_or_previewed_is_compared_with_the_cut_of_that_day(client: Client) -> None:
    told = [
        (profile, msgspec.structs.replace(event, store="told", id=f"t-{event.id}"))
        for profile, event in history(random.Random(3), 8)
    ]
    insert(client, told)
    leaf = {"top": "25%", "by": {"did": "Placed Order"}}
    documents = [{"segment": "s", "where": leaf}, {"store": "told", "currency": "EUR"}]
    noon = AT + DAY // 2
    program = compile_program(documents, version="v1")
    (cut,) = measured(client, program, AT)
    found = preview(client, "told", documents, "s", noon, IDS)
    orders = {profile: 0 for profile, _ in told}
    for profile, event in told:
        orders[profile] += event.metric == "Placed Order"
    inside = {profile for profile, many in orders.items() if many >= cut.total}
    assert (found.profiles, found.everybody) == (len(inside), len(orders))
    best = max(inside)
    explained = explain_segment(client, "told", documents, "s", best, noon, IDS)
    assert explained is not None
    assert explained.inside
    assert explained.condition.leaf is not None
    midnight = to_timestamp(AT)
    assert explained.condition.leaf.note == (
        f"the cut is {cut.total}, of {cut.profiles} profiles at {midnight}"
    )


# --- when ----------------------------------------------------------------------------------------


def in_force(*cuts: Cut) -> tuple[DefinitionsRow, Program]:
    leaf = {"top": "25%", "by": {"did": "Placed Order"}}
    documents = ({"segment": "s", "where": leaf}, {**STORE, "rank_every": "6h"})
    published = DefinitionsPublished("ranks", "v1", "ann", documents)
    program = compile_program(documents, version="v1", cuts=cuts)
    return DefinitionsRow(2, published, (), cuts=cuts), program


def test_what_was_never_measured_is_due_at_once_and_then_at_the_rhythm() -> None:
    row, program = in_force()
    assert is_due(row, program, AT + 1, None)
    assert not is_due(row, program, AT + 2, AT + 1), "nobody is ranked; it was looked at"
    assert is_due(row, program, AT + 6 * HOUR, AT + 1)


def test_what_was_measured_is_due_when_a_multiple_of_the_rhythm_has_passed() -> None:
    (name,) = in_force()[1].rankings
    row, program = in_force(Cut(name, 1, 1, 4, AT + HOUR))
    assert not is_due(row, program, AT + 6 * HOUR - 1, None), to_timestamp(AT)
    assert is_due(row, program, AT + 6 * HOUR, None)
    other, program = in_force(Cut("another", 1, 1, 4, AT + HOUR))
    assert is_due(other, program, AT + 2 * HOUR, None), "a ranking is new"


def test_it_is_measured_as_of_the_last_multiple_of_the_rhythm_the_first_time_as_of_now() -> None:
    (name,) = in_force()[1].rankings
    row, program = in_force(Cut(name, 1, 1, 4, AT + HOUR))
    assert instant_of(row, program, AT + 7 * HOUR) == AT + 6 * HOUR
    assert instant_of(row, program, AT + 2 * HOUR) == AT + 2 * HOUR
    row, program = in_force()
    assert instant_of(row, program, AT + 7 * HOUR) == AT + 7 * HOUR
