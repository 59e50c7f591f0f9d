"""The declared topics and the code say the same; docs/topics.md says what both say."""

from collections import defaultdict

import pytest

from agents.columns import SHAPES
from schemas.clickhouse.tables import TABLES
from schemas.topics import (
    IDENTITY_ROWS,
    INGEST_ROWS,
    PROFILE_ROWS,
    TOPICS,
    Topic,
)
from streams.intake import INPUTS
from tests.schemas.names import stage_apps
from tests.schemas.story import told
from tests.schemas.topics_page import PAGE, page

STATIONS = {"ingest", "identity", "profile"}
ROWS = {"ingest": INGEST_ROWS, "identity": IDENTITY_ROWS, "profile": PROFILE_ROWS}


def writers() -> dict[str, set[str]]:
    """topic -> the stations that write to it, in a story in which all of them do."""
    found = defaultdict(set)
    for stumbles in (False, True):
        for stage, write in told(stumbles=stumbles):
            found[write.topic].add(stage)
    return found


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_only_declared_stations_write(topic: Topic) -> None:
    assert writers()[topic.name] <= set(topic.writers)


def test_every_topic_of_the_path_is_written_to() -> None:
    outputs = {one.name for one in TOPICS if set(one.writers) & STATIONS}
    unwritten = outputs - writers().keys() - {one.name for one in ROWS.values()}
    assert not unwritten


def test_every_station_reads_what_says_so() -> None:
    for stage, topic in INPUTS.items():
        assert stage in topic.readers


def test_the_timeline_reads_what_says_so() -> None:
    declared = {one.name for one in TOPICS if "timeline" in one.readers}
    assert declared == set(SHAPES) == {table.topic for table in TABLES}


def test_changelogs_belong_to_their_station() -> None:
    for stage in stage_apps():
        topic = ROWS[stage.stage]
        assert topic.writers == (stage.stage,)
        assert stage.table.changelog_topic_name == f"shop-{topic.name}"
        assert topic.compacted


def test_rows_of_one_key_are_never_dropped_by_time() -> None:
    assert all(one.retention_ms is None for one in TOPICS if one.compacted)


def test_the_page_is_current() -> None:
    written = PAGE.read_text()
    assert written == page(written), ".venv/bin/python -m tests.schemas.topics_page"
