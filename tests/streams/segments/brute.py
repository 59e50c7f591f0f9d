"""A second evaluator of conditions: plain Python over the whole list of events, written from the
language's description alone. Shares no code with streams/segments.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from schemas.events import Event
from schemas.rows import ProfileRow, Trigger

MEASURES = ("total", "average", "min", "max")
UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def millis(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def compare(number: Any, comparison: Any) -> bool:
    text = str(comparison)
    if ".." in text:
        low, high = text.split("..")
        return Fraction(low) <= number <= Fraction(high)
    found = re.match(r"(>=|<=|!=|=|>|<)?\s*(.*)", text)
    assert found is not None
    operator, limit = found[1] or "=", Fraction(found[2])
    answers = {
        ">": number > limit,
        ">=": number >= limit,
        "<": number < limit,
        "<=": number <= limit,
        "=": number == limit,
        "!=": number != limit,
    }
    return answers[operator]


def number_of(value: Any) -> Fraction | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, Fraction):
        return value
    try:
        return Fraction(Decimal(str(value)))
    except ArithmeticError:
        return None


def equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    a, b = number_of(value), number_of(wanted)
    return a == b if a is not None and b is not None else value == wanted


def at_path(bearer: Any, path: str) -> list[Any]:
    if path == "value":
        return [None if bearer.value is None else Fraction(bearer.value, 10**6)]
    if path.startswith("items[]."):
        items = bearer.properties.get("items", [])
        return [item[path[8:]] for item in items if path[8:] in item]
    return [bearer.properties.get(path)]


def one_test(values: list[Any], operator: str, wanted: Any) -> bool:
    if operator == "is":
        if isinstance(wanted, str) and re.match(r"[<>=!]|.*\d\.\.", wanted):
            if wanted.startswith("!="):
                return not any(equal(value, wanted[2:].strip()) for value in values)
            return any((n := number_of(v)) is not None and compare(n, wanted) for v in values)
        many = wanted if isinstance(wanted, list) else [wanted]
        return any(equal(value, one) for value in values for one in many)
    if operator == "is_not":
        return not one_test(values, "is", wanted)
    if operator == "is_set":
        return any(value is not None for value in values) is wanted
    texts = [value for value in values if isinstance(value, str)]
    if operator == "contains":
        in_lists = any(wanted in value for value in values if isinstance(value, list))
        return in_lists or any(wanted in text for text in texts)
    if operator == "starts_with":
        return any(text.startswith(wanted) for text in texts)
    if operator == "ends_with":
        return any(text.endswith(wanted) for text in texts)
    if operator == "matches":
        return any(re.search(wanted, text) for text in texts)
    assert operator == "length"
    return any(compare(len(v), wanted) for v in values if isinstance(v, str | list))


def passes(bearer: Any, where: dict[str, Any], trigger: Trigger | None) -> bool:
    for path, wanted in where.items():
        values = at_path(bearer, path)
        tests = wanted if isinstance(wanted, dict) else {"is": wanted}
        for operator, limit in tests.items():
            if operator == "trigger":
                others = [] if trigger is None else at_path(trigger, limit)
                if not any(
                    v is not None and o is not None and equal(v, o) for v in values for o in others
                ):
                    return False
            elif not one_test(values, operator, limit):
                return False
    return True


def in_window(event: Event, leaf: dict[str, Any], now: int, trigger: Trigger | None) -> bool:
    at = event.occurred_at
    if "in_last" in leaf:
        return now - millis(leaf["in_last"]) < at <= now
    if "at_least_ago" in leaf:
        return at <= now - millis(leaf["at_least_ago"])
    if "ago" in leaf:
        near, far = map(millis, leaf["ago"])
        return now - far < at <= now - near
    if "before" in leaf:
        return at < instant(leaf["before"])
    if "after" in leaf:
        return at >= instant(leaf["after"])
    if "between" in leaf:
        start, end = map(instant, leaf["between"])
        return start <= at < end
    if "since" in leaf:
        return trigger is not None and at >= trigger.occurred_at and event.id != trigger.event_id
    return True


def amount(event: Event, of: str, currency: str) -> int | None:
    if of == "value":
        return event.value if event.currency in (None, currency) else None
    value = number_of(event.properties.get(of))
    return None if value is None else int(value * 10**6)


def did(
    leaf: dict[str, Any], events: list[Event], now: int, trigger: Trigger | None, currency: str
) -> bool:
    metric = leaf.get("did", leaf.get("did_not"))
    found = [
        event
        for event in events
        if event.metric == metric
        and in_window(event, leaf, now, trigger)
        and passes(event, leaf.get("where", {}), trigger)
    ]
    if "did_not" in leaf:
        return not found
    for measure in MEASURES:
        if measure in leaf:
            of, wanted = leaf[measure].get("of", "value"), leaf[measure]["is"]
            amounts = [a for e in found if (a := amount(e, of, currency)) is not None]
            if measure == "total":
                return compare(Fraction(sum(amounts), 10**6), wanted)
            if not amounts:
                return False
            if measure == "average":
                return compare(Fraction(sum(amounts), 10**6 * len(amounts)), wanted)
            return compare(Fraction((min if measure == "min" else max)(amounts), 10**6), wanted)
    return compare(len(found), leaf.get("times", ">= 1"))


def holds(
    condition: dict[str, Any],
    events: list[Event],
    now: int,
    *,
    row: ProfileRow,
    trigger: Trigger | None,
    currency: str = "EUR",
) -> bool:
    def again(part: dict[str, Any]) -> bool:
        return holds(part, events, now, row=row, trigger=trigger, currency=currency)

    if "all" in condition:
        return all(again(part) for part in condition["all"])
    if "any" in condition:
        return any(again(part) for part in condition["any"])
    if "none" in condition:
        return not any(again(part) for part in condition["none"])
    if "trait" in condition:
        trait = row.traits.get(condition["trait"])
        if "held" in condition:
            return (
                trait is not None
                and equal(trait.value, condition["held"])
                and now - trait.since >= millis(condition["for"])
            )
        tests = {key: value for key, value in condition.items() if key != "trait"}
        value = None if trait is None else trait.value
        return all(one_test([value], operator, wanted) for operator, wanted in tests.items())
    if "in_list" in condition:
        member = row.lists.get(condition["in_list"])
        if member is None or member.joined_at <= member.left_at:
            return False
        recent = condition.get("joined_in_last")
        return recent is None or now - millis(recent) < member.joined_at
    return did(condition, events, now, trigger, currency)
