"""The servers that tests share: one broker and one database per test session, started when asked.

Each test takes a namespace or a database of its own, so that none sees what another left.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from agents.embedded.gateway import ClickHouseGateway
from agents.embedded.kafka import EmbeddedKafka
from agents.settings import Settings

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")  # a busy machine is no failure

SECRET = "the secret of all tests"
NUMBERS = itertools.count(1)

RESULTS: dict[str, dict[str, Any]] = {}
"""test -> its outcome, runs and seconds, of this session."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--results", type=Path, help="keep the outcome of every test in this file")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count runs, and add up the time, of each test, whatever its parameters."""
    if report.when == "call" or not report.passed:
        name = report.nodeid.partition("[")[0]
        one = RESULTS.setdefault(name, {"outcome": "passed", "runs": 0, "seconds": 0.0})
        one["runs"] += 1
        one["seconds"] = round(one["seconds"] + report.duration, 1)
        if not report.passed:
            one["outcome"] = report.outcome


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What was run now takes the place of what was kept of it."""
    file = session.config.getoption("--results")
    runs_parts_only = hasattr(session.config, "workerinput")
    if file is not None and RESULTS and not runs_parts_only:
        before = json.loads(file.read_text()) if file.exists() else {}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**before, **RESULTS}, indent=1, sort_keys=True) + "\n")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A real broker. Tests that are rough with a broker start their own."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka"), brief=True) as started:
        yield started


@pytest.fixture
def settings(kafka: EmbeddedKafka, tmp_path: Path) -> Settings:
    """Settings that reach the broker, in a namespace that no other test uses."""
    return Settings(
        kafka=(kafka.address,), namespace=f"test-{next(NUMBERS)}", data=tmp_path, secret=SECRET
    )


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseGateway]:
    """A ClickHouse behind HTTP that any number of processes may use."""
    with ClickHouseGateway(tmp_path_factory.mktemp("clickhouse")) as started:
        yield started
