"""A flow is edited while people are in it: nobody waits twice, and nobody misses a new step."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.conditions import EventFilter
from schemas.definitions import (
    Exit,
    Flow,
    OnEvent,
    ReEntry,
    Send,
    SplitTrigger,
    Step,
    Wait,
    WaitFor,
)
from streams.flows.edited import moved_steps
from streams.flows.plan import StepPath, branches
from tests.scenarios.play import go_on, play

STORE = "store: main\naddress: Somewhere 1\n"


def flow(*steps: str, more: str = "") -> str:
    lines = "\n".join(f"  - {step}" for step in steps)
    return f"flow: story\ntrigger: {{did: Started}}\n{more}\nsteps:\n{lines}\n---\n{STORE}"


def sends(name: str) -> str:
    return f"{{send: {name}, channel: email, template: t, smart_sending: false}}"


A, B, C, NEW = sends("a"), sends("b"), sends("c"), sends("new")
STARTED = "day 0 10:00  Started  -> starts story"


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ((NEW, "wait: 1d", A, "wait: 1d", B), "-> sends a\nday 2 10:00 -> sends b"),
        (("wait: 1d", NEW, A, "wait: 1d", B), "-> sends new; sends a\nday 2 10:00 -> sends b"),
        (("wait: 9d", A, "wait: 2d", B), "-> sends a\nday 3 10:00 -> sends b"),
        ((A, "wait: 1d", B), "-> sends a\nday 2 10:00 -> sends b"),
        (("wait: 1d", "wait: 1d", B), "\nday 2 10:00 -> sends b"),
        (("wait: 1d", B), "-> sends b"),
        (('wait: {until: "12:00"}', A), "-> sends a"),
        ((f"{{split: {{trigger: {{x: 1}}, then: [{C}]}}}}", "wait: 1d", A), "-> sends a"),
        (("wait: 1d",), ""),
    ],
)
def test_who_waits_keeps_the_wait_and_takes_what_now_follows_it(
    after: tuple[str, ...], told: str
) -> None:
    stage = play(flow("wait: 1d", A, "wait: 1d", B), STARTED)
    stage.publish(flow(*after))
    go_on(stage, f"day 1 10:00 {told}\nday 30")


def test_a_second_wait_is_not_taken_for_the_first() -> None:
    stage = play(flow("wait: 1d", A, "wait: 2d", B), STARTED)
    go_on(stage, "day 1 10:00  -> sends a")
    stage.publish(flow("wait: 5d", NEW, "wait: 1d", A, "wait: 2d", C, B))
    go_on(stage, "day 3 10:00  -> sends c; sends b\nday 30")


def test_who_waits_in_a_branch_that_is_gone_goes_on_after_the_split() -> None:
    split = f"{{split: {{trigger: {{x: 1}}, else: [{{wait: 1d}}, {A}]}}}}"
    stage = play(flow(split, B), STARTED)
    stage.publish(flow(NEW, B))
    go_on(stage, "day 1 10:00  -> sends new; sends b\nday 30")


def test_an_event_is_still_waited_for_where_the_step_has_moved_and_may_be_another() -> None:
    wait = "{wait_for: {did: Opened}, at_most: 3d, met: [%s], missed: [%s]}"
    stage = play(flow(wait % (A, B)), STARTED)
    stage.publish(flow(NEW, (wait % (A, B)).replace("Opened", "Clicked"), C))
    go_on(
        stage,
        """
        day 1 10:00  Opened
        day 1 11:00  Clicked  -> sends a; sends c
        day 30
        """,
    )


def test_a_held_send_is_held_on_where_it_has_moved() -> None:
    window = 'window: {from: "12:00", until: "13:00"}'
    held = f"{{send: a, channel: email, template: t, {window}}}"
    stage = play(
        flow(held),
        f"{STARTED}; holds a until 2026-01-01 11:00: send-window",
    )
    stage.publish(flow(NEW, "wait: 1d", held, B.replace("smart_sending: false", "")))
    go_on(stage, "day 0 11:00  -> sends a; drops b: smart-sending\nday 30")


def test_a_held_send_that_is_gone_is_dropped_with_a_last_word_and_the_run_goes_on() -> None:
    held = '{send: a, channel: email, template: t, window: {from: "12:00", until: "13:00"}}'
    stage = play(flow(held, B), f"{STARTED}; holds a until 2026-01-01 11:00: send-window")
    stage.publish(flow(B))
    go_on(stage, "day 0 10:00  -> drops a: step-gone\nday 0 11:00  -> sends b\nday 30")
    decided = [one.record for one in stage.outputs if one.to == "send-decisions"]
    assert decided[0].send_id == decided[1].send_id


def test_a_send_planned_anew_stays_itself() -> None:
    stage = play(flow(A, "wait: 1d", B), f"{STARTED}; sends a")
    assert stage.row is not None
    sent = stage.row.sent[0].send_id
    stage.publish(flow(NEW, "wait: 1d", B, "wait: 1d", A))
    go_on(stage, f"day 0 10:05  Send Expired send_id={sent}  -> sends a")
    go_on(stage, "day 1 10:00  -> sends b\nday 2 10:00  -> drops a: duplicate")


def test_two_edits_in_a_row_and_one_that_changes_nothing() -> None:
    stage = play(flow("wait: 1d", A), STARTED)
    stage.publish(flow("wait: 2d", NEW, "wait: 1d", A))
    stage.publish(flow("wait: 3d", C, "wait: 2d", NEW, "wait: 1d", A, B))
    stage.publish(flow("wait: 3d", C, "wait: 2d", NEW, "wait: 1d", A, B))
    go_on(stage, "day 1 10:00  -> sends a; sends b\nday 30")


# --- paused, drained -----------------------------------------------------------------------------

WAITS = ("wait: 1d", A, "wait: 1d", B)


def test_a_paused_flow_lets_nobody_in_and_who_is_in_it_stops_before_the_next_step() -> None:
    stage = play(flow(*WAITS), STARTED)
    stage.publish(flow(*WAITS, more="state: paused"))
    go_on(
        stage, "day 1 10:00\nday 5 10:00  Started  -> refuses story: flow-paused, already-running"
    )
    stage.publish(flow(*WAITS))
    go_on(stage, "day 5 10:00  -> sends a\nday 6 10:00  -> sends b\nday 30")


def test_a_wait_that_is_not_over_when_the_flow_goes_on_is_as_if_nothing_had_been() -> None:
    stage = play(flow(*WAITS), STARTED)
    stage.publish(flow(*WAITS, more="state: paused"))
    go_on(stage, "day 0 20:00")
    stage.publish(flow(*WAITS))
    go_on(stage, "day 1 10:00  -> sends a\nday 2 10:00  -> sends b\nday 30")


def test_a_paused_flow_hears_what_it_waits_for_and_its_goal() -> None:
    wait = (f"{{wait_for: {{did: Opened}}, at_most: 1d, met: [{A}], missed: [{B}]}}",)
    goal = "goal: {did: Placed Order}\n"
    stage = play(flow(*wait, more=goal), STARTED)
    stage.publish(flow(*wait, more=goal + "state: paused"))
    go_on(stage, "day 0 12:00  Opened\nday 3 10:00")
    stage.publish(flow(*wait, more=goal))
    go_on(stage, "day 3 10:00  -> sends a\nday 30")
    stage = play(flow(*wait, more=goal), STARTED)
    stage.publish(flow(*wait, more=goal + "state: paused"))
    go_on(stage, "day 2 10:00\nday 3  Placed Order  -> ends story: goal-reached")


def test_a_held_send_is_asked_again_when_the_flow_goes_on_and_its_patience_has_run() -> None:
    window = 'window: {from: "12:00", until: "13:00"}'
    held = f"{{send: a, channel: email, template: t, {window}}}"
    stage = play(flow(held), f"{STARTED}; holds a until 2026-01-01 11:00: send-window")
    stage.publish(flow(held, more="state: paused"))
    go_on(stage, "day 5 10:00")
    stage.publish(flow(held))
    go_on(stage, "day 5 10:00  -> drops a: send-window, patience")


def test_a_draining_flow_lets_nobody_in_and_everybody_out() -> None:
    stage = play(flow(*WAITS), STARTED)
    stage.publish(flow(*WAITS, more="state: draining"))
    go_on(
        stage,
        """
        day 1 10:00           -> sends a
        day 2 10:00           -> sends b
        day 3 10:00  Started  -> refuses story: flow-draining
        """,
    )


def test_flows_that_lead_to_each_other_by_lists_end() -> None:
    """A joins what starts B and B what starts A: at once, so it would go on for ever."""
    circle = "\n---\n".join(
        f"""
