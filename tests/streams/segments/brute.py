"""A second evaluator of conditions: plain Python over the whole list of events, written from the
language's description alone. Shares no code with streams/segments.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import product
from json import dumps, loads
from math import asin, cos, dist, radians, sin
from typing import Any
from zoneinfo import ZoneInfo

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


def amounts_of(events: list[Event], of: str, currency: str) -> list[int]:
    """In millionths: every value, every item's number, in the store's currency (a quantity is in
    none), as far as it can be kept exactly.
    """
    found = []
    for event in events:
        if event.currency not in (None, currency) and not of.endswith("quantity"):
            continue
        for value in at_path(event, of):
            number = number_of(value)
            if number is not None and (micros := number * 10**6).denominator == 1:
                found.append(int(micros))
    return [micros for micros in found if abs(micros) < 2**63]


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
            amounts = amounts_of(found, of, currency)
            if measure == "total":
                return compare(Fraction(sum(amounts), 10**6), wanted)
            if not amounts:
                return False
            if measure == "average":
                return compare(Fraction(sum(amounts), 10**6 * len(amounts)), wanted)
            return compare(Fraction((min if measure == "min" else max)(amounts), 10**6), wanted)
    return compare(len(found), leaf.get("times", ">= 1"))


def find(step: dict[str, Any], events: list[Event], trigger: Trigger | None) -> list[Event]:
    metric = step.get("did", step.get("did_not"))
    where = step.get("where", {})
    return [e for e in events if e.metric == metric and passes(e, where, trigger)]


def sequence(leaf: dict[str, Any], events: list[Event], now: int, trigger: Trigger | None) -> bool:
    """Every choice of one event for each step that happened is tried."""
    steps = leaf["sequence"]
    choices = [
        [e for e in find(step, events, trigger) if in_window(e, leaf, now, trigger)]
        for step in steps
        if "did" in step
    ]
    return any(in_order(steps, list(chosen), events, now, trigger) for chosen in product(*choices))


def in_order(
    steps: list[dict[str, Any]],
    chosen: list[Event],
    events: list[Event],
    now: int,
    trigger: Trigger | None,
) -> bool:
    last: Event | None = None
    since, waited = 0, False
    never: list[tuple[int, list[Event]]] = []
    for step in steps:
        within = millis(step["within"]) if "within" in step else None
        others = [e for e in find(step, events, trigger) if e is not last]
        if "did_not" in step and within is None:
            never.append((since, others))
        elif "did_not" in step:
            assert within is not None
            since, waited = since + within, True
            if now < since or any(since - within <= e.occurred_at < since for e in others):
                return False
        else:
            event = chosen.pop(0)
            at = event.occurred_at
            if last is not None:
                if at < since or (at == since and not waited):
                    return False
                if within is not None and at - since >= within:
                    return False
            if any(start <= e.occurred_at < at for start, found in never for e in found):
                return False
            last, since, waited, never = event, at, False, []
    return not any(start <= e.occurred_at for start, found in never for e in found)


def of_newest(leaf: dict[str, Any], events: list[Event], trigger: Trigger | None) -> bool:
    found = find(leaf["of_newest"], events, trigger)
    found.sort(key=lambda e: (e.occurred_at, e.id))
    newest = found[-leaf["of_newest"]["count"] :]
    times = leaf.get("times", ">= 1")
    if "did" not in leaf:
        return compare(sum(passes(e, leaf["where"], trigger) for e in newest), times)
    by = leaf.get("by", "send_id")
    others = sorted(find(leaf, events, trigger), key=lambda e: (e.occurred_at, e.id))
    led = [
        e
        for e in newest
        if any(
            (value := o.properties.get(by)) is not None
            and e.properties.get(by) is not None
            and equal(value, e.properties[by])
            and o.occurred_at >= e.occurred_at
            for o in others
        )
    ]
    for other in [o for o in others if o.properties.get(by) is None]:
        free = [e for e in newest if e not in led and e.occurred_at <= other.occurred_at]
        led += free[-1:]
    return compare(len(led), times)


def rank_figure(by: dict[str, Any], events: list[Event], now: int, currency: str) -> Any:
    """What a profile is ranked by; None: it is not ranked."""
    found = [
        event
        for event in find(by, events, None)
        if event.occurred_at <= now and in_window(event, by, now, None)
    ]
    measure = next((one for one in MEASURES if one in by), None)
    if measure is None:
        return Fraction(len(found)) if found else None
    amounts = amounts_of(found, by[measure], currency)
    if not amounts:
        return None
    if measure in ("min", "max"):
        return Fraction((min if measure == "min" else max)(amounts))
    return Fraction(sum(amounts), len(amounts) if measure == "average" else 1)


def rank_cut(figures: list[Any], percent: int, *, bottom: bool) -> Any:
    """The figure of the last one inside."""
    ranked = sorted(one for one in figures if one is not None)
    if not bottom:
        ranked.reverse()
    inside = 0
    while inside * 100 < len(ranked) * percent:
        inside += 1
    return ranked[inside - 1] if inside else None


EU = re.findall("..", "ATBEBGCYCZDEDKEEESFIFRGRHRHUIEITLTLULVMTNLPLPTROSESISK")


def where_it_is(leaf: dict[str, Any], row: ProfileRow) -> bool:
    """Country, region, distance: by the chord between two places, not by an angle."""
    said = {name: trait.value for name, trait in row.traits.items()}
    country = str(said.get("country", "")).upper()
    if "country" in leaf:
        return country != "" and country in [one.upper() for one in leaf["country"]]
    if "region" in leaf:
        return country in (EU if leaf["region"] == "eu" else ["US"])
    if "lat" not in said or "lon" not in said:
        return False
    one, other = (
        [cos(lat) * cos(lon), cos(lat) * sin(lon), sin(lat)]
        for lat, lon in (
            (radians(float(place["lat"])), radians(float(place["lon"])))
            for place in (said, leaf["near"])
        )
    )
    meters = 2 * 6_371_008.8 * asin(dist(one, other) / 2)
    return meters <= 1000 * int(leaf["within"].removesuffix("km"))


POINTS = {"Viewed Product": 1, "Added to Cart": 3, "Placed Order": 5}


def affinity(leaf: dict[str, Any], events: list[Event], now: int) -> bool:
    (path, wanted) = next(iter(leaf["affinity"].items()))
    liked = of_all = 0
    for metric, points in POINTS.items():
        newest = sorted((e.occurred_at, e.id, e) for e in events if e.metric == metric)[-50:]
        for at, _, event in newest:
            values = at_path(event, path) + at_path(event, f"items[].{path}")
            flat = [v for one in values for v in (one if isinstance(one, list) else [one])]
            named = [v for v in flat if isinstance(v, str | int | float)]
            if named and now < at + 90 * UNITS["d"]:
                of_all += points
                liked += points if one_test(named, "is", wanted) else 0
    return liked >= 3 and liked * 10 >= of_all * 3


# --- dates ---------------------------------------------------------------------------------------


def date_of(value: Any, zone: str) -> datetime | None:
    """With its zone: its own, or that of the store."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=ZoneInfo(zone)) if moment.tzinfo is None else moment


