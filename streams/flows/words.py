"""Flows in plain words: what starts one, what each step does, when a branch is taken.

For pictures, previews and explanations; nothing is decided by these texts.
"""

from typing import assert_never

from schemas import definitions as d
from streams.definitions.durations import to_duration
from streams.definitions.products import ASKED
from streams.money import to_money
from streams.segments.texts import condition_text, event_text, filters_text

PERCENT = 10_000
"""Millionths in one percent."""


def trigger_words(trigger: d.FlowTrigger) -> str:
    """`did Started Checkout where value > 0`, `enters vip`, `3d before birthday at 10:00`."""
    match trigger:
        case d.OnEvent(event):
            return f"did {event_text(event)}"
        case d.OnSegment(segment):
            return f"enters {segment}"
        case d.OnList(name):
            return f"joins {name}"
        case d.OnDate(trait, before, at, every_year):
            lead = f"{to_duration(before)} before" if before else "on the day of"
            year = ", every year" if every_year else ""
            return f"{lead} {trait} at {clock_text(at)}{year}"
        case d.OnPriceDrop(by, who, amount):
            fall = to_money(amount) if amount else f"{by / PERCENT:g}%"
            return f"the price drops by {fall} after {_interest_words(who)}"
        case d.OnLowStock(below, who):
            return f"fewer than {below} are left after {_interest_words(who)}"
        case d.OnBackInStock(who):
            return f"back in stock after {_interest_words(who)}"
        case d.OnPrediction():
            return f"predicted {trigger.figure}"
        case _:
            assert_never(trigger)


def _interest_words(who: d.Interested) -> str:
    asked = f", or {ASKED} in_last {to_duration(who.asked)}" if who.asked else ""
    return f"{' or '.join(who.of)} in_last {to_duration(who.in_last)}{asked}"


def entry_words(flow: d.Flow) -> list[str]:
    """The rules of a flow beside its trigger, one a line."""
    told = []
    if flow.filter is not None:
        told.append(f"only if {condition_text(flow.filter)}")
    match flow.re_entry.rule:
        case "never":
            told.append("once in a life")
        case "after":
            told.append(f"again after {to_duration(flow.re_entry.after)}")
    if flow.key is not None:
        told.append(f"one run for each {flow.key}")
    if flow.goal is not None:
        told.append(f"ends with {event_text(flow.goal)}")
    if flow.holdout:
        told.append(f"{flow.holdout / PERCENT:g}% get nothing, to be compared with")
    return told


def step_words(step: d.Step) -> list[str]:
    """What a step does: a headline, then what else is to be said, one a line."""
    match step:
        case d.Wait(span):
            return [f"wait {to_duration(span)}"]
        case d.WaitUntil():
            return [_until_words(step)]
        case d.WaitForDate(path, before, after):
            lead = f"{to_duration(before)} before " if before else ""
            lead = f"{to_duration(after)} after " if after else lead
            return [f"wait until {lead}the trigger's {path}"]
        case d.Send():
            return _send_words(step)
        case d.WaitFor(event, at_most):
            return [f"wait for {event_text(event)}", f"{to_duration(at_most)} at most"]
        case d.Split(where):
            return [f"{condition_text(where)}?"]
        case d.SplitTrigger(where):
            return [f"{filters_text(where)}?", "of the triggering event"]
        case d.SplitRandom():
            return ["by chance"]
        case d.SetTraits():
            return [f"set {_pairs(step.set)}"] if step.set else [_list_words(step)]
        case d.Join(name):
            return [f"join {name}"]
        case d.Leave(name):
            return [f"leave {name}"]
        case d.Notify(to, message):
            return [f"notify {to}", message]
        case d.Start(flow):
            return [f"start {flow}"]
        case d.Exit(reason):
            return [f"exit: {reason}"]
        case _:
            assert_never(step)


def branch_words(step: d.Step, name: str) -> str:
    """When the branch of that name is taken."""
    match step:
        case d.Split() | d.SplitTrigger():
            return "yes" if name == "then" else "no"
        case d.WaitFor():
            return "it happens" if name == "met" else f"not within {to_duration(step.at_most)}"
        case d.SplitRandom(weights):
            return f"{name} {100 * weights[name] / sum(weights.values()):g}%"
        case _:
            return name


def clock_text(minutes: d.Minutes) -> str:
    """`15:00`."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _until_words(wait: d.WaitUntil) -> str:
    days = "" if not wait.days else f"{wait.days} day{'s' * (wait.days > 1)}, "
    zone = {"store": "", "profile": ", the profile's time"}.get(wait.zone, f", {wait.zone}")
    return f"wait {days}until {clock_text(wait.until)}{_weekdays(wait.weekdays)}{zone}"


def _send_words(send: d.Send) -> list[str]:
    told = [f"{send.channel}: {send.message}", f"template {send.template}"]
    if send.variants:
        total = sum(variant.weight for variant in send.variants.values())
        shares = (f"{name} {100 * one.weight / total:g}%" for name, one in send.variants.items())
        told.append(f"variants {', '.join(shares)}")
    if send.transactional:
        told.append("transactional")
    elif not send.smart_sending:
        told.append("without smart sending")
    if send.window is not None:
        hours = f"from {clock_text(send.window.start)} until {clock_text(send.window.end)}"
        told.append(f"{hours}{_weekdays(send.window.weekdays)}")
    if send.quiet_hours != "hold" and not send.transactional:
        told.append(
            {"drop": "dropped in quiet hours", "ignore": "also in quiet hours"}[send.quiet_hours]
        )
    if send.priority != "normal":
        told.append(f"{send.priority} priority")
    if send.filter is not None:
        told.append(f"only if {condition_text(send.filter)}")
    return told


def _weekdays(weekdays: tuple[str, ...]) -> str:
    return "" if weekdays == d.WEEK else f" on {', '.join(weekdays)}"


def _list_words(step: d.SetTraits) -> str:
    added = f"add {_pairs(step.add)}" if step.add else ""
    removed = f"remove {_pairs(step.remove)}" if step.remove else ""
    return ", ".join(filter(None, (added, removed)))


def _pairs(values: dict[str, object]) -> str:
    return ", ".join(
        f"{name} = {'nothing' if value is None else value}" for name, value in values.items()
    )
