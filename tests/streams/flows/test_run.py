"""A run through every kind of step, and through flows that change while it waits."""

from typing import Any

import pytest

from schemas.conditions import EventFilter
from schemas.definitions import Flow, Join, OnEvent, ReEntry, Send, Step, WaitFor, WaitForDate
from schemas.records import DefinitionsPublished
from streams.definitions.switch import in_force
from streams.flows.plan import plan_flows
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import to_instant
from streams.profile.step import ProfileCore
from streams.profile.store import ready
from tests.scenarios.play import Stage, documents_of, event_of, go_on, play

STORE = """
store: main
zone: Europe/Berlin
address: Somewhere 1
"""
QUIET = "channel: email, template: t, smart_sending: false"


def flow(*steps: str, more: str = "") -> str:
    lines = "\n".join(f"  - {step}" for step in steps)
    return f"flow: story\ntrigger: {{did: Started}}\n{more}\nsteps:\n{lines}\n---\n{STORE}"


def sends(name: str) -> str:
    return f"{{send: {name}, {QUIET}}}"


def test_a_wait_until_a_time_of_day_in_the_zone_of_the_profile_the_store_or_a_name() -> None:
    until = 'wait: {until: "15:00", zone: %s}'
    play(
        flow(until % "profile", sends("a"), until % "America/New_York", sends("b")),
        """
        day 0 10:00  Started trait.timezone=Asia/Tokyo  -> starts story
        day 1 07:00                                     -> sends a
        day 1 21:00                                     -> sends b
        """,
    )


def test_a_wait_until_now_is_over_at_once_and_a_last_wait_ends_the_run() -> None:
    stage = play(
        flow('wait: {until: "15:00"}', sends("a"), "wait: 3d"),
        "day 0 15:00  Started  -> starts story; sends a",
    )
    assert stage.row is not None
    assert stage.row.runs == []


def test_an_empty_branch_leads_to_what_follows() -> None:
    play(
        flow(
            "{split: {where: {did: Placed Order}, then: [" + sends("x") + "]}}",
            "{wait_for: {did: Opened}, at_most: 1h, met: [" + sends("y") + "]}",
            sends("z"),
        ),
        """
        day 0 10:00  Started  -> starts story
        day 0 11:00           -> sends z
        """,
    )
    play(
        flow("{wait_for: {did: Opened}, at_most: 1h, missed: [" + sends("y") + "]}"),
        """
        day 0 10:00  Started  -> starts story
        day 0 10:30  Opened
        day 0 11:30
        """,
    )


def test_list_traits_grow_and_shrink() -> None:
    stage = play(
        flow(
            "{add: {tags: [a, b]}}",
            "{add: {tags: b}}",
            "{remove: {tags: a}}",
            "{set: {plan: gold}}",
            "{set: {plan: gold}}",
        ),
        "day 0 10:00  Started  -> starts story",
    )
    assert stage.row is not None
    assert stage.row.traits["tags"].value == ["b"]
    assert stage.row.traits["plan"].value == "gold"


def test_removing_from_what_is_no_list_leaves_it_as_it_is() -> None:
    stage = play(
        flow("{set: {name: Ann}}", "{remove: {name: Ann, tags: a}}"),
        "day 0 10:00  Started  -> starts story",
    )
    assert stage.row is not None
    assert stage.row.traits["name"].value == "Ann"
    assert "tags" not in stage.row.traits


def test_leaving_a_list_one_is_not_on_and_joining_one_twice() -> None:
    stage = play(
        "list: fans\n---\n" + flow("{leave: fans}", "{join: fans}", "{join: fans}"),
        "day 0 10:00  Started  -> starts story",
    )
    assert stage.row is not None
    assert stage.row.lists["fans"].joined_at > 0


def test_a_flow_may_not_be_entered_where_its_filter_fails() -> None:
    stage = play(
        flow(sends("a"), more="filter: {did: Placed Order}\nstay: true"),
        """
        day 0 10:00  Started       -> refuses story: flow-filter
        day 0 11:00  Placed Order
        day 0 12:00  Started       -> starts story; sends a
        """,
    )
    decided = [output.record for output in stage.outputs if output.to == "send-decisions"]
    assert [leaf.leaf for leaf in decided[0].evidence] == ["did Placed Order"]


def test_a_send_has_a_filter_of_its_own() -> None:
    send = f"{{send: a, {QUIET}, filter: {{did: Placed Order}}}}"
    play(flow(send), "day 0 10:00  Started  -> starts story; drops a: send-filter")


# --- edited live ---------------------------------------------------------------------------------

WAITS = ("wait: 1d", sends("a"), "wait: 1d", sends("b"))


