"""Runs that wait for a date: one a flow, moved with the date, gone with the flow."""

from typing import Any

from schemas.definitions import OnDate
from schemas.rows import FlowRun, ProfileRow, Trait
from schemas.values import Instant
from streams.definitions.program import compile_program
from streams.definitions.zones import find_zone
from streams.flows.dates import last_start, next_start
from streams.flows.entry import await_dates, hear_dates
from streams.flows.moment import Moment
from streams.flows.plan import plan_flows
from streams.flows.run import resume
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import to_instant, to_timestamp
from tests.scenarios.play import event_of, play

NOW = to_instant("2026-06-01T12:00:00Z")
BIRTHDAY = {"flow": "birthday", "trigger": {"date": "birthday", "every": "year"}, "steps": []}
REVIEW = {"flow": "review", "trigger": {"date": "bought_at", "before": "0d"}, "steps": []}


def moment_of(row: ProfileRow, *flows: dict[str, Any], now: Instant = NOW) -> Moment:
    program = compile_program(flows, version=f"v{len(flows)}")
    plans = plan_flows(program.flows, program.condition)
    return Moment(row, program, plans, Ids(REPLAY_SECRET), now)


def born(day: str, since: Instant = NOW) -> dict[str, Trait]:
    return {"birthday": Trait(day, since, since)}


def waits(row: ProfileRow) -> list[tuple[str, str]]:
    return [(run.flow, to_timestamp(run.wake_at or 0)[:16]) for run in row.runs]


def test_a_row_waits_for_the_dates_of_the_flows_in_force_and_for_no_others() -> None:
    row = ProfileRow(id="i1", store="main", traits=born("1990-06-12"))
    await_dates(moment_of(row, BIRTHDAY, REVIEW))
    assert waits(row) == [("birthday", "2026-06-12T10:00")]
    before = row.runs[0]
    await_dates(moment_of(row, BIRTHDAY, REVIEW))
    assert row.runs[0] is before
    await_dates(moment_of(row, REVIEW))
    assert row.runs == []


def test_a_date_that_moved_unseen_is_looked_at_again_when_it_is_due() -> None:
    row = ProfileRow(id="i1", store="main", traits=born("1990-06-12"))
    await_dates(moment_of(row, BIRTHDAY))
    (run,) = row.runs
    row.traits = born("1990-07-12")
    due = moment_of(row, BIRTHDAY, now=run.wake_at or 0)
    resume(due, run)
    assert (due.outputs, due.ready) == ([], [])
    assert waits(row) == [("birthday", "2026-07-12T10:00")]
    (run,) = row.runs
    row.traits = {}
    resume(moment_of(row, BIRTHDAY, now=run.wake_at or 0), run)
    assert row.runs == []


def test_a_run_whose_flow_has_another_trigger_now_does_not_begin() -> None:
    row = ProfileRow(id="i1", store="main", traits=born("1990-06-12"))
    for other in ([], [{**BIRTHDAY, "trigger": {"did": "Identify"}}]):
        await_dates(moment_of(row, BIRTHDAY))
        (run,) = row.runs
        assert isinstance(run, FlowRun)
        due = moment_of(row, *other, now=run.wake_at or 0)
        resume(due, run)
        assert (row.runs, due.outputs) == ([], [])


def test_what_an_old_event_says_of_today_is_too_old_and_said_once() -> None:
    row = ProfileRow(id="i1", store="main", traits=born("1990-06-01", NOW - 9 * 3_600_000))
    identify = event_of(
        "Identify", "e1", NOW, (), {}, late=9 * 3_600_000, traits={"birthday": "1990-06-01"}
    )
    moment = moment_of(row, BIRTHDAY)
    hear_dates(moment, identify)
    (refused,) = [output.record for output in moment.outputs]
    assert refused.reasons == ("too-old",)  # type: ignore[union-attr]
    assert waits(row) == [("birthday", "2027-06-01T10:00")]
    hear_dates(moment, event_of("Viewed Product", "e2", NOW, (), {}))
    assert len(moment.outputs) == 1


def test_starts_around_an_instant() -> None:
    zone = find_zone("Europe/Berlin")
    assert zone is not None
    trigger = OnDate("birthday", before=3 * 86_400_000, at=600, every_year=True)
    at = to_instant("2026-12-30T09:00:00Z")
    following = next_start(trigger, "1990-01-02", zone, at - 1)
    assert following is not None
    assert (following.day.isoformat(), following.at) == ("2027-01-02", at)
    assert last_start(trigger, "1990-01-02", zone, at) == following
    assert next_start(trigger, "soon", zone, at) is None
    once = OnDate("birthday")
    assert last_start(once, "2027-01-02", zone, at) is None
    assert next_start(once, "2026-01-02", zone, at) is None


SETS = """
flow: order
trigger: {did: Placed Order}
steps:
  - {set: {bought_at: now}}
---
flow: anniversary
trigger: {date: bought_at, at: "10:00", every: year}
steps:
  - {send: thanks, channel: email, template: thanks}
---
flow: other
trigger: {date: bought_at}
re_entry: always
steps:
  - {start: anniversary}
---
store: main
address: "Beispielgasse 1, 10115 Berlin"
"""


def test_a_date_that_a_flow_sets_starts_a_flow() -> None:
    """Ann has a German number: ten in the morning is nine in UTC."""
    play(
        SETS,
        """
        2026-01-05 12:00  Placed Order  -> starts order; refuses anniversary: too-old
                                        -> refuses other: too-old
        2027-01-05 09:00                -> starts anniversary; sends thanks
        2027-01-06 09:30  Placed Order  -> starts order; starts anniversary; starts other
                                        -> sends thanks; starts anniversary
                                        -> drops thanks: smart-sending
        """,
    )
