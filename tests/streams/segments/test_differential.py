"""The incremental evaluator against brute force: random conditions, histories and instants.

Every answer is asked for at the edges of windows, and a millisecond before and after them.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.events import Event
from schemas.rows import ProfileRow, Trait, Trigger
from streams.definitions.program import Program, compile_program
from streams.flows.moment import Moment
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import DAY, HOUR
from streams.profile.facts import note_traits
from streams.profile.store import NOTHING
from streams.segments.features import note
from streams.segments.membership import evaluate, next_flip
from streams.segments.person import Person
from tests.streams.segments import brute
from tests.streams.segments.invented import (
    BASE,
    CONDITIONS,
    DATE_LEAVES,
    DATED,
    DID,
    DID_NOT,
    HELD,
    IN_SEGMENTS,
    LIKED,
    MEASURED,
    NEWEST,
    PEOPLE,
    PLANS,
    SEQUENCES,
    TRIGGERS,
    WRITTEN,
    ZONES,
    histories,
    shopping,
)

IDS = Ids(REPLAY_SECRET)


def hear(program: Program, row: ProfileRow, event: Event) -> Moment:
    """What of an event conditions look at: its traits, and what the features note of it."""
    moment = Moment(row, program, NOTHING.plans, IDS, event.received_at, ())
    note_traits(moment, event)
    moment.features.update(note(program, row, event))
    return moment


def differ(
    condition: dict[str, Any], history: list[Event], row: ProfileRow, trigger: Trigger | None
) -> int:
    """Play the history; compare at every edge, and between now and every flip.

    Returns: how many answers were compared.
    """
    program = compile_program(
        [
            {"flow": "f", "trigger": {"did": "A"}, "filter": condition, "steps": []},
            {"list": "news"},
            {"store": "main", "currency": "EUR"},
        ],
        version="v1",
    )
    where = program.flows["f"].filter
    assert where is not None
    compiled = program.condition(where)
    person = Person(row, program, trigger)
    came: list[Event] = []
    checks = 0
    instants = sorted({e.received_at for e in history} | {BASE, BASE + 30 * HOUR})
    for i, start in enumerate(instants):
        for event in [e for e in history if e.received_at == start]:
            came.append(event)
            hear(program, row, event)
        end = instants[i + 1] if i + 1 < len(instants) else start + 10 * HOUR
        edges = range(start, end, HOUR)
        moments = sorted(
            {start} | {e + d for e in edges for d in (-1, 0, 1) if start <= e + d < end}
        )
        answers = [
            brute.holds(condition, came, moment, row=row, trigger=trigger) for moment in moments
        ]
        for at, moment in enumerate(moments):
            holds, flip = compiled.ask(person, moment)
            assert holds is answers[at], (moment - BASE, condition)
            assert flip is None or flip > moment
            for later, other in zip(moments[at:], answers[at:], strict=True):
                if flip is not None and later >= flip:
                    break
                assert other is holds, ("flip is late", moment - BASE, later - BASE, flip)
        checks += len(moments)
        compiled.explain(person, start)
    return checks


SETTINGS = settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


@SETTINGS
@given(st.one_of(DID, DID_NOT), histories(), TRIGGERS)
def test_every_count_and_its_flip_equal_brute_force(
    condition: dict[str, Any], history: list[Event], trigger: Trigger | None
) -> None:
    differ(condition, history, ProfileRow(), trigger)


@SETTINGS
@given(MEASURED, histories(), TRIGGERS)
def test_every_amount_and_its_flip_equal_brute_force(
    condition: dict[str, Any], history: list[Event], trigger: Trigger | None
) -> None:
    differ(condition, history, ProfileRow(), trigger)


@settings(SETTINGS, max_examples=300)
@given(SEQUENCES, histories(4), TRIGGERS)
def test_every_sequence_and_its_flip_equal_brute_force(
    condition: dict[str, Any], history: list[Event], trigger: Trigger | None
) -> None:
    differ(condition, history, ProfileRow(), trigger)


@SETTINGS
@given(NEWEST, histories(4), TRIGGERS)
def test_every_count_of_the_newest_equals_brute_force(
    condition: dict[str, Any], history: list[Event], trigger: Trigger | None
) -> None:
    differ(condition, history, ProfileRow(), trigger)


@SETTINGS
@given(HELD, histories(3, PLANS, hours=8))
def test_every_held_value_and_its_flip_equal_brute_force(
    condition: dict[str, Any], history: list[Event]
) -> None:
    differ(condition, history, ProfileRow(), None)


@SETTINGS
@given(CONDITIONS, histories(), PEOPLE, TRIGGERS)
def test_every_tree_and_its_flip_equal_brute_force(
    condition: dict[str, Any], history: list[Event], row: ProfileRow, trigger: Trigger | None
) -> None:
    differ(condition, history, row, trigger)


@pytest.mark.prove
@settings(SETTINGS, max_examples=20_000, derandomize=False, print_blob=True)
@given(
    st.one_of(DID, MEASURED, SEQUENCES, NEWEST, DATE_LEAVES, CONDITIONS),
    histories(),
    PEOPLE,
    TRIGGERS,
)
def test_brute_force_agrees_at_length(
    condition: dict[str, Any], history: list[Event], row: ProfileRow, trigger: Trigger | None
) -> None:
    differ(condition, history, row, trigger)


@SETTINGS
@given(st.lists(IN_SEGMENTS, min_size=1, max_size=3), histories(), PEOPLE)
def test_memberships_equal_brute_force_at_every_instant(
    conditions: list[dict[str, Any]], history: list[Event], row: ProfileRow
) -> None:
    """Played as the profile step does: flips at their instants, then events, each asked once."""
    documents = [{"segment": f"s{i}", "where": where} for i, where in enumerate(conditions)]
    program = compile_program([*documents, {"list": "news"}], version="v1")
    row.store = "main"
    came: list[Event] = []
    evaluate(row, program, (), BASE, due=None, ids=IDS)
    history = sorted(history, key=lambda event: event.received_at)
    for now in range(BASE, BASE + 32 * HOUR, HOUR // 2):
        while (due := next_flip(row)) is not None and due <= now:
            for change in evaluate(row, program, (), due, due=due, ids=IDS):
                where = conditions[int(change.segment[1:])]
                before = brute.holds(where, came, due - 1, row=row, trigger=None)
                assert before is not change.entered, "time alone changed it at this very instant"
                assert change.at == due
        while history and history[0].received_at <= now:
            came.append(history.pop(0))
            touched = hear(program, row, came[-1])
            asked = program.segments_for(features=touched.features, traits=touched.traits)
            evaluate(row, program, asked, now, due=None, ids=IDS)
        for i, where in enumerate(conditions):
            membership = row.segments.get(f"s{i}")
            inside = membership is not None and membership.since is not None
            assert inside is brute.holds(where, came, now, row=row, trigger=None), (i, now - BASE)


@settings(SETTINGS, max_examples=200)
@given(LIKED, shopping())
def test_every_affinity_and_its_flip_equal_brute_force(
    condition: dict[str, Any], history: list[Event]
) -> None:
    """Asked after every arrival, from there at each flip and the millisecond before it."""
    program = compile_program([{"segment": "s", "where": condition}], version="v1")
    row = ProfileRow(id="i1")
    ask, person = program.segments["s"].condition.ask, Person(row, program)
    for i, event in enumerate(history):
        note(program, row, event)
        came, now = history[: i + 1], event.received_at
        end = history[i + 1].received_at if i + 1 < len(history) else now + 100 * DAY
        while now < end:
            holds, flip = ask(person, now)
            assert holds is brute.holds(condition, came, now, row=row, trigger=None)
            until = min(flip or end, end)
            days = [now + day * DAY for day in range(1, (until - now) // DAY)]
            for at in (*days, until - 1):
                assert brute.holds(condition, came, at, row=row, trigger=None) is holds
            now = until
        program.segments["s"].condition.explain(person, now)


@SETTINGS
@given(DATED, WRITTEN, ZONES, st.integers(0, 11 * 366))
def test_every_date_and_its_flip_equal_brute_force(
    condition: dict[str, Any], written: str, zone: str, days: int
) -> None:
    """Asked at some instant, and from then on at each flip and the millisecond before it."""
    row = ProfileRow(id="i1", traits={"born": Trait(written, BASE, BASE)})
    documents = [{"segment": "s", "where": condition}, {"store": "main", "zone": zone}]
    program = compile_program(documents, version="v1")
    ask, person = program.segments["s"].condition.ask, Person(row, program)

    def expected(at: int) -> bool:
        return brute.holds(condition, [], at, row=row, trigger=None, zone=zone)

    now = BASE - 10 * 366 * DAY + days * DAY
    for _ in range(4):
        holds, flip = ask(person, now)
        assert holds is expected(now)
        end = min(flip or now + 400 * DAY, now + 800 * DAY)
        assert end > now
        between = [now + (end - now) * part // 23 for part in range(23)]
        assert {expected(at) for at in (*between, end - 1)} == {holds}
        now = end
