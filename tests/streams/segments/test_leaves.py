"""Leaves one by one: what holds, when it flips, what the evidence says."""

from typing import Any

import pytest

from schemas.outputs import Evidence
from schemas.records import AddressState
from schemas.rows import (
    FlowMemory,
    FlowRun,
    ListMembership,
    Membership,
    ProfileRow,
    Trait,
    Trigger,
)
from streams.definitions.program import Program, compile_program
from streams.instants import DAY, HOUR, to_timestamp
from streams.segments.features import note
from streams.segments.person import TO_COME, Compiled, Person
from tests.streams.segments.test_membership import START, event
from tests.streams.triggers import told

EXTRAS: list[dict[str, Any]] = [
    {"segment": "vip", "where": {"did": "Never"}},
    {"list": "newsletter"},
    {"list": "fans"},
    {"flow": "welcome", "trigger": {"did": "Never"}, "steps": []},
    {"store": "main", "currency": "EUR"},
]


def compiled(where: dict[str, Any]) -> tuple[Program, Compiled]:
    flow = {"flow": "f", "trigger": {"did": "Never"}, "steps": [], "filter": where}
    program = compile_program([flow, *EXTRAS], version="v1")
    condition = program.flows["f"].filter
    assert condition is not None
    return program, program.condition(condition)


def answer(
    where: dict[str, Any], now: int = START, trigger: Trigger | None = None, **row: Any
) -> tuple[bool, int | None]:
    program, condition = compiled(where)
    return condition.ask(Person(ProfileRow(**{"id": "i1", **row}), program, trigger), now)


def trait(value: Any, since: int = START) -> dict[str, Any]:
    return {"traits": {"t": Trait(value, START, since)}}


@pytest.mark.parametrize(
    ("tests", "value", "holds"),
    [
        ({"is": "Berlin"}, "Berlin", True),
        ({"is": "berlin"}, "Berlin", False),
        ({"is": ["a", "b"]}, "b", True),
        ({"is": 5}, "5", True),
        ({"is": "5"}, 5.0, True),
        ({"is": "007"}, "7", False),
        ({"is": 0}, "0", True),
        ({"is": "0"}, False, False),
        ({"is": True}, True, True),
        ({"is": True}, 1, False),
        ({"is": True}, "true", False),
        ({"is": 0.1}, 0.1, True),
        ({"is": "> 5"}, 5.01, True),
        ({"is": "> 5"}, "six", False),
        ({"is": "= gold"}, "gold", True),
        ({"is": "!= gold"}, "tin", True),
        ({"is": "!= gold"}, None, True),
        ({"is": "2..5"}, 5, True),
        ({"is": "-2..-1"}, -1.5, True),
        ({"is_not": ["a", "b"]}, "c", True),
        ({"is_not": "c"}, "c", False),
        ({"contains": "er"}, "Berlin", True),
        ({"contains": "er"}, ["er", "x"], True),
        ({"contains": "er"}, ["Berlin"], False),
        ({"contains": 1}, [1.0], True),
        ({"contains": 11}, 10115, True),
        ({"starts_with": "101"}, 10115, True),
        ({"starts_with": "B"}, True, False),
        ({"ends_with": "lin"}, "Berlin", True),
        ({"matches": "^B.*n$"}, "Berlin", True),
        ({"matches": "rl"}, "Berlin", True),
        ({"matches": "rl"}, None, False),
        ({"is_set": True}, 0, True),
        ({"is_set": False}, None, True),
        ({"is_set": False}, "x", False),
        ({"length": "> 1"}, ["a", "b"], True),
        ({"length": 6}, "Berlin", True),
        ({"length": 0}, 5, False),
        ({"starts_with": "B", "length": "< 3"}, "Berlin", False),
    ],
)
def test_tests_of_traits(tests: dict[str, Any], value: Any, holds: bool) -> None:
    row = {} if value is None else trait(value)
    assert answer({"trait": "t", **tests}, **row) == (holds, None)


