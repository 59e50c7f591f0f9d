"""`tillstream replay --events`: arrivals, exact instants, changed definitions, what is wrong."""

from pathlib import Path

import msgspec
import pytest

from agents.replay.arrivals import arrival_of
from streams.instants import to_instant
from tests.agents.replay.doing import DEFINITIONS, SUBSCRIBED, Door, definitions_in, event

CART = event("Started Checkout", "2026-03-01T10:00:00.500Z", id="c-1")
DUE = "2026-03-01T14:00:00.500Z"
BEFORE_DUE = "2026-03-01T14:00:00.499Z"


@pytest.fixture
def door(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Door:
    return Door(tmp_path, capsys)


# --- instants ------------------------------------------------------------------------------------


def test_a_wait_that_ends_at_until_has_ended(door: Door) -> None:
    (sent,) = door.replay([SUBSCRIBED, CART], "--until", DUE)["send-commands"]
    assert sent["decided_at"] == DUE


def test_a_wait_that_ends_a_millisecond_after_until_goes_on(door: Door) -> None:
    files = door.replay([SUBSCRIBED, CART], "--until", BEFORE_DUE)
    assert (files["send-commands"], len(files["flow-triggers"])) == ([], 1)


def test_a_window_ends_to_the_millisecond(door: Door) -> None:
    before = door.replay([SUBSCRIBED, CART], "--until", "2026-03-02T10:00:00.499Z")
    assert [one["change"] for one in before["segment-changes"]] == ["entered"]
    after = door.replay([SUBSCRIBED, CART], "--until", "2026-03-02T10:00:00.500Z")
    assert [(one["change"], one["at"]) for one in after["segment-changes"]] == [
        ("entered", "2026-03-01T10:00:00.500Z"),
        ("exited", "2026-03-02T10:00:00.500Z"),
    ]


def test_without_until_the_last_arrival_is_the_end(door: Door) -> None:
    at = event("Viewed Product", DUE)
    assert len(door.replay([SUBSCRIBED, CART, at])["send-commands"]) == 1
    at = event("Viewed Product", BEFORE_DUE)
    assert door.replay([SUBSCRIBED, CART, at])["send-commands"] == []


def test_lines_that_arrive_after_until_are_counted_and_left_out(door: Door) -> None:
    (profile,) = door.replay([SUBSCRIBED, CART], "--until", "2026-03-01T09:00:00Z")["profiles"]
    assert len(profile["events"]) == 1
    assert "1 after --until" in door.printed


def test_until_may_be_a_number(door: Door) -> None:
    assert len(door.replay([SUBSCRIBED, CART], "--until", "1772373600.5")["send-commands"]) == 1


# --- arrival -------------------------------------------------------------------------------------


def test_lines_are_taken_in_the_order_of_arrival_and_ties_as_in_the_file(door: Door) -> None:
    first, second = "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z"
    lines = [
        event("Viewed Product", second, id="late", received_at="2026-03-03T00:00:00Z"),
        event("Viewed Product", second, id="b"),
        event("Viewed Product", first, id="a"),
        event("Viewed Product", first, id="c", received_at=second),
    ]
    (profile,) = door.replay(lines)["profiles"]
    assert profile["events"] == ["a", "b", "c", "late"]


def test_a_line_that_does_not_say_when_it_arrives_is_refused_and_said(door: Door) -> None:
    files = door.replay([event("Viewed Product", None, id="x"), CART])
    (refused,) = files["rejected"]
    assert (refused["line"], refused["reason"]) == (1, "no-arrival")
    assert "line 1: has neither `received_at` nor `time`" in door.complained
    assert files["profiles"][0]["events"] == ["c-1"], "nothing else is lost"


@pytest.mark.parametrize(
    "line",
    [
        b'{"time": "2026-03-01T10:00:00Z", "received_at": null}',
        b'{"type": "track", "timestamp": "2026-03-01T10:00:00Z"}',
        b'{"type": "track", "originalTimestamp": "2026-03-01T10:00:00Z"}',
        b'{"data": {"type": "event", "attributes": {"time": "2026-03-01T10:00:00Z"}}}',
        b'{"time": "2026-03-04T10:00:00Z", "received_at": 1772359200}',
        b'{"time": 1772359200000}',
    ],
)
def test_every_shape_says_when_it_happened(line: bytes) -> None:
    assert arrival_of(line) == to_instant("2026-03-01T10:00:00Z")


def test_a_line_that_is_no_event_arrives_with_the_line_before_or_the_first(door: Door) -> None:
    lines = [b"{", CART, b"[]", event("Viewed Product", "2026-03-04T00:00:00Z")]
    found = door.replay(lines)["rejected"]
    assert [(one["line"], one["received_at"], one["value"]) for one in found] == [
        (1, "2026-03-01T10:00:00.500Z", "{"),
        (3, "2026-03-01T10:00:00.500Z", "[]"),
    ]


def test_a_line_goes_in_as_it_was_written(door: Door) -> None:
    line = (
        b'{"metric":"Placed Order","received_at":"2026-03-01T10:00:01Z","id":"o-1",'
        b'"profile":{"email":"ann@example.com"},"time":"2026-03-01T10:00:00Z","value":1.10,'
        b'"properties":{"price":0.30000000000000004,"big":123456789012345678}}'
    )
    (profile,) = door.replay([line])["profiles"]
    assert (profile["events"], profile["figures"]["revenue"]) == (["o-1"], "1.10")


def test_nothing_in_gives_empty_files(door: Door) -> None:
    assert set(map(len, door.replay([]).values())) == {0}
    assert set(map(len, door.replay([b"", b"  "], "--until", DUE).values())) == {0}


# --- definitions ---------------------------------------------------------------------------------


def test_definitions_at_t_take_the_place_of_the_former_for_what_arrives_at_t(door: Door) -> None:
    other = {"other.yaml": DEFINITIONS["cart.yaml"].replace("flow: cart", "flow: other")}
    later = definitions_in(door.folder / "later@home", other)
    at = "2026-03-02T00:00:00Z"
    lines = [
        SUBSCRIBED,
        event("Started Checkout", "2026-03-01T23:59:59.999Z"),
        event("Started Checkout", at),
    ]
    found = door.replay(lines, "--definitions", f"{later}@{at}")["flow-triggers"]
    assert [one["flow"] for one in found] == ["cart", "other"]
    assert found[0]["version"] != found[1]["version"]


def test_definitions_after_until_are_never_in_force(door: Door) -> None:
    later = definitions_in(door.folder / "later", {})
    files = door.replay([CART], "--definitions", f"{later}@2026-04-01T00:00:00Z")
    assert len(files["flow-triggers"]) == 1


# --- what is wrong -------------------------------------------------------------------------------


def test_every_error_in_the_definitions_is_said_with_file_and_line(door: Door) -> None:
    bad = definitions_in(
        door.folder / "bad",
        {
            "one.yaml": "segment: one\nwhere: {did: X, in_last: 4 hous}\n",
            "two.yaml": "flow: two\ntrigger: {did: X}\nsteps:\n  - wait: soon\n",
        },
    )
    (door.folder / "events").write_bytes(CART)
    words = ("--events", f"{door.folder / 'events'}", "--out", f"{door.out}")
    assert door.call("--definitions", f"{bad}", *words) == 2
    assert f"{bad}/one.yaml:2 " in door.complained
    assert f"{bad}/two.yaml:4 " in door.complained
    assert not door.out.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--definitions", "nowhere"), "there is no folder nowhere"),
        (("--definitions", "{d}", "--events", "nowhere"), "there is no file nowhere"),
        (("--definitions", "{d}@soon"), "'soon' after the @ is no RFC 3339 time"),
        (("--definitions", "{d}@2026-03-01T00:00:00"), "has no zone (Z or +01:00)"),
        (("--definitions", "{d}", "--until", "soon"), "--until: 'soon' is no RFC 3339 time"),
        (("--definitions", "{d}", "--until", "3000-01-01T00:00:00Z"), "--until:"),
        (("--definitions", "{d}@1772373600"), "one folder without @T is needed"),
        (("--definitions", "{d}", "--definitions", "{d}"), "several for the store 'main'"),
        (("--definitions", "{d}", "--out", "{d}/cart.yaml"), "is not a folder"),
        ((), "replay needs --definitions"),
        (("--log", "demo", "--until", "1772373600"), "takes its events and definitions"),
        (("--log", "nobodys"), "there is no broker's data"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    door: Door, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("TILLSTREAM_DATA", f"{door.folder / 'data'}")
    events = door.folder / "events.jsonl"
    events.write_bytes(CART)
    asked = [word.replace("{d}", f"{door.definitions}") for word in words]
    if "--log" not in asked:
        asked = ["--events", f"{events}", "--out", f"{door.out}", *asked]
    assert door.call(*asked) == 2
    assert said in door.complained


def test_the_summary_as_json(door: Door) -> None:
    door.replay([SUBSCRIBED, CART], "--json", "--until", DUE)
    summary = msgspec.json.decode(door.printed)
    assert summary["files"]["send-commands.jsonl"] == 1
    assert (summary["lines"], summary["events"], summary["until"]) == (2, 2, DUE)


# --- definitions that ask about the past ---------------------------------------------------------

REGULARS = {
    **DEFINITIONS,
    "regulars.yaml": """\
        segment: regulars
        where: {did: Placed Order, times: ">= 2"}
        """,
    "never-looked.yaml": """\
        segment: never-looked
        where: {all: [{did: Placed Order}, {did_not: Viewed Product}]}
        """,
    "thanks.yaml": """\
        flow: thanks
        trigger: {enters: regulars}
        steps: [{exit: thanked}]
        """,
}


def test_new_segments_know_what_happened_before_them_and_start_no_flow(door: Door) -> None:
    after = definitions_in(door.folder / "after", REGULARS)
    orders = [
        event("Viewed Product", "2026-03-01T09:00:00Z", profile={"email": "bob@example.com"}),
        *(
            event("Placed Order", f"2026-03-0{day}T10:00:00Z", profile={"email": who})
            for day, who in enumerate(("bob@example.com", "bob@example.com", "cy@example.com"), 1)
        ),
        event("Placed Order", "2026-03-09T10:00:00Z", profile={"email": "cy@example.com"}),
    ]
    files = door.replay(orders, "--definitions", f"{after}@2026-03-05T00:00:00Z")
    people = {one["identifiers"]["email"][0]: one["segments"] for one in files["profiles"]}
    assert people == {
        "bob@example.com": ["regulars"],
        "cy@example.com": ["never-looked", "regulars"],
    }
    (triggered,) = files["flow-triggers"]
    assert triggered["started_at"] == "2026-03-09T10:00:00.000Z", "Bob was inside already"
