"""What a row keeps of flows: bounded, whatever comes in."""

from typing import Any

import msgspec
import pytest

from schemas.definitions import Flow, OnPrediction, ReEntry
from schemas.records import DefinitionsPublished, EventResolved
from schemas.rows import ProfileRow, Trigger
from schemas.values import Instant
from streams.core import Output
from streams.definitions.switch import in_force
from streams.flows.chance import choose, falls_in
from streams.flows.plan import plan_flows
from streams.ids import REPLAY_SECRET, Ids
from streams.profile.step import ProfileCore
from tests.scenarios.play import documents_of, event_of

IDS = Ids(REPLAY_SECRET)
START: Instant = 1_774_000_000_000
WHO = (("email", "a@example.com"),)
FLOW = """
store: main
address: Somewhere 1
---
flow: shipping
trigger: {did: Fulfilled Order}
key: order_id
steps: [{wait: 30d}, {send: review, channel: email, template: t, smart_sending: false}]
---
flow: thanks
trigger: {did: Placed Order}
re_entry: {after: 1h}
key: order_id
steps: [{send: thanks, channel: email, template: t, smart_sending: false}]
"""


def core_of(text: str) -> ProfileCore:
    published = DefinitionsPublished("main", "v1", "ann", documents_of(text))
    return ProfileCore(IDS).adopt(in_force(None, published, ()))


def stepped(
    core: ProfileCore, row: ProfileRow | None, metric: str, number: int, **properties: Any
) -> tuple[ProfileRow, list[Output]]:
    at = START + number
    event = event_of(metric, f"e{number}", at, WHO, properties)
    return core.step(row, "i-1", EventResolved(event, WHO[0]), at, (at, 0, 0))


def test_a_large_trigger_is_kept_as_far_as_it_fits() -> None:
    core = core_of(FLOW)
    lines = [{"product_id": f"p{number}", "price": "39.80"} for number in range(500)]
    row, said = stepped(
        core,
        None,
        "Fulfilled Order",
        1,
        items=lines,
        order_id="A",
        text="x" * 9000,
        more=["y" * 5000],
    )
    properties = row.runs[0].trigger.properties
    assert properties["order_id"] == "A"
    assert properties["more"] == []
    assert row.coarsened == ["trigger"]
    row, said = stepped(core, None, "Fulfilled Order", 1, items=lines, order_id="A")
    kept = row.runs[0].trigger.properties["items"]
    assert 50 < len(kept) < 500
    assert kept == lines[: len(kept)]
    row, said = stepped(core, None, "Fulfilled Order", 1, note="x" * 9000, order_id="A")
    assert row.runs[0].trigger.properties == {"order_id": "A"}
    assert len(core.encode(row)) < 8_000
    assert said[0].record.properties["note"] == "x" * 9000


def test_runs_are_bounded_and_further_entries_refused() -> None:
    core = core_of(FLOW)
    row = None
    said: list[Output] = []
    for number in range(60):
        row, said = stepped(core, row, "Fulfilled Order", number, order_id=number)
    assert row is not None
    assert len(row.runs) == 40
    assert said[-1].record.reason == "too-many-runs"
    assert "runs" in row.coarsened


def test_memories_of_entries_are_bounded_the_oldest_forgotten_first() -> None:
    core = core_of(FLOW)
    row, _ = stepped(core, None, "Subscribed", 0, channel="email")
    for number in range(1, 261):
        row, _ = stepped(core, row, "Placed Order", number, order_id=f"{number}{'k' * 90}")
    assert len(row.flows) == 200
    assert len(row.sent) == 100
    assert len(row.settled) == 10
    assert {"flows", "sent"} <= set(row.coarsened)
    _, said = stepped(core, row, "Placed Order", 261, order_id=f"260{'k' * 90}")
    assert said[-1].record.reasons == ("re-entry",)


def test_a_trigger_that_is_not_run_yet_is_refused_when_the_flow_is_made_ready() -> None:
    trigger = OnPrediction("expected_next_order", 0)
    flow = Flow("refill", trigger, ReEntry("never"), stay=False, steps=())
    with pytest.raises(AssertionError, match="OnPrediction"):
        plan_flows({"refill": flow}, lambda condition: pytest.fail(str(condition)))


def test_choices_follow_weights_and_shares_and_never_change() -> None:
    chosen = [choose(IDS, {"a": 1, "b": 0, "c": 3}, str(number)) for number in range(400)]
    assert chosen == [choose(IDS, {"a": 1, "b": 0, "c": 3}, str(n)) for n in range(400)]
    assert 70 < chosen.count("a") < 130
    assert "b" not in chosen
    assert not falls_in(IDS, 0, "x")
    assert falls_in(IDS, 1_000_000, "x")
    assert 20 < sum(falls_in(IDS, 100_000, str(number)) for number in range(400)) < 60


def test_a_trigger_is_kept_with_its_properties_in_place_as_rows_have_always_had_them() -> None:
    kept = ["event", "e1", "Placed Order", START, None, "EUR", {"n": 1, "items": [{"a": 2.5}]}, []]
    blob = msgspec.msgpack.encode(kept)
    trigger = msgspec.msgpack.decode(blob, type=Trigger)
    assert trigger.properties == {"n": 1, "items": [{"a": 2.5}]}
    assert msgspec.msgpack.encode(trigger) == msgspec.msgpack.encode([*kept, ""]), "begun_by"
    assert Trigger("segment", "c1").properties == {}