def anniversaries(day: date, zone: str) -> list[int]:
    """All of them, as milliseconds."""
    leap = (day.month, day.day) == (2, 29)
    found = []
    for year in range(2015, 2040):
        common = year % 4 != 0
        number = 28 if leap and common else day.day
        midnight = datetime(year, day.month, number, tzinfo=ZoneInfo(zone))
        found.append(int(midnight.timestamp() * 1000))
    return found


def trait_date(leaf: dict[str, Any], value: Any, now: int, zone: str) -> bool:
    moment = date_of(value, zone)
    if moment is None:
        return False
    if "anniversary" in leaf:
        asked, day = leaf["anniversary"], moment.astimezone(ZoneInfo(zone)).date()
        if "month" in asked:
            return day.month == int(asked["month"])
        return any(in_dates(asked, at, now, zone) for at in anniversaries(day, zone))
    return in_dates(leaf, int(moment.timestamp() * 1000), now, zone)


def in_dates(asked: dict[str, Any], at: int, now: int, zone: str) -> bool:
    if "in_next" in asked:
        return now < at <= now + millis(asked["in_next"])
    if "in_last" in asked:
        return now - millis(asked["in_last"]) < at <= now
    ends = [
        int(moment.timestamp() * 1000)
        for text in (asked.get("before"), asked.get("after"), *asked.get("between", ()))
        if (moment := date_of(text, zone)) is not None
    ]
    if "before" in asked:
        return at < ends[0]
    return at >= ends[0] and (len(ends) == 1 or at < ends[1])


DATE_KEYS = ("in_next", "in_last", "before", "after", "between", "anniversary")


def said(name: str, events: list[Event], row: ProfileRow) -> tuple[Any, int]:
    """The value of a trait, and since when it is held: since it was first said at or after the last
    other word. Of two words of one instant the larger counts. What no event says is in the row.
    """
    words = sorted(
        (event.occurred_at, dumps(event.traits[name])) for event in events if name in event.traits
    )
    if not words:
        there = row.traits.get(name)
        return (None, 0) if there is None else (there.value, there.since)
    value = words[-1][1]
    last_other = max((at for at, word in words if word != value), default=0)
    counted = dict(words)
    return loads(value), min(at for at in counted if counted[at] == value and at >= last_other)


def holds(
    condition: dict[str, Any],
    events: list[Event],
    now: int,
    *,
    row: ProfileRow,
    trigger: Trigger | None,
    currency: str = "EUR",
    zone: str = "UTC",
) -> bool:
    def again(part: dict[str, Any]) -> bool:
        return holds(part, events, now, row=row, trigger=trigger, currency=currency, zone=zone)

    if "all" in condition:
        return all(again(part) for part in condition["all"])
    if "any" in condition:
        return any(again(part) for part in condition["any"])
    if "none" in condition:
        return not any(again(part) for part in condition["none"])
    if "sequence" in condition:
        return sequence(condition, events, now, trigger)
    if "of_newest" in condition:
        return of_newest(condition, events, trigger)
    if any(word in condition for word in ("country", "region", "near")):
        return where_it_is(condition, row)
    if "affinity" in condition:
        return affinity(condition, events, now)
    if "trait" in condition:
        value, since = said(condition["trait"], events, row)
        if "held" in condition:
            held = equal(value, condition["held"])
            return held and now - since >= millis(condition["for"])
        tests = {key: value for key, value in condition.items() if key != "trait"}
        if any(key in condition for key in DATE_KEYS):
            return trait_date(condition, value, now, zone)
        return all(one_test([value], operator, wanted) for operator, wanted in tests.items())
    if "in_list" in condition:
        member = row.lists.get(condition["in_list"])
        if member is None or member.joined_at <= member.left_at:
            return False
        recent = condition.get("joined_in_last")
        return recent is None or now - millis(recent) < member.joined_at
    return did(condition, events, now, trigger, currency)
