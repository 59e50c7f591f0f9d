"""One `up` a data folder; others find where it answers."""

from pathlib import Path

import pytest

from agents.embedded.process import ProcessId
from agents.live.place import (
    AlreadyUp,
    Running,
    alone,
    database_address,
    forget,
    keep,
    live_folder,
    running,
)
from agents.settings import Settings

GATEWAY = "http://127.0.0.1:1/"


def state(owner: ProcessId) -> Running:
    return Running(owner=owner, namespace="shop", kafka=("127.0.0.1:9092",), database=GATEWAY)


def test_a_second_up_is_told_of_the_first(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    with alone(settings):
        keep(settings, state(ProcessId.own()))
        with pytest.raises(AlreadyUp, match=f"process {ProcessId.own().pid}"), alone(settings):
            pytest.fail("two of them")
    with alone(settings):
        pass


def test_the_database_is_reached_through_the_up_that_runs(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    assert database_address(settings) is None
    with alone(settings):
        keep(settings, state(ProcessId.own()))
        assert database_address(settings) == GATEWAY
        forget(settings)
    assert database_address(settings) is None


def test_a_server_that_is_named_is_talked_to_as_it_is_named(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, clickhouse="http://elsewhere:8123/")
    with alone(settings):
        keep(settings, state(ProcessId.own()))
        assert database_address(settings) is None


def test_what_an_up_left_behind_that_was_killed_does_not_count(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    own = ProcessId.own()
    with alone(settings):
        keep(settings, state(ProcessId(own.pid, own.started - 1, own.boot)))
    assert running(settings) is None
    (live_folder(settings) / "up.json").write_text("not whole")
    assert running(settings) is None
