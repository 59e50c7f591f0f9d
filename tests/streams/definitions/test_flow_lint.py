"""Advice about flows: steps nobody comes to, sends that never go out, waits in vain."""

from typing import Any

import pytest

from streams.definitions.cost import Traffic
from streams.definitions.lint import advise
from streams.definitions.parse import parse
from streams.definitions.problems import show_path
from streams.definitions.program import Program


@pytest.mark.parametrize(
    ("address", "step", "warned"),
    [
        ("", {"channel": "email"}, ["steps[1]"]),
        ("", {"channel": "email", "transactional": True}, []),
        ("", {"channel": "sms"}, []),
        ("Beispielgasse 1, Berlin", {"channel": "email"}, []),
    ],
)
def test_marketing_e_mail_without_a_postal_address_is_warned_of_once_a_flow(
    address: str, step: dict[str, Any], warned: list[str]
) -> None:
    sends = [{"send": name, "template": "t", **step} for name in ("m", "n")]
    flow = {"flow": "f", "trigger": {"did": "X"}, "steps": [{"wait": "1h"}, *sends]}
    settings = {"store": "main", **({"address": address} if address else {})}
    parsed = parse([flow, settings])
    program = Program("", parsed.settings, parsed.definitions.values())
    problems = advise(parsed.definitions, program, Traffic())
    assert [show_path(problem.path) for problem in problems] == warned


EXIT = {"exit": "done"}
TEXT = {"send": "m", "channel": "sms", "template": "t"}


def at_night(start: str, end: str, **said: Any) -> dict[str, Any]:
    return {**TEXT, "window": {"from": start, "until": end}, **said}


def opened(*messages: str) -> dict[str, Any]:
    return {
        "wait_for": {"did": "Opened SMS", "where": {"message": list(messages)}},
        "at_most": "1d",
    }


NOBODY_COMES = "nobody comes to this step: all who come before it leave the flow"
NEVER_SENT = "this is never sent: the send's window lies within the quiet hours of sms"


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([], ["steps: there are no steps: whoever enters the flow leaves it at once"]),
        ([TEXT, EXIT], []),
        ([EXIT, TEXT, EXIT], [f"steps[1]: {NOBODY_COMES}"]),
        ([{"split": {"where": {"can_receive": "sms"}, "then": [EXIT]}}, TEXT], []),
        (
            [{"split": {"trigger": {"x": 1}, "then": [EXIT], "else": [TEXT, EXIT]}}, EXIT],
            [f"steps[1]: {NOBODY_COMES}"],
        ),
        (
            [{"split": {"random": {"a": 1, "b": 0}, "a": [EXIT, TEXT]}}, EXIT],
            [f"steps[0].split.a[1]: {NOBODY_COMES}", f"steps[1]: {NOBODY_COMES}"],
        ),
        (
            [{"wait_for": {"did": "X"}, "at_most": "1d", "met": [EXIT], "missed": [EXIT, TEXT]}],
            [f"steps[0].missed[1]: {NOBODY_COMES}"],
        ),
        ([TEXT, opened("m")], []),
        (
            [TEXT, opened("m", "mm", "other")],
            [
                "steps[1]: no flow has a send 'mm'; did you mean 'm'?",
                "steps[1]: no flow has a send 'other'",
            ],
        ),
        ([{"wait_for": {"did": "X", "where": {"message": "m"}}, "at_most": "1d"}], []),
        ([at_night("22:00", "23:00")], [f"steps[0]: {NEVER_SENT}"]),
        ([at_night("21:00", "08:00", quiet_hours="drop")], [f"steps[0]: {NEVER_SENT}"]),
        ([at_night("07:00", "08:01")], []),
        ([at_night("20:59", "21:30")], []),
        ([at_night("22:00", "23:00", quiet_hours="ignore")], []),
        ([at_night("22:00", "23:00", transactional=True)], []),
        ([at_night("22:00", "23:00", channel="push")], []),
    ],
)
def test_a_flow_is_warned_of_steps_nobody_comes_to_and_of_sends_that_never_go_out(
    steps: list[Any], told: list[str]
) -> None:
    parsed = parse([{"flow": "f", "trigger": {"did": "X"}, "steps": steps}, {"store": "main"}])
    program = Program("", parsed.settings, parsed.definitions.values())
    problems = advise(parsed.definitions, program, Traffic())
    assert [f"{show_path(one.path)}: {one.message}" for one in problems] == told
    assert {one.severity for one in problems} <= {"warning"}


def test_quiet_hours_on_some_days_leave_the_others() -> None:
    week = {"from": "00:00", "until": "24:00"}
    for days, warned in ((["mon", "sun"], 0), (["mon", "tue", "wed", "thu", "fri", "sat"], 1)):
        quiet = {"sms": {**week, "weekdays": days}}
        window = {"from": "10:00", "until": "11:00", "weekdays": ["fri"]}
        flow = {"flow": "f", "trigger": {"did": "X"}, "steps": [{**TEXT, "window": window}]}
        parsed = parse([flow, {"store": "main", "quiet_hours": quiet}])
        program = Program("", parsed.settings, parsed.definitions.values())
        assert len(advise(parsed.definitions, program, Traffic())) == warned
