"""Segments over days: who enters and exits, and exactly when."""

from typing import Any

from schemas.events import Event
from schemas.rows import ProfileRow, Trait
from streams.definitions.program import Program, compile_program
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import DAY, to_timestamp
from streams.segments.features import note
from streams.segments.membership import Change, adopt, evaluate, next_flip

IDS = Ids(REPLAY_SECRET)
START = 1_700_000_000_000

WINBACK = {
    "segment": "winback",
    "where": {
        "all": [
            {"did": "Placed Order", "times": ">= 2"},
            {"did_not": "Placed Order", "in_last": "60d"},
        ]
    },
}


def program(*documents: dict[str, Any], version: str = "v1") -> Program:
    return compile_program(documents, version=version)


def event(
    name: str, at: int, *, received_at: int | None = None, metric: str = "Placed Order", **more: Any
) -> Event:
    return Event(
        schema=1,
        id=name,
        metric=metric,
        occurred_at=at,
        received_at=at if received_at is None else received_at,
        store="main",
        trust="server",
        identifiers=(("email", "ann@example.com"),),
        traits={},
        traits_once={},
        properties=more.get("properties", {}),
        value=more.get("value"),
        currency=more.get("currency"),
        source="shop",
        backfill=False,
    )


def receive(row: ProfileRow, loaded: Program, found: Event) -> list[Change]:
    """One event, as the profile step does it: time first, then the event."""
    changes = pass_time(row, loaded, found.received_at)
    touched = note(loaded, row, found)
    segments = loaded.segments_for(features=touched)
    return changes + evaluate(row, loaded, segments, found.received_at, due=None, ids=IDS)


def pass_time(row: ProfileRow, loaded: Program, until: int) -> list[Change]:
    changes: list[Change] = []
    while (due := next_flip(row)) is not None and due <= until:
        changes += evaluate(row, loaded, (), due, due=due, ids=IDS)
    return changes


def said(changes: list[Change]) -> list[tuple[str, str, int]]:
    return [
        (change.segment, change.output.change, round((change.at - START) / DAY, 3))
        for change in changes
    ]


def test_winback_opens_after_sixty_quiet_days_and_closes_on_the_next_order() -> None:
    loaded, row = program(WINBACK), ProfileRow(id="i1", store="main")
    assert said(receive(row, loaded, event("e1", START))) == []
    assert said(receive(row, loaded, event("e2", START + 2 * DAY))) == []
    assert next_flip(row) == START + 62 * DAY
    changes = pass_time(row, loaded, START + 62 * DAY)
    assert said(changes) == [("winback", "entered", 62.0)]
    assert changes[0].output.at == to_timestamp(START + 62 * DAY)
    assert [leaf.holds for leaf in changes[0].output.evidence] == [True, True]
    assert said(receive(row, loaded, event("e3", START + 63 * DAY))) == [
        ("winback", "exited", 63.0)
    ]


def test_an_old_event_that_comes_late_counts_from_its_arrival() -> None:
    loaded, row = program(WINBACK), ProfileRow(id="i1", store="main")
    receive(row, loaded, event("e1", START))
    late = event("e0", START - 100 * DAY, received_at=START + 90 * DAY)
    assert said(receive(row, loaded, late)) == [("winback", "entered", 90.0)]


def test_a_new_profile_is_asked_for_every_segment_and_enters_what_asks_for_nothing() -> None:
    quiet = {"segment": "quiet", "where": {"did_not": "Opened Email", "in_last": "60d"}}
    loaded, row = program(quiet), ProfileRow(id="i1", store="main")
    (change,) = receive(row, loaded, event("e1", START))
    assert (change.segment, change.entered, change.by_definition) == ("quiet", True, False)


