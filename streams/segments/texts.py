"""Conditions as text, in the language of definitions: for evidence and for pictures."""

from decimal import Decimal

from schemas import conditions as c
from streams.definitions.comparisons import show_comparison, show_number
from streams.definitions.durations import to_duration
from streams.instants import to_timestamp


def condition_text(condition: c.Condition) -> str:
    """A condition on one line: `did_not Placed Order and (in_segment vip or in_list fans)`."""
    match condition:
        case c.AllOf(parts):
            return _joined(" and ", parts)
        case c.AnyOf(parts):
            return _joined(" or ", parts)
        case c.NoneOf(parts):
            return f"none of: {', '.join(map(_inner_text, parts))}"
        case _:
            return leaf_text(condition)


def _joined(word: str, parts: tuple[c.Condition, ...]) -> str:
    if len(parts) == 1:
        return condition_text(parts[0])
    return word.join(map(_inner_text, parts))


def _inner_text(part: c.Condition) -> str:
    text = condition_text(part)
    return f"({text})" if isinstance(part, c.AllOf | c.AnyOf | c.NoneOf) else text


def leaf_text(condition: c.Condition) -> str:
    """The leaf in the language of definitions: `did Placed Order >= 2 in_last 60d`."""
    match condition:
        case c.Did(event, times, window):
            if times == c.Compare("=", Decimal(0)):
                return f"did_not {event_text(event)}{_window_text(window)}"
            once = times == c.Compare(">=", Decimal(1))
            many = "" if once else f" {show_comparison(times)}"
            return f"did {event_text(event)}{many}{_window_text(window)}"
        case c.Measured(event, measure, of, comparison, window):
            compared = f"{measure} of {of} {show_comparison(comparison)}"
            return f"did {event_text(event)} {compared}{_window_text(window)}"
        case c.Sequence(steps, window):
            return f"sequence {', '.join(map(_step_text, steps))}{_window_text(window)}"
        case c.OfNewest():
            return _newest_text(condition)
        case c.TraitIs(trait, tests):
            return f"trait {trait} {' and '.join(map(_test_text, tests))}"
        case c.TraitDate(trait, window):
            return f"trait {trait}{_window_text(window)}"
        case c.Anniversary(trait, window):
            return f"trait {trait} anniversary{_window_text(window)}"
        case c.TraitHeld(trait, value, span):
            return f"trait {trait} held {_scalar_text(value)} for {to_duration(span)}"
        case c.CanReceive(channel, name):
            return f"can_receive {channel}{f' list {name}' if name else ''}"
        case c.ConsentIs(channel, state, method, span):
            by = f" method {method}" if method else ""
            return f"consent {channel} is {state}{by}{_span_text('in_last', span)}"
        case c.InList(name, span):
            return f"in_list {name}{_span_text('joined_in_last', span)}"
        case c.InSegment(name, span):
            return f"in_segment {name}{_span_text('for', span)}"
        case c.InCountry(countries):
            return f"country {', '.join(countries)}"
        case c.InRegion(region):
            return f"region {region}"
        case c.Sampled(share, seed):
            return f"sample {share / 10_000:g}%{f' seed {seed}' if seed else ''}"
        case c.TriggerPasses(where):
            return f"trigger {filters_text(where)}"
        case c.InFlow(name, span):
            return f"in_flow {name}{_span_text('in_last', span)}"
        case c.Near(latitude, longitude, meters, said):
            place = said or f"{show_number(latitude)}, {show_number(longitude)}"
            within = f"{meters // 1000}km" if meters % 1000 == 0 else f"{meters}m"
            return f"near {place} within {within}"
        case c.Ranked():
            return _ranked_text(condition)
        case c.HasAffinity(path, tests):
            return f"affinity {path} {' and '.join(map(_test_text, tests))}"
        case c.RfmIs(groups):
            return f"rfm {', '.join(groups)}"
        case c.Received(channel, window):
            return f"received {channel}{_window_text(window)}"
        case _:
            return str(condition.__struct_config__.tag)


def _ranked_text(condition: c.Ranked) -> str:
    """`top 10% by did Placed Order total of value in_last 365d`."""
    word = "bottom" if condition.bottom else "top"
    by = f" {condition.measure} of {condition.of}" if condition.measure else ""
    what = f"did {event_text(condition.event)}{by}{_window_text(condition.window)}"
    return f"{word} {condition.share / 10_000:g}% by {what}"


def _step_text(step: c.SequenceStep) -> str:
    word = "did" if step.happened else "did_not"
    return f"{word} {event_text(step.event)}{_span_text('within', step.within)}"


def _newest_text(condition: c.OfNewest) -> str:
    """`of_newest 10 Received Email did Opened Email >= 5`."""
    once = condition.times == c.Compare(">=", Decimal(1))
    if condition.event is not None:
        by = "" if condition.by == "send_id" else f" by {condition.by}"
        asked = f" did {event_text(condition.event)}{by}"
    else:
        asked = f" {filters_text(condition.where)}" if condition.where else ""
    many = "" if once else f" {show_comparison(condition.times)}"
    return f"of_newest {condition.count} {event_text(condition.of)}{asked}{many}"


def event_text(event: c.EventFilter) -> str:
    """`Viewed Product where category is shoes`."""
    return f"{event.metric} where {filters_text(event.where)}" if event.where else event.metric


def filters_text(filters: tuple[c.Filter, ...]) -> str:
    """`category is shoes and price >= 50`."""
    return " and ".join(f"{f.path} {' and '.join(map(_test_text, f.tests))}" for f in filters)


def _test_text(test: c.ValueTest) -> str:
    match test:
        case c.IsOneOf(values):
            return f"is {', '.join(map(_scalar_text, values))}"
        case c.IsNoneOf(values):
            return f"is_not {', '.join(map(_scalar_text, values))}"
        case c.IsCompared(comparison):
            return show_comparison(comparison)
        case c.Contains(_, text):
            return f"contains {text}"
        case c.StartsWith(text):
            return f"starts_with {text}"
        case c.EndsWith(text):
            return f"ends_with {text}"
        case c.Matches(pattern):
            return f"matches {pattern}"
        case c.IsSet(wanted):
            return "is_set" if wanted else "is not set"
        case c.HasLength(comparison):
            return f"length {show_comparison(comparison)}"
        case c.SameAsTrigger(path):
            return f"is the trigger's {path}"


def _scalar_text(value: c.Scalar) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case _:
            return show_number(value)


def _span_text(word: str, span: int | None) -> str:
    return "" if span is None else f" {word} {to_duration(span)}"


def _window_text(window: c.Window | c.InNext | c.InMonth | None) -> str:
    match window:
        case None:
            return ""
        case c.InLast(span):
            return f" in_last {to_duration(span)}"
        case c.InNext(span):
            return f" in_next {to_duration(span)}"
        case c.InMonth(month):
            return f" month {month}"
        case c.AtLeastAgo(span):
            return f" at_least_ago {to_duration(span)}"
        case c.Ago(near, far):
            return f" ago {to_duration(near)}..{to_duration(far)}"
        case c.Before(at):
            return f" before {to_timestamp(at)}"
        case c.After(at):
            return f" after {to_timestamp(at)}"
        case c.Between(start, end):
            return f" between {to_timestamp(start)} and {to_timestamp(end)}"
        case c.SinceFlowStart():
            return " since flow_start"
