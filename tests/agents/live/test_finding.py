"""What an event led to, as the timeline tells it."""

from collections.abc import Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from agents.live.finding import asked, in_timeline
from agents.migrations import migrate
from schemas.outputs import FlowTriggered, IdentityMerged, SendDecided
from schemas.topics import FLOW_TRIGGERS, IDENTITY_MERGES, SEND_DECISIONS, TIMELINE
from streams.instants import to_timestamp
from tests.agents.told_timelines import START, entry, insert


@pytest.fixture
def client() -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


def test_what_a_flow_decides_after_its_person_became_known_was_led_to_by_the_event(
    client: Client,
) -> None:
    """A stranger looks at a product, says who it is, and the flow goes on as the known person."""
    insert(client, TIMELINE.name, [entry("main", "Viewed Product", "n1", "v-1", 0, 0)])
    trigger = FlowTriggered(
        id="r1",
        store="main",
        profile_id="n1",
        flow="browse",
        version="1",
        trigger="did Viewed Product",
        trigger_event_id="v-1",
        started_at=to_timestamp(START),
        decided_at=to_timestamp(START),
    )
    insert(client, FLOW_TRIGGERS.name, [trigger])
    at = to_timestamp(START + 10)
    merge = IdentityMerged(id="m1", store="main", winner="i1", loser="n1", decided_at=at)
    insert(client, IDENTITY_MERGES.name, [merge])
    decision = SendDecided(
        id="d1",
        store="main",
        profile_id="i1",
        flow="browse",
        flow_run_id="r1",
        message="browse-1",
        channel="email",
        outcome="dropped",
        reason="stopped",
        trigger_event_id="v-1",
        decided_at=to_timestamp(START + 20),
    )
    insert(client, SEND_DECISIONS.name, [decision])
    (found,) = in_timeline(client, asked("v-1"))
    assert found.profile_id == "i1", "the profile that there is to show"
    assert [(row.kind, row.name) for row in found.led_to] == [
        ("triggered", "browse"),
        ("dropped", "browse/browse-1"),
    ]
