"""A person is given all that is held about them, and nothing of anybody else."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from agents.cli import profile
from agents.cli.main import main
from agents.migrations import migrate
from agents.replay.profiles import consent_of
from agents.reports.export import held
from tests.agents.kept import keep
from tests.scenarios.shop import Shop

ANN, BOB = "ann@example.com", "bob@example.com"
DEFINITIONS = """
store: main
address: Somewhere 1
---
segment: buyers
where: {did: Placed Order}
---
flow: thanks
trigger: {did: Placed Order}
steps:
  - {send: thanks, channel: email, template: t}
"""


@pytest.fixture
def client() -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


def test_all_that_the_topics_told_of_a_person_is_in_the_export(client: Client) -> None:
    """Also what was told under the id of somebody who was merged into them."""
    shop = Shop(DEFINITIONS)
    shop.event("Viewed Product", anonymous_id="b-1", trust="client", properties={"sku": "tea"})
    shop.event("Subscribed", email=ANN, properties={"channel": "email"})
    shop.event("Placed Order", email=ANN, anonymous_id="b-1", value="12.50", currency="EUR")
    shop.event("Opened Email", email=ANN, properties={"flow": "thanks", "message": "thanks"})
    shop.event("Unsubscribed", email=ANN, properties={"channel": "email"})
    shop.event("Placed Order", email=BOB, value="99.00", currency="EUR")
    keep(client, shop)
    (merge,) = shop.told("identity-merges")
    found = held(client, "main", merge["loser"])
    assert (found.profile_id, found.merged) == (merge["winner"], [merge["loser"]])
    ids = {merge["winner"], merge["loser"]}
    for rows, topic, key in (
        (found.events, "timeline", "event_id"),
        (found.segment_changes, "segment-changes", "id"),
        (found.flow_triggers, "flow-triggers", "id"),
        (found.decisions, "send-decisions", "id"),
        (found.commands, "send-commands", "id"),
    ):
        told = {one[key] for one in shop.told(topic) if one.get("profile_id") in ids}
        assert told
        assert {row[key] for row in rows} == told
    (order,) = (row for row in found.events if row["metric"] == "Placed Order")
    assert (order["value"], order["identifiers"][0]) == ("12.50", ["email", ANN])
    assert [row["loser"] for row in found.merges] == [merge["loser"]]
    assert len(found.consent.changes) >= 2
    assert consent_of(shop.who("email", ANN))["email"] == {ANN: "denied"}
    assert BOB not in msgspec.json.encode(found).decode()


def test_of_somebody_unknown_it_says_so_beside_the_document(
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TILLSTREAM_DATA", str(tmp_path))
    monkeypatch.setattr(profile, "database", lambda _: nullcontext(client))
    assert main(["profile", "export", "nobody@example.com"]) == 1
    told = capsys.readouterr()
    assert told.out == "null\n"
    assert told.err == "nobody known as nobody@example.com in the store main\n"