def test_who_waits_takes_the_steps_that_are_there_when_the_wait_ends() -> None:
    stage = play(flow(*WAITS), "day 0 10:00  Started  -> starts story")
    stage.publish(flow("wait: 9d", sends("new"), "wait: 2d", sends("b")))
    go_on(
        stage,
        """
        day 1 10:00  -> sends new
        day 3 10:00  -> sends b
        """,
    )


def test_a_run_whose_steps_are_gone_ends() -> None:
    stage = play(flow(*WAITS), "day 0 10:00  Started  -> starts story")
    stage.publish(flow("wait: 9d"))
    go_on(stage, "day 2 10:00")
    assert stage.row is not None
    assert stage.row.runs == []


def test_a_run_whose_branch_is_gone_goes_on_after_it() -> None:
    waits = "{split: {where: {did: Started}, then: [{wait: 1d}, " + sends("a") + "]}}"
    stage = play(flow(waits, sends("b")), "day 0 10:00  Started  -> starts story")
    gone = "{split: {where: {did: Started}, then: []}}"
    stage.publish(flow(gone, sends("b")))
    go_on(stage, "day 1 10:00  -> sends b")


def test_a_wait_for_that_is_gone_is_missed_and_not_listened_to() -> None:
    waits = "{wait_for: {did: Opened}, at_most: 1d, met: [" + sends("a") + "]}"
    stage = play(flow(waits, sends("b")), "day 0 10:00  Started  -> starts story")
    stage.publish(flow(sends("new"), sends("b")))
    go_on(
        stage,
        """
        day 0 11:00  Opened
        day 1 10:00  -> sends new; sends b
        """,
    )
    stage = play(flow(waits, sends("b")), "day 0 10:00  Started  -> starts story")
    stage.publish(STORE)
    go_on(
        stage,
        """
        day 0 11:00  Opened
        day 1 10:00  -> ends story: flow-gone
        """,
    )


def test_a_held_send_whose_run_ends_is_dropped_by_its_name() -> None:
    held = "{send: held, channel: sms, template: t, window: {from: '12:00', until: '13:00'}}"
    begins = "day 0 10:00  Started  -> starts story; holds held until 2026-01-01 12:00: send-window"
    with_goal = flow(held, sends("b"), more="goal: {did: Placed Order}")
    story = play(with_goal, begins, granted=("email", "sms"))
    go_on(
        story,
        "day 0 11:00  Placed Order  -> drops held: goal-reached; ends story: goal-reached",
    )
    story = play(with_goal, begins, granted=("email", "sms"))
    go_on(
        story,
        "day 0 11:00  Profile Erased  -> drops held: profile-erased; ends story: profile-erased",
    )
    story = play(with_goal, begins, granted=("email", "sms"))
    story.publish(STORE)
    gone = """
        day 0 10:00  -> drops held: flow-gone
        day 0 12:00  -> ends story: flow-gone
        """
    go_on(story, gone)
    story = play(with_goal, begins, granted=("email", "sms"))
    story.publish(STORE)
    go_on(story, "day 0 10:00  Viewed Product  -> drops held: flow-gone")
    story.publish(with_goal)
    go_on(story, "day 0 13:00")


def test_a_flow_that_is_gone_hears_nothing() -> None:
    waits = "{wait_for: {did: Opened}, at_most: 1d}"
    stage = play(flow(waits), "day 0 10:00  Started  -> starts story")
    stage.publish(flow(waits).replace("story", "other"))
    go_on(stage, "day 0 11:00  Opened")


def test_an_expired_send_whose_step_is_gone_is_given_up() -> None:
    stage = play(flow(sends("a")), "day 0 10:00  Started  -> starts story; sends a")
    assert stage.row is not None
    sent = stage.row.sent[0].send_id
    stage.publish(flow(sends("b")))
    go_on(stage, f"day 0 10:20  Send Expired send_id={sent}  -> drops a: expired")


def test_an_expired_send_of_a_run_that_reached_its_goal_is_given_up() -> None:
    goal = flow(sends("a"), "wait: 1d", sends("b"), more="goal: {did: Placed Order}")
    stage = play(goal, "day 0 10:00  Started  -> starts story; sends a")
    assert stage.row is not None
    sent = stage.row.sent[0].send_id
    go_on(
        stage,
        f"""
        day 0 10:10  Placed Order                 -> ends story: goal-reached
        day 0 10:20  Send Expired send_id={sent}  -> drops a: expired
        day 0 10:30  Send Expired
        """,
    )


