"""Dashboards and alerts speak of metrics that are declared, and their queries are answered."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from ruamel.yaml import YAML

from agents import metrics
from agents.migrations import migrate
from tests.agents.told_timelines import tell
from tests.deploy.dashboards import FILE, dashboard, panels, text

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
OF_PROMETHEUS = {"up"}


def declared() -> set[str]:
    """Metrics by the names under which they are scraped."""
    return {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in metrics.REGISTRY.collect()
    }


def named_in(expression: str) -> set[str]:
    return set(re.findall(r"\btillstream_\w+", expression)) | OF_PROMETHEUS & set(
        re.findall(r"\bup\b", expression)
    )


def rules() -> list[dict[str, Any]]:
    (group,) = YAML(typ="safe").load(ALERTS.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_declared_metrics_and_says_what_to_do(rule: dict[str, Any]) -> None:
    named = named_in(rule["expr"])
    assert named
    assert named <= declared() | OF_PROMETHEUS
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"].keys() == {"summary", "description"}


def test_the_dashboard_asks_for_declared_metrics_and_leaves_none_out() -> None:
    named = {
        name for one in panels() if not one.sql for ask, _ in one.asks for name in named_in(ask)
    }
    assert named == declared() | OF_PROMETHEUS


def test_the_dashboard_is_current() -> None:
    assert FILE.read_text() == text(), "python -m tests.deploy.dashboards writes it anew"


def test_panels_have_words_and_share_no_place() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["type"] == "row" or panel["description"].endswith((".", "list."))


def test_the_database_answers_what_the_dashboard_asks() -> None:
    queries = [ask for panel in panels() if panel.sql for ask, _ in panel.asks]
    assert queries
    with clickhouse_connect.get_client(dsn="chdb://memory") as client:
        migrate(client)
        tell(client)
        for query in queries:
            asked = re.sub(r"\$__timeFilter\((\w+)\)", r"toYear(\1) >= 2010", query)
            asked = re.sub(r"\$__timeInterval\((\w+)\)", r"toStartOfMinute(\1)", asked)
            assert client.query(asked).result_rows


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    "command",
    [
        ("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml")),
        ("test", "rules", str(Path(__file__).with_name("alerts_test.yml"))),
    ],
    ids=["config", "rules"],
)
def test_promtool_agrees(command: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
