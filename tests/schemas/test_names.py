"""A rename is seen: every name that reaches Kafka or disk, compared with the checked-in list."""

import difflib

import pytest

from schemas.topics import TOPICS
from tests.schemas.names import GOLDEN, names


def test_every_name_is_as_it_was_checked_in() -> None:
    was, now = GOLDEN.read_text(), names()
    if was != now:
        changes = difflib.unified_diff(was.splitlines(), now.splitlines(), lineterm="", n=0)
        pytest.fail(
            "names that reach Kafka or disk have changed. What is new is noted with\n"
            "    .venv/bin/python -m tests.schemas.names > tests/schemas/names.golden\n"
            "What went, or stands elsewhere in a row, is a migration.\n" + "\n".join(changes)
        )


def test_names_collide_neither_in_kafka_nor_in_broker_metrics() -> None:
    topics = [one.name for one in TOPICS]
    assert len(set(topics)) == len(topics)
    assert not [name for name in topics if not set(name) <= set("abcdefghijklmnopqrstuvwxyz-")]
