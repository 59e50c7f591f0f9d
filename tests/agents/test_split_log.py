"""What a split reads from the timeline."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import clickhouse_connect
import msgspec
import pytest
from aiokafka import TopicPartition
from clickhouse_connect.driver.client import Client
from msgspec.structs import replace

from agents import arrival, split_log
from agents.migrations import migrate
from agents.reader import Reader
from agents.reports.export import held
from agents.reports.people import addresses_of, profiles_meant
from agents.settings import Settings
from agents.split_log import NO_MARK, NotToSplit, _history, made
from schemas.topics import IDENTITY_SPLITS, TIMELINE
from streams.profile.split_history import parts
from tests.agents.kept import keep
from tests.agents.test_redaction import come_in, entry, moved, sink, split
from tests.scenarios.test_split import ANN, BOB, joined


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


async def test_an_event_that_is_called_like_a_split_is_not_taken_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called = replace(entry("i1"), metric="profile-split")
    other = replace(split(), split="s0")
    place = TopicPartition("tillstream-timeline", 0)

    class Log(Reader):
        def __init__(self) -> None:
            """Of no broker."""

        def seek(self, *_: object) -> None:
            pass

        async def offsets_for_times(self, _: object) -> dict[TopicPartition, None]:
            return {place: None}

        async def end_offsets(self, _: object) -> dict[TopicPartition, int]:
            return {place: 0}

        async def getmany(self, *_: object, **__: object) -> dict[TopicPartition, list[object]]:
            lines = [called, other, replace(split(), old="i2"), split()]
            return {
                place: [
                    SimpleNamespace(key=key, value=msgspec.json.encode(line), offset=offset)
                    for offset, (key, line) in enumerate(
                        zip((b"i1", b"i1", b"i2", b"i1"), lines, strict=True)
                    )
                ]
            }

    @asynccontextmanager
    async def reader_of(*_: object) -> AsyncIterator[Log]:
        yield Log()

    monkeypatch.setattr(split_log, "reader_of", reader_of)
    monkeypatch.setattr(split_log, "topic_name", lambda *_: "tillstream-timeline")
    settings = Settings(data=Path("unused"), kafka=("localhost:1",), secret="x" * 16, partitions=1)
    assert await split_log._place_of_mark(settings, split()) == 3


async def test_where_the_sink_does_not_run_it_is_said_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = TopicPartition("tillstream-timeline", 0)

    async def ends_of(*_: object, **__: object) -> dict[TopicPartition, int]:
        return {place: 7}

    async def committed_offsets(*_: object) -> dict[TopicPartition, object]:
        return {place: SimpleNamespace(offset=6)}

    monkeypatch.setattr(arrival, "ends_of", ends_of)
    monkeypatch.setattr(arrival, "committed_offsets", committed_offsets)
    monkeypatch.setattr(split_log, "ANSWER_SECONDS_MAX", 0.05)
    monkeypatch.setattr(arrival, "ASK_SECONDS", 0.01)
    settings = Settings(data=Path("unused"), kafka=("localhost:1",), secret="x" * 16, partitions=1)
    with pytest.raises(NotToSplit, match="does its sink run"):
        await split_log._stored(settings)


def test_what_names_somebody_means_who_has_it_since_the_split_and_whose_addresses_are_theirs(
    client: Client,
) -> None:
    desk = joined()
    desk.event("Subscribed", external_id="c-1", phone="+493012345678", email="ann@example.com",
        properties={"channel": "email"})  # fmt: skip
    desk.ask(*BOB)
    desk.tell()
    desk.event("Unsubscribed", email=BOB[1], properties={"channel": "email"})
    desk.event("Placed Order", email=BOB[1], phone="+493012345678", value=1)
    desk.event("Placed Order", external_id="c-1", email=BOB[1], value=1)
    keep(client, desk)
    ann, bob = desk.who(*ANN).id, desk.who(*BOB).id
    assert profiles_meant(client, "main", BOB[1])[0] == bob
    assert profiles_meant(client, "main", "external_id/c-1") == [ann]
    assert addresses_of(client, "main", [bob]) == [BOB]
    assert addresses_of(client, "main", [ann]) == [
        ("email", "ann@example.com"),
        ("phone", "+493012345678"),
    ]
    said = {one.address for one in held(client, "main", ann).consent.changes}
    assert said == {"ann@example.com"}
