"""What a file of events holds, what is wrong with it, and pushing what is not."""

import asyncio
import codecs
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from agents.cli import events as command
from agents.cli.main import main
from agents.live import pushing
from agents.live.pushing import (
    Bad,
    Checker,
    Good,
    Pushed,
    PushFailed,
    Source,
    Unreadable,
    open_source,
    push,
)
from agents.settings import Settings
from schemas.events import Event
from schemas.records import DefinitionsPublished
from streams.ids import Ids
from streams.ingest.read import read
from streams.ingest.settings import IngestSettings
from streams.intake import partition_of

ORDER = (
    b'{"id": "o-1", "metric": "Placed Order", "profile": {"external_id": "c-1"}, "value": 39.80}'
)
VIEW = b'{"metric": "Viewed Product", "profile": {"anonymous_id": "a-1"}}'


def source(content: bytes) -> Source:
    return Source(io.BytesIO(content))


def checker(*in_force: DefinitionsPublished) -> Checker:
    return Checker(Settings(data=Path("/"), secret="sixteen characters"), in_force)


def test_lines_are_numbered_as_an_editor_numbers_them() -> None:
    read = source(ORDER + b"\n\n  \n" + VIEW)
    assert read.counted == "line"
    assert list(read) == [(1, ORDER), (4, VIEW)]
    assert list(read) == list(read), "a source is read twice: to check, then to push"


def test_an_array_keeps_the_bytes_of_each_event() -> None:
    read = source(b"\n[" + ORDER + b",\n" + VIEW + b"]\n")
    assert read.counted == "event"
    assert list(read) == [(1, ORDER), (2, VIEW)], "39.80 is not read as a number on the way"


def test_one_document_may_have_many_lines() -> None:
    content = ORDER.replace(b", ", b",\n  ")
    assert list(source(content)) == [(1, content)]


def test_a_broken_file_is_taken_line_by_line() -> None:
    read = source(b'{"metric": \n' + ORDER)
    assert read.counted == "line"
    assert [number for number, _ in read] == [1, 2]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"[]"])
def test_a_file_may_hold_nothing(content: bytes) -> None:
    assert list(source(content)) == []


@pytest.mark.parametrize("content", [ORDER + b"\n" + VIEW, b"[" + ORDER + b",\n" + VIEW + b"]"])
def test_a_byte_order_mark_in_front_is_passed_over(content: bytes) -> None:
    read = source(codecs.BOM_UTF8 + content)
    assert [value for _, value in read] == [ORDER, VIEW]
    assert list(read) == list(read)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (gzip.compress(ORDER), "compressed by gzip"),
        (ORDER.decode().encode("utf-16"), "it is UTF-16"),
        (b"[" + ORDER + b",\n" + VIEW, "begins as an array, and is none: .*truncated"),
        (b"[\n" + ORDER + b",\n{metric}]", r"begins as an array, and is none: .*byte \d+"),
    ],
)
def test_a_file_that_holds_something_else_is_refused_whole(content: bytes, told: str) -> None:
    with pytest.raises(Unreadable, match=told):
        source(content)


def test_a_line_too_deep_to_be_read_is_a_bad_line_and_not_the_end() -> None:
    deep = b'{"metric": "X", "properties": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    read = source(deep + b"\n" + ORDER)
    assert list(read) == [(1, deep), (2, ORDER)]
    said = checker()(1, deep)
    assert isinstance(said, Bad)
    assert said.reason == "too-deep"
    with pytest.raises(Unreadable, match="is none"):
        source(b"[" * 5_000)


def test_what_such_a_file_is_stands_beside_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILLSTREAM_DATA", str(tmp_path))
    (tmp_path / "events.gz").write_bytes(gzip.compress(ORDER))
    assert main(["events", "push", str(tmp_path / "events.gz")]) == 2
    assert f"{tmp_path / 'events.gz'}: it is compressed by gzip" in capsys.readouterr().err


def test_a_file_is_read_from_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(ORDER)
    assert list(open_source(str(tmp_path / "events.jsonl"))) == [(1, ORDER)]
    with pytest.raises(FileNotFoundError):
        open_source(str(tmp_path / "none.jsonl"))


def test_what_is_wrong_is_what_ingest_would_say() -> None:
    check = checker()
    bad = check(7, b'{"metric": "Placed Order", "profile": {"email": "a@b.c"}, "value": "x"}')
    assert isinstance(bad, Bad)
    assert (bad.number, bad.reason, bad.field) == (7, "bad-value", "$.value")
    broken = check(8, b'{"metric": ')
    assert isinstance(broken, Bad)
    assert broken.reason == "not-json"


def test_a_good_event_goes_with_the_key_of_its_strongest_identifier() -> None:
    good = checker()(1, ORDER)
    assert isinstance(good, Good)
    assert (good.key, good.id, good.metric) == ("main/external_id/c-1", "o-1", "Placed Order")
    assert good.value == ORDER
    assert partition_of(good.key, 4) in range(4)


