"""What a split reads from the timeline."""

from collections.abc import Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from msgspec.structs import replace

from agents.migrations import migrate
from agents.split_log import NO_MARK, NotToSplit, _history, made
from schemas.topics import IDENTITY_SPLITS, TIMELINE
from streams.profile.split_history import parts
from tests.agents.kept import keep
from tests.agents.test_redaction import come_in, entry, moved, sink, split
from tests.scenarios.test_split import BOB, joined


@pytest.fixture
def client() -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn="chdb://memory") as opened:
        migrate(opened)
        yield opened


def test_history_is_what_stood_under_the_profile_before_the_mark_and_all_of_whom_it_absorbed(
    client: Client,
) -> None:
    other = replace(entry("i1"), event_id="late", traits_once={"source": "ad"})
    come_in(sink(client), TIMELINE.name, entry("i1"), entry("n2"), other, entry("i9"))
    before = _history(client, "main", ("i1", "n2"), 2)
    assert [(one.profile_id, one.event.id) for one in before] == [("i1", "e-i1"), ("n2", "e-n2")]
    told = _history(client, "main", ("i1", "n2"), NO_MARK)
    assert len(told) == 3
    (late,) = (one.event for one in told if one.event.id == "late")
    assert late.traits_once == {"source": "ad"}
    assert late.identifiers == (("email", "ann@example.com"),)


def test_the_database_tells_the_same_history_as_the_log(client: Client) -> None:
    desk = joined()
    desk.ask(*BOB, *desk.companions(*BOB))
    keep(client, desk)
    ((done, told),) = desk.made
    read = _history(client, "main", done.known_as, NO_MARK)
    assert list(parts(done, read)) == list(parts(done, told))


def test_what_moved_away_is_not_told_again(client: Client) -> None:
    come_in(sink(client), TIMELINE.name, entry("i1"))
    come_in(sink(client), TIMELINE.name, moved("i1", "i5"))
    assert _history(client, "main", ("i1",), NO_MARK) == []
    assert [one.event.id for one in _history(client, "main", ("i5",), NO_MARK)] == ["e-i1"]


async def test_a_split_is_found_again_as_it_was_made(client: Client) -> None:
    come_in(sink(client), IDENTITY_SPLITS.name, split())
    assert await made(client, "main", "s1") == replace(split(), id="")
    with pytest.raises(NotToSplit, match="not in the timeline yet"):
        await made(client, "main", "s2")