def test_a_segment_of_segments_follows_in_the_same_instant() -> None:
    documents = [
        {"segment": "a", "where": {"in_segment": "z"}},
        {"segment": "b", "where": {"in_segment": "z", "for": "7d"}},
        {"segment": "z", "where": {"did": "Placed Order", "in_last": "30d"}},
    ]
    loaded, row = program(*documents), ProfileRow(id="i1", store="main")
    assert said(receive(row, loaded, event("e1", START))) == [
        ("z", "entered", 0.0),
        ("a", "entered", 0.0),
    ]
    assert said(pass_time(row, loaded, START + 40 * DAY)) == [
        ("b", "entered", 7.0),
        ("z", "exited", 30.0),
        ("a", "exited", 30.0),
        ("b", "exited", 30.0),
    ]


def test_new_definitions_change_memberships_without_being_entries() -> None:
    old, row = program(WINBACK), ProfileRow(id="i1", store="main")
    receive(row, old, event("e1", START))
    buyers = {"segment": "buyers", "where": {"did": "Placed Order"}}
    new = program(WINBACK, buyers, version="v2")
    (change,) = adopt(row, new, START + DAY, ids=IDS)
    assert (change.segment, change.by_definition) == ("buyers", True)
    assert row.definitions == "v2"
    adopt(row, program(version="v3"), START + DAY, ids=IDS)
    assert (row.segments, row.features) == ({}, {})


def test_ids_of_changes_at_one_instant_differ() -> None:
    where = {"trait": "plan", "is": "gold"}
    loaded, row = program({"segment": "gold", "where": where}), ProfileRow(id="i1", store="main")
    ids = []
    for i in range(6):
        row.traits["plan"] = Trait("gold" if i % 2 == 0 else "tin", START, START)
        segments = loaded.segments_for(traits=["plan"])
        changes = evaluate(row, loaded, segments, START, due=None, ids=IDS)
        ids += [change.output.id for change in changes]
    assert len(set(ids)) == 6


def test_totals_count_the_stores_currency_and_say_what_was_left_out() -> None:
    big = {
        "segment": "big",
        "where": {"did": "Placed Order", "total": {"of": "value", "is": "> 50"}, "in_last": "10d"},
    }
    loaded, row = program({"store": "main", "currency": "EUR"}, big), ProfileRow(id="i1")
    money = {"value": 30_000_000, "currency": "EUR"}
    assert receive(row, loaded, event("e1", START, **money)) == []
    assert receive(row, loaded, event("e2", START + 1, value=30_000_000, currency="USD")) == []
    (change,) = receive(row, loaded, event("e3", START + DAY, **money))
    (leaf,) = change.output.evidence
    assert (leaf.value, leaf.note) == ("60.00", "1 in other currencies left out")
    assert leaf.events == ("e3", "e1")
    assert said(pass_time(row, loaded, START + 30 * DAY)) == [("big", "exited", 10.0)]


def test_what_follows_from_an_edited_segment_is_by_definition_too() -> None:
    plain = {"segment": "a", "where": {"did": "Placed Order", "in_last": "9d"}}
    edited = {"segment": "b", "where": {"did": "Placed Order", "in_last": "9d"}}
    follower = {"segment": "c", "where": {"in_segment": "b"}}
    old, row = program(plain, edited, follower), ProfileRow(id="i1", store="main")
    receive(row, old, event("e1", START))
    edited = {"segment": "b", "where": {"did_not": "Placed Order", "in_last": "9d"}}
    new = program(plain, edited, follower, version="v2")
    changes = adopt(row, new, START + DAY, ids=IDS)
    assert [(c.segment, c.entered, c.by_definition) for c in changes] == [
        ("b", False, True),
        ("c", False, True),
    ]
    changes = evaluate(row, new, (), START + 9 * DAY, due=START + 9 * DAY, ids=IDS)
    assert [(c.segment, c.entered, c.by_definition) for c in changes] == [
        ("a", False, False),
        ("b", True, False),
        ("c", True, False),
    ]


def test_a_new_row_has_nothing_to_adopt_and_an_unknown_segment_is_no_question() -> None:
    loaded, row = program(WINBACK), ProfileRow(id="i1", store="main")
    assert adopt(row, loaded, START, ids=IDS) == []
    row.definitions = "v1"
    assert adopt(row, loaded, START, ids=IDS) == []
    assert evaluate(row, loaded, ["gone"], START, due=None, ids=IDS) == []
