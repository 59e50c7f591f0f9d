"""Every statement means the same over HTTP as in the embedded engine of the own process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from agents.clickhouse import open_client
from agents.embedded.gateway import ClickHouseGateway
from agents.migrations import migrate
from agents.reports.attribution import attribution
from agents.reports.funnels import funnels
from agents.reports.histories import history_of
from agents.reports.runs import causes, commands, decisions, outcomes, run_of_send, runs
from agents.reports.stories import profile_story
from agents.reports.totals import totals
from agents.settings import Settings
from schemas.definitions import StoreSettings
from streams.attribution.rules import MODELS, Model, rules_of
from tests.agents.told_timelines import START, tell

pytestmark = pytest.mark.integration

RULES = rules_of(StoreSettings(store="main", currency="EUR"))


def earned(model: Model, starts: Any) -> Callable[[Client], object]:
    rules = RULES._replace(starts=starts)
    return lambda client: attribution(client, 0, 2 * START, model, rules)


REPORTS: dict[str, Callable[[Client], object]] = {
    "totals": totals,
    "funnels": lambda client: funnels(client, "main", 0, 2 * START),
    "profile": lambda client: profile_story(client, "main", "ib"),
    "whose send": lambda client: run_of_send(client, "s1"),
    "runs": lambda client: runs(client, "main", run="r1"),
    "decisions": lambda client: decisions(client, "main", run="r1"),
    "commands": lambda client: commands(client, "main", "r1"),
    "causes": lambda client: sorted(causes(client, "main", ["e1", "g0"]).items()),
    "outcomes": lambda client: outcomes(client, "main", ["s1"]),
    "history": lambda client: history_of(client, "main", "ib"),
    **{
        f"{model} from {starts}": earned(model, starts)
        for model in MODELS
        for starts in ("touch", "receipt")
    },
}


def test_both_kinds_of_database_answer_alike(clickhouse: ClickHouseGateway, tmp_path: Path) -> None:
    served = open_client(
        Settings(clickhouse=clickhouse.dsn, data=tmp_path, namespace="reports-over-http")
    )
    with served, clickhouse_connect.get_client(dsn="chdb://memory") as embedded:
        for client in (served, embedded):
            migrate(client)
            assert migrate(client) == []
            tell(client)
        for name, report in REPORTS.items():
            answer = msgspec.json.encode(report(served))
            assert answer == msgspec.json.encode(report(embedded)), name
            assert len(answer) > len("[]"), name
