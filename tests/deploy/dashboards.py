"""Grafana's dashboard, made from the metrics that are declared and the tables that there are.

    python -m tests.deploy.dashboards

writes it anew; a test compares, and asks every query that goes to the database.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana" / "provisioning" / "dashboards"
FILE = FOLDER / "tillstream.json"

WIDTH = 24
PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}
CLICKHOUSE = {"type": "grafana-clickhouse-datasource", "uid": "clickhouse"}
RATE = "[$__rate_interval]"


class Panel(NamedTuple):
    """asks: (expression, legend) of Prometheus, or one query of ClickHouse. unit: as Grafana names
    it. limits: from where a value is yellow, and red.
    """

    title: str
    description: str
    asks: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    limits: tuple[float, float] | None = None
    sql: bool = False


SENDS = """
SELECT $__timeInterval(decided_at) AS time, flow, count() AS sends FROM sends FINAL
WHERE $__timeFilter(decided_at) GROUP BY time, flow ORDER BY time
""".strip()
REASONS = """
SELECT outcome, reason, count() AS times FROM send_decisions FINAL
WHERE $__timeFilter(decided_at) AND outcome != 'sent'
GROUP BY outcome, reason ORDER BY times DESC
""".strip()

OVERVIEW = (
    Panel(
        "Time behind",
        "Wall clock minus the clock of the slowest stage: how long sends wait.",
        (("max(tillstream_station_freshness_seconds)", ""),),
        unit="s", kind="stat", width=4, limits=(5, 30),
    ),
    Panel(
        "Steps a second",
        "Records and timers applied, over all stations.",
        ((f"sum(rate(tillstream_station_steps_total{RATE}))", ""),),
        kind="stat", width=4,
    ),
    Panel(
        "Workers",
        "Workers that answer.",
        (('sum(up{job="tillstream"})', ""),),
        kind="stat", width=4,
    ),
    Panel(
        "Dead letters, one hour",
        "Records that were set aside: tillstream dead-letters list.",
        (("sum(increase(tillstream_station_dead_letters_total[1h]))", ""),),
        kind="stat", width=4, limits=(1, 100),
    ),
    Panel(
        "Reports behind",
        "How far the timeline lags. No send waits for it.",
        (("max(tillstream_timeline_freshness_seconds)", ""),),
        unit="s", kind="stat", width=4, limits=(30, 120),
    ),
    Panel(
        "Last look behind",
        "How far the sender's look at consent lags: it delivers nothing decided later than that.",
        (("max(tillstream_sender_freshness_seconds)", ""),),
        unit="s", kind="stat", width=4, limits=(5, 30),
    ),
)  # fmt: skip
STATIONS = (
    Panel(
        "Time behind, by station",
        "The slowest partition of each station.",
        (("max by (station) (tillstream_station_freshness_seconds)", "{{station}}"),),
        unit="s",
    ),
    Panel(
        "Steps a second, by station",
        "Records and timers applied.",
        ((f"sum by (station) (rate(tillstream_station_steps_total{RATE}))", "{{station}}"),),
    ),
    Panel(
        "Waiting records, by station",
        "Read, and waiting for their turn. At 200,000 a partition begins to forget.",
        (("max by (station) (tillstream_station_waiting_records)", "{{station}}"),),
    ),
    Panel(
        "Clocks, by partition",
        "How far each partition has come; who stands still holds back the others.",
        (("time() - tillstream_station_clock_seconds", "{{station}}/{{partition}}"),),
        unit="s",
    ),
    Panel(
        "Records written a second, by topic",
        "Clocks included.",
        ((f"sum by (topic) (rate(tillstream_station_outputs_total{RATE}))", "{{topic}}"),),
    ),
    Panel(
        "Transactions a second; dead letters",
        "One transaction a batch (ingest) or a slice of a round (identity, profile).",
        (
            (
                f"sum by (station) (rate(tillstream_station_transactions_total{RATE}))",
                "{{station}}",
            ),
            (
                f"sum by (station) (rate(tillstream_station_dead_letters_total{RATE}))",
                "dead letters {{station}}",
            ),
            ("max(tillstream_station_disbelieved_ticks)", "disbelieved ticks"),
        ),
    ),
)
TIMELINE = (
    Panel(
        "Rows inserted a second, by table",
        "What the sink puts into the database.",
        ((f"sum by (table) (rate(tillstream_timeline_rows_total{RATE}))", "{{table}}"),),
    ),
    Panel(
        "Waiting for the database",
        "Records that are read and not yet in.",
        (("sum(tillstream_timeline_waiting_records)", "waiting"),),
    ),
    Panel(
        "Inserts tried again",
        "The database did not take them at first.",
        ((f"sum(rate(tillstream_timeline_retries_total{RATE}))", "retries"),),
    ),
)
SENDER = (
    Panel(
        "Sends settled a second",
        "Delivered, expired, stopped by the last look, failed.",
        (
            (
                f"sum by (channel, state) (rate(tillstream_sender_settled_total{RATE}))",
                "{{channel}} {{state}}",
            ),
        ),
    ),
    Panel(
        "Commands put off",
        "Their receiver wants them later.",
        (("sum(tillstream_sender_aside_commands)", "put off"),),
    ),
    Panel(
        "Commands read again",
        "Known by the ledger, and not delivered again.",
        ((f"sum(rate(tillstream_sender_repeats_total{RATE}))", "repeats"),),
    ),
)
FLOWS = (
    Panel(
        "Sends by flow",
        "Commands written, by when they were decided.",
        ((SENDS, ""),),
        width=12, sql=True,
    ),
    Panel(
        "Why not, by reason",
        "Sends that were held, dropped or skipped, and entries that were refused.",
        ((REASONS, ""),),
        kind="table", width=12, sql=True,
    ),
)  # fmt: skip
ROWS = (
    ("Overview", OVERVIEW),
    ("Stations", STATIONS),
    ("Timeline", TIMELINE),
    ("Sender", SENDER),
    ("Flows", FLOWS),
)


def panels() -> list[Panel]:
    return [panel for _, row in ROWS for panel in row]


def dashboard() -> dict[str, Any]:
    """The document that Grafana reads."""
    drawn: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        drawn.append(
            {"id": len(drawn) + 1, "type": "row", "title": title, "gridPos": place, "panels": []}
        )
        y, x, height = y + 1, 0, 4 if row[0].kind == "stat" else 8
        for panel in row:
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            place = {"x": x, "y": y, "w": panel.width, "h": height}
            drawn.append({"id": len(drawn) + 1, "gridPos": place, **_panel(panel)})
            x += panel.width
        y += height
    return {
        "uid": "tillstream",
        "title": "Tillstream",
        "tags": ["tillstream"],
        "editable": False,
        "schemaVersion": 41,
        "refresh": "15s",
        "time": {"from": "now-3h", "to": "now"},
        "panels": drawn,
    }


def _panel(panel: Panel) -> dict[str, Any]:
    source = CLICKHOUSE if panel.sql else PROMETHEUS
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": source,
        "targets": [
            _target(panel, source, chr(ord("A") + number), *asked)
            for number, asked in enumerate(panel.asks)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
    }


def _target(
    panel: Panel, source: dict[str, str], letter: str, asked: str, legend: str
) -> dict[str, Any]:
    target: dict[str, Any] = {"refId": letter, "datasource": source}
    if not panel.sql:
        return {**target, "expr": asked, "legendFormat": legend or "__auto"}
    table = panel.kind == "table"
    return {
        **target,
        "pluginVersion": "4.20.0",
        "editorType": "sql",
        "rawSql": asked,
        "queryType": "table" if table else "timeseries",
        "format": int(table),
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    if panel.limits is None:
        return {"unit": panel.unit}
    yellow, red = panel.limits
    steps = [
        {"color": "green", "value": None},
        {"color": "yellow", "value": yellow},
        {"color": "red", "value": red},
    ]
    return {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}


def text() -> str:
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
