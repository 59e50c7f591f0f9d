"""Advice about flows: steps that nobody comes to, sends that never go out, waits in vain."""

from collections.abc import Iterator, Mapping, Sequence

from schemas import conditions as c
from schemas import definitions as d
from streams.definitions.problems import Path, Problem, near
from streams.definitions.references import walk
from streams.flows.plan import branches
from streams.sends.outcome import OUTCOMES

DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES


def advise_on_flows(
    definitions: Mapping[int, d.Definition], settings: d.StoreSettings
) -> Iterator[Problem]:
    """definitions: by the number of their document, without errors."""
    flows = [one for one in definitions.values() if isinstance(one, d.Flow)]
    messages = {
        step.message for flow in flows for step, _ in walk(flow.steps) if isinstance(step, d.Send)
    }
    for number, flow in definitions.items():
        if not isinstance(flow, d.Flow):
            continue
        if not flow.steps:
            message = "there are no steps: whoever enters the flow leaves it at once"
            yield Problem(("steps",), message, "warning", number)
        for path in _unreached(flow.steps, ("steps",)):
            message = "nobody comes to this step: all who come before it leave the flow"
            yield Problem(path, message, "warning", number)
        for step, path in walk(flow.steps, ("steps",)):
            if isinstance(step, d.Send) and not _has_time(step, settings):
                where = "send's window lies within the" if step.window else "whole day is in the"
                message = f"this is never sent: the {where} quiet hours of {step.channel}"
                yield Problem(path, message, "warning", number)
            if isinstance(step, d.WaitFor):
                for name in sorted(_messages_of(step.event) - messages):
                    message = f"no flow has a send '{name}'{near(name, messages)}"
                    yield Problem(path, message, "warning", number)
        yield from _without_postal_address(flow, number, settings)


def _messages_of(event: c.EventFilter) -> set[str]:
    """The messages whose outcome is waited for."""
    if event.metric not in OUTCOMES:
        return set()
    tests = [test for one in event.where if one.path == "message" for test in one.tests]
    return {str(name) for test in tests if isinstance(test, c.IsOneOf) for name in test.values}


def _unreached(steps: Sequence[d.Step], path: Path) -> Iterator[Path]:
    """The first step behind one at which everybody leaves, here and in branches."""
    for index, step in enumerate(steps):
        for name, branch in branches(step).items():
            yield from _unreached(branch, (*path, index, *_below(step), name))
        if _ends(step) and index + 1 < len(steps):
            yield (*path, index + 1)
            return


def _below(step: d.Step) -> Path:
    """The key below which the branches of a step are written."""
    return () if isinstance(step, d.WaitFor) else ("split",)


def _ends(step: d.Step) -> bool:
    """Does everybody who comes to this step leave the flow in it?"""
    if isinstance(step, d.Exit):
        return True
    taken = branches(step)
    if isinstance(step, d.SplitRandom):
        taken = {name: branch for name, branch in taken.items() if step.weights[name]}
    return bool(taken) and all(any(map(_ends, branch)) for branch in taken.values())


def _has_time(send: d.Send, settings: d.StoreSettings) -> bool:
    """Is there a minute of the week at which neither quiet hours nor the window object?"""
    quiet = settings.quiet_hours.get(send.channel)
    if quiet is None or send.transactional or send.quiet_hours == "ignore":
        return True
    allowed = set(range(WEEK_MINUTES)) if send.window is None else _minutes(send.window)
    return bool(allowed - _minutes(quiet))


def _minutes(hours: d.Hours) -> set[int]:
    """The minutes of a week that lie in the hours."""
    length = hours.end - hours.start
    if length <= 0:
        length += DAY_MINUTES
    starts = (d.WEEK.index(day) * DAY_MINUTES + hours.start for day in hours.weekdays)
    return {minute % WEEK_MINUTES for start in starts for minute in range(start, start + length)}


def _without_postal_address(
    flow: d.Flow, number: int, settings: d.StoreSettings
) -> Iterator[Problem]:
    if settings.address:
        return
    for step, path in walk(flow.steps, ("steps",)):
        if isinstance(step, d.Send) and step.channel == "email" and not step.transactional:
            message = "every marketing e-mail is dropped: the store has no `address`"
            yield Problem(path, message, "warning", number)
            break
