"""What a file of events holds, and what is wrong with it, before anything is pushed."""

import io
from pathlib import Path

import pytest

from agents.live.pushing import Bad, Checker, Good, Source, open_source
from agents.settings import Settings
from schemas.records import DefinitionsPublished
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
