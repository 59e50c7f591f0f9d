"""The servers that tests share: one broker and one database per test session, started when asked.

Each test takes a namespace or a database of its own, so that none sees what another left.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.embedded.gateway import ClickHouseGateway
from agents.embedded.kafka import EmbeddedKafka
from agents.settings import Settings

SECRET = "the secret of all tests"
NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A real broker. Tests that are rough with a broker start their own."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as started:
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
