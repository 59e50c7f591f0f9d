"""Two customers, a cart each, five days: as the black-box door shows them, to the byte.

Ann comes by browser, fills a cart, is reminded, clicks, buys. Bob fills a cart, is reminded, writes
STOP, buys under the new definitions; his address bounces. Between them late events, repeats, a
history import, a wrong clock and every kind of bad line.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.scenarios.replay.golden import HERE, replayed

SCENARIO = "two-customers"
EXPECTED = {path.name: path for path in sorted((HERE / SCENARIO / "expected").iterdir())}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return replayed(SCENARIO, tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def lines(files: dict[str, bytes]) -> dict[str, list[dict[str, Any]]]:
    return {
        name.removesuffix(".jsonl"): [msgspec.json.decode(line) for line in content.splitlines()]
        for name, content in files.items()
    }


@pytest.mark.parametrize("name", EXPECTED)
def test_every_file_is_as_it_was_written_down(files: dict[str, bytes], name: str) -> None:
    assert files[name] == EXPECTED[name].read_bytes(), "see golden.py for writing it anew"


def test_every_file_is_there_and_no_other(files: dict[str, bytes]) -> None:
    assert files.keys() == EXPECTED.keys()


def test_the_same_input_gives_the_same_bytes(files: dict[str, bytes], tmp_path: Path) -> None:
    assert replayed(SCENARIO, tmp_path / "again") == files


def names(lines: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    who = {one["profile_id"]: one["traits"].get("first_name", "?") for one in lines["profiles"]}
    return who | {one["loser"]: f"{who[one['winner']]}'s" for one in lines["identity-merges"]}


def test_what_became_of_every_send(lines: dict[str, list[dict[str, Any]]]) -> None:
    who = names(lines)
    assert [
        (at[5:16], who[one["profile_id"]], one["message"], one["outcome"], one["reason"])
        for one in lines["send-decisions"]
        for at in [one["decided_at"]]
    ] == [
        ("03-02T13:00", "Ann", "cart-1", "sent", None),
        ("03-02T14:00", "Bob", "cart-1", "sent", None),
        ("03-03T09:00", "Ann", "cart-2", "dropped", "flow-filter"),  # has ordered meanwhile
        ("03-03T10:00", "Bob", "cart-2", "sent", None),  # by e-mail: he wrote STOP by SMS
        ("03-05T09:00", "Ann", "thanks-1", "sent", None),  # the first order under the new flow
        ("03-05T10:00", "Bob", "thanks-1", "sent", None),
        ("03-06T09:00", "Bob", "thanks-1", "dropped", "suppressed"),  # bounced the day before
    ]  # fmt: skip


def test_who_was_in_which_segment_when(lines: dict[str, list[dict[str, Any]]]) -> None:
    who = names(lines)
    assert [
        (one["at"][5:], who[one["profile_id"]], one["change"], one["segment"])
        for one in lines["segment-changes"]
    ] == [
        ("03-02T08:00:00.500Z", "Ann's", "entered", "looking"),  # her browser, ten minutes before
        ("03-02T08:10:00.000Z", "Ann", "entered", "looking"),
        ("03-02T14:30:00.000Z", "Ann", "entered", "big-spenders"),
        ("03-02T14:30:00.000Z", "Ann", "exited", "looking"),
        ("03-04T12:00:00.000Z", "Bob", "entered", "looking"),
        ("03-05T08:59:59.999Z", "Bob", "exited", "looking"),
        (
            "03-05T09:00:00.000Z",
            "Bob",
            "entered",
            "big-spenders",
        ),  # 45 is enough from the switch on
        ("03-06T10:00:00.000Z", "?", "entered", "looking"),
    ]


def test_which_lines_are_no_events(lines: dict[str, list[dict[str, Any]]]) -> None:
    assert [(one["line"], one["reason"]) for one in lines["rejected"]] == [
        (10, "no-arrival"),
        (11, "bad-received-at"),
        (9, "not-json"),
        (12, "bad-time"),
        (13, "no-identifier"),
        (14, "wrong-type"),
        (15, "time-too-late"),
        (16, "unknown-key"),
        (17, "not-an-object"),
        (18, "not-json"),
        (38, "not-utf-8"),
    ]


def test_the_figures_and_the_credit(lines: dict[str, list[dict[str, Any]]]) -> None:
    ann, bob = lines["profiles"][:2]
    assert ann["figures"]["revenue"] == "121.945678", "30 imported, 79.60 once, 12.345678"
    assert (bob["figures"]["orders"], bob["figures"]["revenue"]) == (4, "95.00"), "dollars aside"
    assert [(one["conversion"], one["model"], one["amount"]) for one in lines["credits"]] == [
        ("o-1", "last", "79.60"),
        ("o-1", "linear", "79.60"),
        ("o-3", "last", "12.345678"),
        ("o-3", "linear", "12.345678"),
    ]


def test_what_ann_said_about_herself(lines: dict[str, list[dict[str, Any]]]) -> None:
    ann = lines["profiles"][0]
    assert ann["traits"] == {"first_name": "Ann", "city": "Hamburg", "plan": "gold", "size": "M"}
    assert ann["lists"] == []
    assert ann["events"] == [
        "s-1", "v-1", "v-2", "c-1", "old-1", "d-1", "o-1", "i-1", "i-2", "o-3", "l-1",
    ]  # fmt: skip


def test_bobs_stop_is_kept_and_his_address_is_suppressed(
    lines: dict[str, list[dict[str, Any]]],
) -> None:
    consent = lines["profiles"][1]["consent"]
    assert (consent["sms"]["state"], consent["sms"]["address"]) == ("denied", "+4915112345678")
    assert (consent["email"]["state"], consent["email"]["suppressed"]) == (
        "granted",
        ["hard-bounce"],
    )
