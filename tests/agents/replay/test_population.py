"""`top` and `bottom` in a replay: measured at the store's rhythm, by what had happened so far."""

from pathlib import Path
from typing import Any

import pytest

from tests.agents.replay.doing import Door, definitions_in, event

BEST = {
    "store.yaml": "store: main\naddress: Beispielgasse 1, 10115 Berlin\n",
    "best.yaml": "segment: best\nwhere: {top: 10%, by: {did: Placed Order, total: value}}\n",
    "thanks.yaml": "flow: thanks\ntrigger: {enters: best}\nsteps: [{exit: done}]\n",
}


@pytest.fixture
def door(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Door:
    return Door(tmp_path, capsys)


def order(who: int, amount: int, time: str) -> bytes:
    profile = {"external_id": f"c-{who}"}
    more: dict[str, Any] = {"value": str(amount), "currency": "EUR", "id": f"o-{who}-{time}"}
    return event("Placed Order", time, profile=profile, **more)


TEN = [order(who, 10 * who, f"2026-03-01T10:00:{who:02}Z") for who in range(1, 11)]
"""Ten customers, the tenth has spent most: 100."""


def changes(files: dict[str, list[Any]]) -> list[tuple[str, str, str]]:
    """(customer, change, instant)."""
    names = {one["profile_id"]: one["identifiers"]["external_id"][0] for one in files["profiles"]}
    found = files["segment-changes"]
    return [(names[one["profile_id"]], one["change"], one["at"]) for one in found]


def test_the_first_cut_lets_in_who_is_among_the_best_and_starts_no_flow(door: Door) -> None:
    definitions_in(door.definitions, BEST)
    (door.definitions / "cart.yaml").unlink()
    (door.definitions / "fresh.yaml").unlink()
    files = door.replay(TEN, "--until", "2026-03-04T12:00:00Z")
    assert changes(files) == [("c-10", "entered", "2026-03-02T00:00:00.000Z")]
    why, leaf = files["segment-changes"][0]["evidence"]
    assert (why["leaf"], why["value"]) == ("population", "2026-03-02T00:00:00.000Z")
    assert (leaf["leaf"], leaf["value"], leaf["note"]) == (
        "top 10% by did Placed Order total of value",
        "100.00",
        "the cut is 100.00, of 10 profiles at 2026-03-02T00:00:00.000Z",
    )
    assert files["flow-triggers"] == []


def test_who_comes_over_the_cut_enters_at_once_and_the_next_cut_is_higher(door: Door) -> None:
    definitions_in(door.definitions, BEST)
    lines = [
        *TEN,
        order(3, 69, "2026-03-02T09:00:00Z"),
        order(3, 1, "2026-03-02T10:00:00Z"),
        order(3, 1, "2026-03-02T23:59:59.999Z"),
    ]
    files = door.replay(lines, "--until", "2026-03-03T00:00:00Z")
    assert changes(files) == [
        ("c-10", "entered", "2026-03-02T00:00:00.000Z"),
        ("c-3", "entered", "2026-03-02T10:00:00.000Z"),
        ("c-10", "exited", "2026-03-03T00:00:00.000Z"),
    ]
    assert [one["flow"] for one in files["flow-triggers"]] == ["thanks"]
    note = files["segment-changes"][1]["evidence"][0]["note"]
    assert note == "the cut is 100.00, of 10 profiles at 2026-03-02T00:00:00.000Z"


def test_the_evidence_names_the_newest_measurement_also_where_the_cut_has_not_moved(
    door: Door,
) -> None:
    definitions_in(door.definitions, BEST)
    files = door.replay([*TEN, order(3, 70, "2026-03-03T09:00:00Z")])
    assert [one[:2] for one in changes(files)] == [("c-10", "entered"), ("c-3", "entered")]
    note = files["segment-changes"][1]["evidence"][0]["note"]
    assert note == "the cut is 100.00, of 10 profiles at 2026-03-03T00:00:00.000Z"


def test_a_new_customer_is_compared_with_the_cut_that_is_in_force(door: Door) -> None:
    definitions_in(door.definitions, BEST)
    files = door.replay([*TEN, order(11, 500, "2026-03-02T09:00:00Z")])
    assert changes(files)[1:] == [("c-11", "entered", "2026-03-02T09:00:00.000Z")]
    assert len(files["flow-triggers"]) == 1


def test_the_store_says_how_often_it_is_measured(door: Door) -> None:
    hourly = {**BEST, "store.yaml": "store: main\nrank_every: 1h\n"}
    definitions_in(door.definitions, hourly)
    files = door.replay(TEN, "--until", "2026-03-01T11:00:00Z")
    assert changes(files) == [("c-10", "entered", "2026-03-01T11:00:00.000Z")]


def test_other_definitions_keep_the_cut_of_the_same_ranking(door: Door) -> None:
    definitions_in(door.definitions, BEST)
    also = {**BEST, "half.yaml": "segment: half\nwhere: {in_segment: best}\n"}
    later = definitions_in(door.folder / "later", also)
    files = door.replay(
        [*TEN, order(1, 1, "2026-03-02T08:00:00Z")],
        "--definitions",
        f"{later}@2026-03-02T07:00:00Z",
        "--until",
        "2026-03-02T09:00:00Z",
    )
    assert [(one["segment"], one["change"]) for one in files["segment-changes"]] == [
        ("best", "entered"),
        ("half", "entered"),
    ]


def test_a_merged_profile_is_ranked_once_with_all_its_orders(door: Door) -> None:
    definitions_in(door.definitions, BEST)
    guest = {"email": "ann@example.com"}
    known = {"external_id": "c-1", "email": "ann@example.com"}
    lines = [
        *TEN,
        event("Placed Order", "2026-03-01T11:00:00Z", profile=guest, value="95", currency="EUR"),
        event("Viewed Product", "2026-03-01T12:00:00Z", profile=known),
    ]
    files = door.replay(lines, "--until", "2026-03-02T00:00:00Z")
    assert [one[:2] for one in changes(files)] == [("c-1", "entered")]
    assert files["segment-changes"][0]["evidence"][1]["value"] == "105.00"