def test_an_identifier_is_asked_for_as_a_trait() -> None:
    email = {"identifiers": {"email": {"ann@old.example": 1, "ann@gmail.com": 2}}}
    assert answer({"trait": "email", "ends_with": "@gmail.com"}, **email) == (True, None)
    assert answer({"trait": "email", "is_set": True}) == (False, None)
    other = {**email, "traits": {"email": Trait("x", START, START)}}
    assert answer({"trait": "email", "is": "x"}, **other) == (True, None)


def test_a_value_held_long_enough_flips_at_the_instant() -> None:
    held = {"trait": "t", "held": "gold", "for": "30d"}
    assert answer(held, START + DAY, **trait("gold")) == (False, START + 30 * DAY)
    assert answer(held, START + 30 * DAY, **trait("gold")) == (True, None)
    assert answer(held, START + 30 * DAY, **trait("tin")) == (False, None)


def test_countries_and_regions() -> None:
    home = {"traits": {"country": Trait("de", START, START)}}
    assert answer({"country": ["DE", "AT"]}, **home) == (True, None)
    assert answer({"country": "US"}, **home) == (False, None)
    assert answer({"region": "eu"}, **home) == (True, None)
    assert answer({"region": "us"}) == (False, None)


GRANTED = AddressState(
    granted_occurred_at=START, granted_received_at=START, method="form", said_at=START
)
DENIED = AddressState(denied_occurred_at=START, denied_received_at=START, said_at=START)


def consent(state: AddressState | None) -> dict[str, Any]:
    said = {} if state is None else {"email": {"a@b.example": state}}
    return {"identifiers": {"email": ["a@b.example"]}, "consent": said}


def test_can_receive_follows_consent_and_the_list() -> None:
    assert answer({"can_receive": "email"}, **consent(GRANTED)) == (True, None)
    assert answer({"can_receive": "email"}, **consent(DENIED)) == (False, None)
    assert answer({"can_receive": "email"}, consent=consent(GRANTED)["consent"]) == (False, None)
    both = {"can_receive": "email", "list": "newsletter"}
    assert answer(both, **consent(GRANTED)) == (False, None)
    on = {"newsletter": ListMembership(joined_at=START)}
    assert answer(both, **consent(GRANTED), lists=on) == (True, None)


@pytest.mark.parametrize(
    ("more", "state", "at", "expected"),
    [
        ({"is": "granted"}, GRANTED, START, (True, None)),
        ({"is": "denied"}, DENIED, START, (True, None)),
        ({"is": "denied", "in_last": "1d"}, DENIED, START, (True, START + DAY)),
        ({"is": "denied", "in_last": "1d"}, DENIED, START + DAY, (False, None)),
        ({"is": "never"}, None, START, (True, None)),
        ({"is": "never", "method": "form"}, None, START, (False, None)),
        ({"is": "never", "in_last": "1d"}, None, START, (False, None)),
        ({"is": "pending"}, GRANTED, START, (False, None)),
        ({"is": "granted", "method": "form"}, GRANTED, START, (True, None)),
        ({"is": "granted", "method": "sms"}, GRANTED, START, (False, None)),
    ],
)
def test_consent(more: dict[str, Any], state: AddressState | None, at: int, expected: Any) -> None:
    assert answer({"consent": "email", **more}, at, **consent(state)) == expected