flow: {one}
trigger: {{joins: {one}}}
re_entry: always
steps: [{{leave: {other}}}, {{join: {other}}}]
"""
        for one, other in (("a", "b"), ("b", "a"))
    )
    lists = "".join(f"list: {name}\nopt_in: single\n---\n" for name in ("a", "b"))
    stage = play(lists + circle + "---\n" + STORE, "", granted=())
    go_on(
        stage,
        "day 0  Joined List list=a  -> "
        + "; ".join(["starts a", "starts b"] * 10)
        + "; refuses a: in-a-circle",
    )


# --- any edit of any flow ------------------------------------------------------------------------

NAMES = "abcdef"


def steps_of(names: st.SearchStrategy[str], depth: int) -> st.SearchStrategy[tuple[Step, ...]]:
    leaf: st.SearchStrategy[Step] = st.one_of(
        st.builds(Wait, st.integers(1, 3)),
        names.map(lambda name: Send(name, "email", "t")),
        st.builds(Exit, st.just("done")),
    )
    if depth:
        inside = steps_of(names, depth - 1)
        leaf = st.one_of(
            leaf,
            st.builds(SplitTrigger, st.just(()), inside, inside),
            st.builds(WaitFor, st.just(EventFilter("Opened")), st.just(1), inside, inside),
        )
    return st.lists(leaf, max_size=4).map(tuple)


def flows() -> st.SearchStrategy[Flow]:
    steps = steps_of(st.sampled_from(NAMES), 2)
    return steps.map(lambda s: Flow("f", OnEvent(EventFilter("A")), ReEntry("always"), False, s))


def places(steps: tuple[Step, ...], prefix: StepPath = ()) -> Iterator[tuple[StepPath, Step]]:
    for index, step in enumerate(steps):
        yield (*prefix, index), step
        for name, branch in branches(step).items():
            yield from places(branch, (*prefix, index, name))


@given(flows(), flows())
def test_every_step_leads_somewhere_and_what_is_kept_is_of_its_kind_and_in_order(
    old: Flow, new: Flow
) -> None:
    before, after = dict(places(old.steps)), dict(places(new.steps))
    moves = moved_steps(old, new)
    assert moves.keys() == before.keys()
    kept = [(path, moved.path) for path, moved in moves.items() if moved.kept]
    assert len({path for _, path in kept}) == len(kept)
    for path, there in kept:
        one, other = before[path], after[there]
        assert type(one) is type(other)
        assert not isinstance(one, Send) or one.message == other.message  # type: ignore[union-attr]
        assert len(path) == len(there)
    same_level = [pair for pair in kept if len(pair[0]) == 1]
    assert sorted(same_level) == sorted(same_level, key=lambda pair: pair[1])


@given(flows())
def test_a_flow_that_was_not_changed_moves_nobody(flow: Flow) -> None:
    assert all(moved == (path, True) for path, moved in moved_steps(flow, flow).items())