def test_an_expired_send_of_a_run_that_was_over_when_its_goal_was_reached_is_given_up() -> None:
    stage = play(
        flow(sends("a"), more="goal: {did: Placed Order}"),
        "day 0 10:00  Started  -> starts story; sends a",
    )
    assert stage.row is not None
    sent = stage.row.sent[0].send_id
    go_on(
        stage,
        f"""
        day 0 10:05  Placed Order late=1h
        day 0 10:06  Placed Order
        day 0 10:20  Send Expired send_id={sent}  -> drops a: expired
        """,
    )
    decided = [one.record for one in stage.outputs if one.to == "send-decisions"]
    assert {one.send_id for one in decided} == {sent}, "an explanation of the send ends with it"


TEXT = "{send: a, channel: sms, template: t, smart_sending: false}"


def planned_anew_and_held(story: str) -> Stage:
    """Play a flow whose first step is `TEXT` until the text has expired, in quiet hours."""
    begins = "day 0 20:55  Started  -> starts story; sends a"
    stage = play(story, begins, granted=("sms", "email"))
    assert stage.row is not None
    sent = stage.row.sent[0].send_id
    go_on(
        stage,
        f"""
        day 0 21:10  Send Expired send_id={sent}
                     -> holds a until 2026-01-02 08:00: quiet-hours
        """,
    )
    return stage


def test_a_send_planned_anew_that_is_held_ends_with_a_flow_that_changed() -> None:
    stage = planned_anew_and_held(flow(TEXT))
    stage.publish(flow("wait: 1d", sends("b")))
    go_on(stage, "day 0 21:10  -> drops a: step-gone\nday 3 08:00")
    assert stage.row is not None
    assert stage.row.runs == []


def test_a_send_planned_anew_is_sent_after_its_hold_though_the_run_waits_by_then() -> None:
    stage = planned_anew_and_held(flow(TEXT, "wait: 1d", sends("b")))
    go_on(stage, "day 1 08:00  -> sends a")


# --- steps that the language does not let through yet --------------------------------------------


def stage_of(*steps: Step) -> Stage:
    """A stage with a flow made of typed steps."""
    made = Flow("story", OnEvent(EventFilter("Started")), ReEntry("always"), False, steps)
    store = ready(
        in_force(None, DefinitionsPublished("main", "v1", "ann", documents_of(STORE)), ())
    )
    plans = plan_flows({"story": made}, lambda condition: pytest.fail(str(condition)))
    stage = Stage(STORE)
    stage.core = ProfileCore(Ids(REPLAY_SECRET), {"main": store._replace(plans=plans)})
    return stage


def started(stage: Stage, **properties: Any) -> list[str]:
    at = to_instant("2026-01-01T09:00:00Z")
    who = (("email", "ann@example.com"),)
    stage.happen(event_of("Subscribed", "s", at - 1, who, {"channel": "email"}))
    stage.happen(event_of("Started", "e", at, who, properties))
    return [text for _, text in stage.told]


REMINDER = Send("reminder", "email", "t")


def test_a_wait_for_the_triggers_date() -> None:
    stage = stage_of(WaitForDate("due_at", before=3_600_000), REMINDER)
    assert started(stage, due_at="2026-01-02T12:00") == ["starts story"]
    stage.wake_until(to_instant("2026-01-02T10:00:00Z"))
    assert stage.told[-1] == (
        to_instant("2026-01-02T10:00:00Z"),
        "sends reminder to ann@example.com",
    )


def test_a_date_that_is_over_is_not_waited_for_and_a_missing_one_ends_the_run() -> None:
    late = started(stage_of(WaitForDate("due_at"), REMINDER), due_at="2025-12-24")
    assert late == ["starts story", "sends reminder to ann@example.com"]
    missing = started(stage_of(WaitForDate("due_at"), REMINDER))
    assert missing == ["starts story", "ends story: no-date"]


def test_a_wait_for_no_time_at_all_is_missed() -> None:
    wait = WaitFor(EventFilter("Opened"), 0, missed=(REMINDER,))
    assert started(stage_of(wait)) == ["starts story", "sends reminder to ann@example.com"]


def test_a_flow_without_steps_starts_and_ends() -> None:
    assert started(stage_of()) == ["starts story"]
    assert started(stage_of(Join("fans"))) == ["starts story"]


def test_a_flow_that_is_started_twice_by_one_run_has_two_runs() -> None:
    other = flow(sends("b")).replace("story", "other").replace("Started", "Nothing")
    stage = play(
        other.partition("---")[0] + "---\n" + flow("{start: other}", "wait: 1d", "{start: other}"),
        """
        day 0 10:00  Started  -> starts story; starts other; sends b
        day 1 10:00           -> starts other; sends b
        """,
    )
    started = [one.record for one in stage.outputs if one.to == "flow-triggers"]
    assert len({one.id for one in started}) == 3