def test_membership_in_lists_and_segments() -> None:
    on = {"lists": {"newsletter": ListMembership(joined_at=START, left_at=START - 1)}}
    off = {"lists": {"newsletter": ListMembership(joined_at=START, left_at=START)}}
    assert answer({"in_list": "newsletter"}, **on) == (True, None)
    assert answer({"in_list": "newsletter"}, **off) == (False, None)
    assert answer({"in_list": "newsletter"}) == (False, None)
    recent = {"in_list": "newsletter", "joined_in_last": "3d"}
    assert answer(recent, START + DAY, **on) == (True, START + 3 * DAY)
    vip = {"segments": {"vip": Membership(since=START)}}
    assert answer({"in_segment": "vip"}, **vip) == (True, None)
    assert answer({"in_segment": "vip", "for": "7d"}, START, **vip) == (False, START + 7 * DAY)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ({"in_list": "newsletter"}, "on it since 2023-11-14T22:13:20.000Z"),
        ({"in_segment": "vip", "for": "7d"}, "in it since 2023-11-14T22:13:20.000Z"),
        ({"can_receive": "email", "list": "newsletter"}, "granted"),
        ({"can_receive": "email", "list": "fans"}, "granted, not on it"),
        ({"consent": "email", "is": "granted"}, "granted"),
        (
            {"consent": "email", "is": "denied", "in_last": "3d"},
            "granted at 2023-11-14T22:13:20.000Z",
        ),
        ({"consent": "sms", "is": "denied", "in_last": "3d"}, "no address"),
    ],
)
def test_evidence_of_memberships_and_consent_says_since_when(
    where: dict[str, Any], value: str
) -> None:
    person = {
        "lists": {"newsletter": ListMembership(joined_at=START)},
        "segments": {"vip": Membership(since=START)},
        **consent(GRANTED),
    }
    program, condition = compiled(where)
    (evidence,) = condition.explain(Person(ProfileRow(id="i1", **person), program), START)
    assert evidence.value == value


def test_a_sample_is_stable_and_about_as_large_as_said() -> None:
    program, condition = compiled({"sample": "10%", "seed": "spring"})
    inside = [condition.holds(Person(ProfileRow(id=f"i{i}"), program), START) for i in range(4000)]
    assert 320 < sum(inside) < 480
    assert answer({"sample": "100%"}) == (True, None)
    assert answer({"sample": "0%"}) == (False, None)


def test_what_only_flows_know() -> None:
    trigger = Trigger("event", "e1", "A", START, 150_000_000, "EUR", told(order_id=7))
    assert answer({"trigger": {"value": "> 100"}}, trigger=trigger) == (True, None)
    assert answer({"trigger": {"order_id": "8"}}, trigger=trigger) == (False, None)
    assert answer({"trigger": {"order_id": 7}}) == (False, None)
    run = FlowRun("r1", "welcome", "v1", trigger, START, START)
    assert answer({"in_flow": "welcome"}, runs=[run]) == (True, None)
    program, condition = compiled({"in_flow": "welcome"})
    own = Person(ProfileRow(id="i1", runs=[run]), program, None, run)
    assert condition.ask(own, START) == (False, None)


def test_in_a_flow_not_long_ago() -> None:
    recent = {"in_flow": "welcome", "in_last": "7d"}
    ended = {"welcome/A": FlowMemory(ended_at=START), "other": FlowMemory(ended_at=START + DAY)}
    assert answer(recent, START + DAY, flows=ended) == (True, START + 7 * DAY)
    assert answer(recent, START + 7 * DAY, flows=ended) == (False, None)
    assert answer(recent, flows={"welcome": FlowMemory()}) == (False, None)
    to_come = FlowRun("r1", "welcome", "v1", Trigger(TO_COME, "d1"), START, START)
    assert answer({"in_flow": "welcome"}, runs=[to_come]) == (False, None)
    begun = FlowRun("r1", "welcome", "v1", Trigger("date", "d1"), START, START)
    assert answer(recent, runs=[begun]) == (True, None)


def place(lat: object, lon: object) -> dict[str, Any]:
    return {"traits": {"lat": Trait(lat, START, START), "lon": Trait(lon, START, START)}}


