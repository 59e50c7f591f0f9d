"""Rows on disk: kept with the offset they belong to, and thrown away where they do not fit."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from agents import rocks
from agents.changelog import Changelog
from agents.rocks import UNUSED_MS_MAX, RocksRows, open_rows

MINE = Changelog("first/2", {0: 100, 1: 5})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a store was left at offset 41 with two rows."""
    folder = tmp_path / "rows" / "0"
    rows = open_rows(folder, MINE, 0)
    assert rows.offset is None
    rows.keep([(b"ann", b"1"), (b"bob", b"2"), (b"eve", b"3")], 40)
    rows.keep([(b"ann", b"11"), (b"eve", None)], 41)
    rows.close()
    return folder


def test_rows_are_found_again_with_their_offset(folder: Path) -> None:
    rows = open_rows(folder, MINE, 0)
    assert rows.offset == 41
    assert dict(rows.items()) == {b"ann": b"11", b"bob": b"2"}
    assert rows.get(b"ann") == b"11"
    assert rows.get(b"eve") is None
    rows.close()


def test_rows_whose_offset_was_not_told_keep_the_former_one(folder: Path) -> None:
    rows = open_rows(folder, MINE, 0)
    rows.keep([(b"bob", b"22")], None)
    rows.close()
    rows = open_rows(folder, MINE, 0)
    assert (rows.offset, rows.get(b"bob")) == (41, b"22")
    rows.close()


def test_what_was_never_closed_is_there_as_well(folder: Path) -> None:
    """As after kill -9: what lies on the disk is all there is."""
    rows = open_rows(folder, MINE, 0)
    rows.keep([(b"bob", b"22")], 50)
    copied = folder.with_name("1")
    shutil.copytree(folder, copied, ignore=shutil.ignore_patterns("LOCK"))
    rows.close()
    found = RocksRows(copied, MINE.id)
    assert (found.offset, found.get(b"bob")) == (50, b"22")
    found.close()


def another_topic(folder: Path, _: pytest.MonkeyPatch) -> RocksRows:
    return open_rows(folder, Changelog("second/2", MINE.ends), 0)


def another_count_of_partitions(folder: Path, _: pytest.MonkeyPatch) -> RocksRows:
    return open_rows(folder, Changelog("first/4", MINE.ends), 0)


def a_changelog_that_lost_its_tail(folder: Path, _: pytest.MonkeyPatch) -> RocksRows:
    return open_rows(folder, Changelog("first/2", {0: 41}), 0)


def half_a_day_later(folder: Path, patch: pytest.MonkeyPatch) -> RocksRows:
    now = rocks._now()
    patch.setattr(rocks, "_now", lambda: now + UNUSED_MS_MAX + 1)
    return open_rows(folder, MINE, 0)


def a_newer_format(folder: Path, patch: pytest.MonkeyPatch) -> RocksRows:
    patch.setattr(rocks, "FORMAT", rocks.FORMAT - 1)
    return open_rows(folder, MINE, 0)


def a_damaged_file(folder: Path, _: pytest.MonkeyPatch) -> RocksRows:
    (folder / "CURRENT").write_text("not a manifest\n")
    return open_rows(folder, MINE, 0)


def a_state_that_is_none(folder: Path, patch: pytest.MonkeyPatch) -> RocksRows:
    with patch.context() as patched:
        patched.setattr(rocks, "_pack", lambda _: msgspec.msgpack.encode("what?"))
        rows = open_rows(folder, MINE, 0)
        rows.keep([], 42)
        rows.close()
    return open_rows(folder, MINE, 0)


@pytest.mark.parametrize(
    "reopened",
    [
        another_topic,
        another_count_of_partitions,
        a_changelog_that_lost_its_tail,
        half_a_day_later,
        a_newer_format,
        a_damaged_file,
        a_state_that_is_none,
    ],
)
def test_a_store_that_does_not_fit_is_thrown_away(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    reopened: Callable[[Path, pytest.MonkeyPatch], RocksRows],
) -> None:
    rows = reopened(folder, monkeypatch)
    assert rows.offset is None, "recovery begins at the start of the changelog"
    assert list(rows.items()) == []
    rows.keep([(b"ann", b"5")], 3)
    assert rows.get(b"ann") == b"5"
    rows.close()