def test_an_id_is_told_only_where_the_broker_will_not_make_it_another() -> None:
    """Without `time` the instant of receipt belongs to the id, and nobody knows it yet."""
    dated = VIEW.replace(b"{", b'{"time": "2026-11-22T10:00:00Z", ', 1)
    named = VIEW.replace(b"{", b'{"id": "early-1", ', 1)
    received_later = read(
        dated,
        (),
        received_at=1_800_000_000_000,
        settings=IngestSettings(),
        ids=Ids(b"sixteen characters"),
    )
    assert isinstance(received_later, Event)
    ids = []
    for event in (VIEW, dated, named):
        good = checker()(1, event)
        assert isinstance(good, Good)
        ids.append(good.id)
    assert ids == [None, received_later.id, "early-1"]


def test_a_stores_own_identifiers_count_as_they_do_at_ingest() -> None:
    card = b'{"metric": "Placed Order", "profile": {"loyalty_card": "L-1"}}'
    own = {"store": "main", "identifiers": {"kinds": {"loyalty_card": "strong"}}}
    assert isinstance(checker()(1, card), Bad)
    assert isinstance(checker(DefinitionsPublished("main", "1", "us", (own,)))(1, card), Good)


def test_a_metric_that_is_asked_about_only_in_another_spelling_is_warned_of() -> None:
    asks = {"segment": "buyers", "where": {"did": "Placed Order"}}
    check = checker(DefinitionsPublished("main", "1", "us", (asks,)))
    assert check.nearly("Placed order") == (
        "no definition asks about 'Placed order'; did you mean 'Placed Order'?"
    )
    assert check.nearly("Placed Order") is None
    assert check.nearly("Viewed Product") is None
    assert checker().nearly("Placed order") is None, "nothing asks about anything"


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)


class Producer:
    """A broker that confirms each event with its place, once `confirm` lets it."""

    def __init__(self, confirm: Callable[[int], bool] = lambda _: True) -> None:
        self.confirm, self.sent, self.closed = confirm, 0, False

    async def start(self) -> None: ...

    async def send(self, *_: Any, **__: Any) -> "asyncio.Future[Any]":
        future = asyncio.get_running_loop().create_future()
        if self.confirm(self.sent):
            future.set_result(SimpleNamespace(partition=0, offset=self.sent))
        self.sent += 1
        return future

    async def stop(self) -> None:
        self.closed = True


SETTINGS = Settings(data=Path("/"), secret="sixteen characters", kafka=("nowhere:9092",))


async def test_who_is_interrupted_just_as_the_broker_answers_stops_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer = Producer()
    monkeypatch.setattr(pushing, "AIOKafkaProducer", lambda **_: producer)
    noted: list[Pushed] = []
    good = Good(1, ORDER, "k", "o-1", "Placed Order")
    answer = asyncio.get_running_loop().create_future()

    async def held(*_: Any, **__: Any) -> "asyncio.Future[Any]":
        producer.sent += 1
        return answer

    monkeypatch.setattr(producer, "send", held)
    pushed = asyncio.create_task(push(SETTINGS, [good, good], noted=noted.append))
    await until(lambda: producer.sent == 2)
    answer.set_result(SimpleNamespace(partition=0, offset=0))
    pushed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pushed
    assert (len(noted), producer.closed) == (0, True)


async def test_who_is_interrupted_is_told_how_far_it_came(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    producer = Producer(confirm=lambda sent: sent < 3)
    monkeypatch.setattr(pushing, "AIOKafkaProducer", lambda **_: producer)
    events = [Good(number, ORDER, "k", "o", "Placed Order") for number in range(10, 15)]
    done: list[Pushed] = []
    pushed = asyncio.create_task(command._push_good(SETTINGS, events, "line", done))
    await until(lambda: len(done) == 3)
    pushed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pushed
    assert "confirmed 3 events, up to line 12" in capsys.readouterr().err


async def test_an_interruption_is_heard_while_a_large_file_is_checked() -> None:
    read: list[int] = []

    def said(number: int, _: bytes) -> Good:
        read.append(number)
        return Good(number, VIEW, "k", "o", "Viewed Product")

    lines = source(b"\n".join([VIEW] * 3_000))
    checked = asyncio.create_task(command._wrong(lines, said))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    checked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await checked
    assert len(read) < 1_500


async def test_a_producer_that_finds_no_broker_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nowhere(Producer):
        async def start(self) -> None:
            raise KafkaConnectionError("nobody there")

    producer = Nowhere()
    monkeypatch.setattr(pushing, "AIOKafkaProducer", lambda **_: producer)
    with pytest.raises(PushFailed, match="confirmed 0 events"):
        await push(SETTINGS, [], noted=lambda _: None)
    assert producer.closed