@pytest.mark.parametrize(
    ("lat", "lon", "within", "expected"),
    [
        (52.52, 13.405, "1m", True),
        ("48.137", "11.575", "505km", True),  # Munich: 504.4 km
        ("48.137", "11.575", "504km", False),
        (52.52, -166.595, "20015km", True),
        (91, 13.405, "20016km", False),
        ("here", 13.405, "20016km", False),
        (52.52, None, "20016km", False),
    ],
)
def test_near_is_the_distance_on_a_sphere(
    lat: object, lon: object, within: str, expected: bool
) -> None:
    berlin = {"near": {"lat": 52.52, "lon": 13.405}, "within": within}
    assert answer(berlin, **place(lat, lon)) == (expected, None)


@pytest.mark.parametrize(
    ("traits", "meters"),
    [
        ({"postal_code": "10117", "country": "de"}, "1302 m"),
        ({"postal_code": 10117, "country": "DE"}, "1302 m"),
        ({"postal_code": "20095", "country": "DE"}, "252209 m"),
        ({"postal_code": "20095", "country": "DE", "lat": 52.53, "lon": 13.38}, "0 m"),
        ({"latitude": "52.53", "longitude": 13.38}, "0 m"),
        ({"postal_code": "10117", "country": "DE", "lat": 52.53}, "1302 m"),
        ({"postal_code": "10117"}, "no known place"),
        ({"postal_code": "00000", "country": "DE"}, "no known place"),
        ({"country": "DE"}, "no known place"),
    ],
)
def test_a_profile_is_where_its_traits_say_else_at_its_postal_code(
    traits: dict[str, object], meters: str
) -> None:
    near = {"near": {"postal_code": 10115, "country": "DE"}, "within": "5km"}
    program, condition = compiled(near)
    row = ProfileRow(id="i1", traits={n: Trait(v, START, START) for n, v in traits.items()})
    (evidence,) = condition.explain(Person(row, program), START)
    assert (evidence.leaf, evidence.value) == ("near DE 10115 within 5km", meters)
    assert evidence.holds is (meters in ("1302 m", "0 m"))
    named = {"lat", "lon", "latitude", "longitude", "postal_code", "country"}
    assert condition.needs.traits == named


def test_evidence_of_places_sequences_and_the_newest() -> None:
    program, condition = compiled({"near": {"lat": 52.52, "lon": 13.405}, "within": "1km"})
    person = Person(ProfileRow(id="i1", **place("48.137", "11.575")), program)
    assert condition.explain(person, START)[0].value == "504339 m"
    nowhere = condition.explain(Person(ProfileRow(), program), START)
    assert nowhere[0].value == "no known place"
    steps = [{"did": "Placed Order"}, {"did_not": "Placed Order", "within": "2h"}]
    half = found({"sequence": steps}, START + HOUR, 1, 1)
    assert (half.value, half.events, half.note) == ("1 of 2 steps", ("e1",), None)
    assert half.next_flip == to_timestamp(START + 3 * HOUR)
    both = found({"sequence": steps}, START + 3 * HOUR, 1, 1)
    assert (both.value, both.events) == ("2 of 2 steps", ("e1",))
    assert found({"sequence": steps}, START).value == "0 of 2 steps"
    chain = [{"did": "Placed Order"}] * 3
    assert found({"sequence": chain}, START + DAY, 1, 1, 1, 1).events == ("e3", "e2", "e1")
    many = found({"sequence": chain}, START + 600 * HOUR, *[1] * 501)
    assert many.note == "only the newest 500 events of each step count"
    newest = {"of_newest": {"count": 3, "did": "Placed Order"}, "where": {"value": "> 1"}}
    some = found(newest, START + DAY, 5, 1, 2, 2)
    assert (some.value, some.events, some.next_flip) == ("2 of 3", ("e3", "e2"), None)


