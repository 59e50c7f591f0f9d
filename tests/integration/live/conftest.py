"""A live pipeline of one test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.live.running import end_up, environ_of, terminal
from tests.integration.live.test_up import TILLSTREAM, Shop, is_up


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """An `up` on a folder of its own; ended also when the test fails."""
    environ = environ_of(tmp_path, TILLSTREAM_PARTITIONS="2")
    try:
        with terminal(f"{TILLSTREAM} up", environ, tmp_path / "up.log") as up:
            is_up(up)
            yield Shop(tmp_path, environ, up)
    finally:
        end_up(tmp_path)