def test_dates_at_the_end_of_time_never_come() -> None:
    def dated(value: str) -> dict[str, Any]:
        return {"traits": {"t": Trait(value, START, START)}}

    last = dated("9999-12-31")
    assert answer({"trait": "t", "after": "2026-01-01"}, **last) == (True, None)
    assert answer({"trait": "t", "in_next": "7d"}, **last)[0] is False
    assert answer({"trait": "t", "in_last": "7d"}, 253_402_214_400_000, **last) == (True, None)
    beyond = dated("9999-12-31T23:30:00-05:00")
    assert answer({"trait": "t", "anniversary": {"month": 12}}, **beyond) == (False, None)
    for nothing in ("0000-00-00", "2026-02-30", "20260101", "1e5", ""):
        assert answer({"trait": "t", "before": "2027-01-01"}, **dated(nothing)) == (False, None)


def test_received_is_the_event_that_the_provider_reports() -> None:
    program, condition = compiled({"received": "sms", "in_last": "7d"})
    row = ProfileRow(id="i1")
    note(program, row, event("e1", START, metric="Received SMS"))
    assert condition.ask(Person(row, program), START + DAY) == (True, START + 7 * DAY)


LEAVES: list[tuple[dict[str, Any], str]] = [
    ({"did": "A"}, "did A"),
    ({"did_not": "A", "in_last": "60d"}, "did_not A in_last 60d"),
    ({"did": "A", "times": ">= 2", "ago": ["1d", "2d"]}, "did A >= 2 ago 1d..2d"),
    ({"did": "A", "times": "2..5", "at_least_ago": "36h"}, "did A 2..5 at_least_ago 36h"),
    ({"did": "A", "before": "2026-01-01"}, "did A before 2026-01-01T00:00:00.000Z"),
    ({"did": "A", "after": "2026-01-01"}, "did A after 2026-01-01T00:00:00.000Z"),
    (
        {"did": "A", "between": ["2026-01-01", "2026-01-02"]},
        "did A between 2026-01-01T00:00:00.000Z and 2026-01-02T00:00:00.000Z",
    ),
    ({"did": "A", "since": "flow_start"}, "did A since flow_start"),
    ({"did": "A", "average": {"is": "> 5"}}, "did A average of value > 5"),
    (
        {"did": "A", "where": {"size": ["S", "M"], "price": {"is": "> 5", "is_not": 7}}},
        "did A where size is S, M and price > 5 and is_not 7",
    ),
    ({"trait": "t", "contains": "x", "starts_with": "y"}, "trait t contains x and starts_with y"),
    ({"trait": "t", "ends_with": "x", "matches": "y"}, "trait t ends_with x and matches y"),
    ({"trait": "t", "is_set": True, "length": 2}, "trait t is_set and length = 2"),
    ({"trait": "t", "is_set": False, "is": True}, "trait t is not set and is true"),
    ({"trait": "t", "held": False, "for": "90m"}, "trait t held false for 90m"),
    ({"can_receive": "sms", "list": "newsletter"}, "can_receive sms list newsletter"),
    (
        {"consent": "sms", "is": "denied", "method": "sms", "in_last": "7d"},
        "consent sms is denied method sms in_last 7d",
    ),
    ({"in_list": "newsletter", "joined_in_last": "45s"}, "in_list newsletter joined_in_last 45s"),
    ({"in_segment": "vip", "for": "8w"}, "in_segment vip for 8w"),
    ({"country": ["DE", "AT"]}, "country DE, AT"),
    ({"region": "eu"}, "region eu"),
    ({"sample": "0.5%", "seed": "x"}, "sample 0.5% seed x"),
    ({"trigger": {"id": {"trigger": "order_id"}}}, "trigger id is the trigger's order_id"),
    ({"in_flow": "welcome"}, "in_flow welcome"),
    ({"in_flow": "welcome", "in_last": "7d"}, "in_flow welcome in_last 7d"),
    ({"trait": "t", "in_next": "7d"}, "trait t in_next 7d"),
    (
        {"trait": "t", "between": ["2026-01-01", "2026-02-01"]},
        "trait t between 2026-01-01T00:00:00.000Z and 2026-02-01T00:00:00.000Z",
    ),
    ({"trait": "t", "anniversary": {"in_last": "7d"}}, "trait t anniversary in_last 7d"),
    ({"trait": "t", "anniversary": {"month": 11}}, "trait t anniversary month 11"),
    ({"near": {"lat": 52.52, "lon": "13.4"}, "within": "50km"}, "near 52.52, 13.4 within 50km"),
    (
        {
            "sequence": [{"did": "A"}, {"did": "B", "within": "1h"}, {"did_not": "C"}],
            "in_last": "30d",
        },
        "sequence did A, did B within 1h, did_not C in_last 30d",
    ),
    (
        {"of_newest": {"count": 10, "did": "A"}, "did": "B", "times": ">= 5", "by": "x"},
        "of_newest 10 A did B by x >= 5",
    ),
    ({"of_newest": {"count": 1, "did": "A"}, "where": {"x": 1}}, "of_newest 1 A x is 1"),
    ({"of_newest": {"count": 1, "did": "A"}, "did": "B"}, "of_newest 1 A did B"),
]


@pytest.mark.parametrize(("where", "text"), LEAVES)
def test_evidence_says_the_leaf_as_it_is_written(where: dict[str, Any], text: str) -> None:
    program, condition = compiled(where)
    (found,) = condition.explain(Person(ProfileRow(id="i1"), program), START)
    assert found.leaf == text
    assert found.holds is condition.holds(Person(ProfileRow(id="i1"), program), START)


def found(where: dict[str, Any], now: int, *amounts: int) -> Evidence:
    """Evidence after one order an hour with these amounts."""
    program, condition = compiled(where)
    row = ProfileRow(id="i1", traits={"t": Trait(["a"], START, START)})
    for i, amount in enumerate(amounts):
        note(program, row, event(f"e{i}", START + i * HOUR, value=amount * 1_000_000))
    (evidence,) = condition.explain(Person(row, program), now)
    return evidence


def test_evidence_holds_value_events_and_next_flip() -> None:
    now = START + 5 * HOUR
    many = found({"did": "Placed Order", "times": ">= 2", "in_last": "1d"}, now, 1, 2, 3)
    assert (many.value, many.events) == ("2+", ("e2", "e1"))
    assert many.next_flip == to_timestamp(START + HOUR + DAY)
    assert found({"did": "Placed Order"}, now, 1, 2, 3).value == "3"
    total = {"did": "Placed Order", "total": {"is": "> 5"}}
    assert found(total, now, 1, 2, 3).value == "6.00"
    assert found({**total, "in_last": "4h"}, now, 1, 2, 3).value == "3.00"
    assert found({"did": "Placed Order", "average": {"is": 2}}, now, 1, 3).value == "2.00"
    assert found({"did": "Placed Order", "max": {"is": 2}}, now, 1, 3).value == "3.00"
    assert found({"did": "Placed Order", "min": {"is": 2}, "in_last": "1h"}, now, 1).value == "none"
    assert found({"did": "Placed Order", "average": {"is": 2}, "in_last": "1h"}, now, 1).value == (
        "none"
    )
    assert found({"did": "Placed Order", "max": {"is": 2}}, now).value == "none"
    assert found({"trait": "t", "contains": "a"}, now).value == "['a']"


def test_the_largest_ever_and_the_largest_of_long_ago_share_what_is_kept_and_differ() -> None:
    largest = {"did": "Placed Order", "max": {"of": "value", "is": "> 5"}}
    documents = [
        {"segment": "ever", "where": largest},
        {"segment": "before", "where": {**largest, "at_least_ago": "30d"}},
    ]
    program = compile_program(documents, version="v1")
    assert len(program.features) == 1
    row = ProfileRow(id="i1")
    for name, days, micros in (("o1", 40, 6_000_000), ("o2", 1, 9_000_000)):
        note(program, row, event(name, START - days * DAY, value=micros))
    person = Person(row, program)
    assert [program.segments[one].condition.holds(person, START) for one in ("ever", "before")] == [
        True,
        True,
    ]
