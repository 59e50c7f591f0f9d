"""Invented conditions, histories and people for the differential tests.

Times are multiples of an hour, a few hours apart, so that instants meet the edges of windows all
the time.
"""

from datetime import date
from typing import Any

import msgspec
from hypothesis import strategies as st

from schemas.events import Event
from schemas.rows import ListMembership, ProfileRow, Trait, Trigger
from streams.instants import DAY, HOUR
from tests.streams.segments import brute
from tests.streams.triggers import told

BASE = 1_767_225_600_000
"""2026-01-01T00:00Z."""

METRICS = st.sampled_from(["A", "A", "B"])
HOURS = st.integers(1, 6).map(lambda hours: f"{hours}h")
DATES = st.integers(0, 23).map(lambda hour: f"2026-01-01T{hour:02}:00")
COMPARISONS = st.one_of(
    st.tuples(st.sampled_from([">", ">=", "<", "<=", "=", "!="]), st.integers(0, 3)).map(
        lambda pair: f"{pair[0]} {pair[1]}"
    ),
    st.integers(0, 3),
    st.sampled_from(["1..2", "0..1", "2..5", "> 450"]),
)
LIMITS = st.one_of(
    st.tuples(st.sampled_from([">", ">=", "<", "<=", "=", "!="]), st.integers(-3, 6)).map(
        lambda pair: f"{pair[0]} {pair[1]}"
    ),
    st.sampled_from(["-1..2.5", "> 0.5", "= 1.5", "< 0.3333333"]),
)
WINDOWS = st.one_of(
    st.just({}),
    st.builds(lambda span: {"in_last": span}, HOURS),
    st.builds(lambda span: {"in_last": span}, HOURS),
    st.builds(lambda span: {"at_least_ago": span}, HOURS),
    st.builds(
        lambda near, more: {"ago": [f"{near}h", f"{near + more}h"]},
        st.integers(1, 3),
        st.integers(1, 3),
    ),
    st.builds(lambda at: {"before": at}, DATES),
    st.builds(lambda at: {"after": at}, DATES),
    st.builds(
        lambda ends: {"between": sorted(ends)}, st.lists(DATES, min_size=2, max_size=2, unique=True)
    ),
    st.just({"since": "flow_start"}),
)
WHERE = st.one_of(
    st.just({}),
    st.sampled_from(
        [
            {"where": {"size": "S"}},
            {"where": {"size": ["S", "M"]}},
            {"where": {"size": {"is_not": "S"}}},
            {"where": {"size": {"is_set": False}}},
            {"where": {"size": {"starts_with": "M"}}},
            {"where": {"price": ">= 2"}},
            {"where": {"price": "!= 2"}},
            {"where": {"price": [0, "x", 1]}},
            {"where": {"price": 2, "size": {"length": "< 2"}}},
            {"where": {"value": "> 1"}},
            {"where": {"items[].category": "shoes"}},
            {"where": {"items[].category": {"is_not": "shoes"}}},
            {"where": {"size": {"trigger": "size"}}},
            {"where": {"items[].category": {"trigger": "category"}, "price": "> 0"}},
        ]
    ),
)
DID = st.builds(
    lambda metric, times, window, where: {"did": metric, **times, **window, **where},
    METRICS,
    st.one_of(st.just({}), COMPARISONS.map(lambda c: {"times": c})),
    WINDOWS,
    WHERE,
)
DID_NOT = st.builds(
    lambda metric, window, where: {"did_not": metric, **window, **where}, METRICS, WINDOWS, WHERE
)
MEASURED = st.builds(
    lambda metric, measure, of, limit, window, where: {
        "did": metric,
        measure: {"of": of, "is": limit},
        **window,
        **where,
    },
    METRICS,
    st.sampled_from(brute.MEASURES),
    st.sampled_from(["value", "value", "price", "items[].price", "items[].quantity"]),
    LIMITS,
    WINDOWS,
    WHERE,
)
SELDOM = st.one_of(st.just({}), st.just({}), st.just({}), WHERE)
WITHIN = st.one_of(st.just({}), HOURS.map(lambda span: {"within": span}))
HAPPENED, MISSING = (
    st.builds(
        lambda metric, within, where, word=word: {word: metric, **within, **where},
        METRICS,
        WITHIN,
        SELDOM,
    )
    for word in ("did", "did_not")
)
STEPS = st.one_of(
    st.lists(st.one_of(HAPPENED, HAPPENED, MISSING), min_size=1, max_size=2),
    st.tuples(MISSING.filter(lambda step: "within" not in step), HAPPENED).map(list),
)
SEQUENCES = st.builds(
    lambda metric, where, steps, window: {"sequence": [{"did": metric, **where}, *steps], **window},
    METRICS,
    SELDOM,
    STEPS,
    WINDOWS,
)
OF_THEM = st.builds(
    lambda count, metric, where: {"of_newest": {"count": count, "did": metric, **where}},
    st.integers(1, 4),
    METRICS,
    WHERE.filter(lambda where: "trigger" not in str(where)),
)
NEWEST = st.one_of(
    st.builds(
        lambda of, times, where: {**of, **times, **where},
        OF_THEM,
        COMPARISONS.map(lambda c: {"times": c}),
        WHERE.filter(bool),
    ),
    st.builds(
        lambda of, metric, times, where, by: {**of, "did": metric, **times, **where, **by},
        OF_THEM,
        METRICS,
        st.one_of(st.just({}), COMPARISONS.map(lambda c: {"times": c})),
        WHERE,
        st.sampled_from([{}, {"by": "size"}, {"by": "price"}]),
    ),
)
BORN = ["2001-01-01", "1996-02-29", "2026-01-01T05:00", "2026-01-01T05:00:00Z", "2025-12-31", "x"]
DATE_LEAVES = st.one_of(
    st.sampled_from(["in_next", "in_last"]).flatmap(
        lambda word: HOURS.map(lambda span: {"trait": "born", word: span})
    ),
    st.sampled_from(["in_next", "in_last"]).flatmap(
        lambda word: st.sampled_from(["5h", "1d", "9d", "400d"]).map(
            lambda span: {"trait": "born", "anniversary": {word: span}}
        )
    ),
    st.sampled_from([1, 2, 12]).map(lambda m: {"trait": "born", "anniversary": {"month": m}}),
    DATES.flatmap(
        lambda at: st.sampled_from(
            [
                {"trait": "born", "before": at},
                {"trait": "born", "after": at},
                {"trait": "born", "between": ["2025-06-01", at]},
            ]
        )
    ),
)
HELD = st.builds(
    lambda plan, span: {"trait": "plan", "held": plan, "for": span},
    st.sampled_from(["gold", "tin"]),
    HOURS,
)
OTHERS = st.sampled_from(
    [
        {"trait": "plan", "is": "gold"},
        {"trait": "plan", "is_not": ["gold", "tin"]},
        {"trait": "plan", "matches": "^g.*d$"},
        {"trait": "age", "is": "18..30"},
        {"trait": "tags", "contains": "vip"},
        {"trait": "tags", "length": "> 1"},
        {"trait": "plan", "held": "gold", "for": "3h"},
        {"trait": "plan", "held": "tin", "for": "1h"},
        {"country": ["de", "FR"]},
        {"region": "eu"},
        {"near": {"lat": 52.5, "lon": 13.4}, "within": "300km"},
        {"in_list": "news"},
        {"in_list": "news", "joined_in_last": "2h"},
    ]
)
CONDITIONS = st.recursive(
    st.one_of(DID, DID, DID_NOT, MEASURED, MEASURED, SEQUENCES, NEWEST, DATE_LEAVES, OTHERS),
    lambda inner: st.builds(
        lambda word, parts: {word: parts},
        st.sampled_from(["all", "any", "none"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=5,
)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "size": st.sampled_from(["S", "M", "MM", "s"]),
        "send_id": st.sampled_from(["m1", "m2", "m3"]),
        "price": st.sampled_from([0, 1, 2, 2.5, "2", "2.50", "0", -1, "x", True, "0.0000001"]),
        "items": st.lists(
            st.sampled_from(
                [
                    {"category": "shoes", "price": 2, "quantity": 1},
                    {"category": "hats", "price": "1.50", "quantity": 3},
                    {"x": 1, "price": 0.0000001, "quantity": 1 << 44},
                    {"x": 1, "price": "many"},
                ]
            ),
            max_size=3,
        ),
    },
)


PLANS = st.sampled_from(["gold", "gold", "tin", None]).map(lambda plan: {"plan": plan})
SOME_PLANS = st.one_of(st.just({}), PLANS)


@st.composite
def histories(
    draw: st.DrawFn,
    least: int = 0,
    plans: st.SearchStrategy[dict[str, Any]] = SOME_PLANS,
    hours: int = 20,
) -> list[Event]:
    """In order of arrival; some happened long before they came."""
    count = draw(st.integers(least, 9))
    received = sorted(draw(st.lists(st.integers(0, hours), min_size=count, max_size=count)))
    history = [
        Event(
            schema=1,
            id=f"e{draw(st.integers(0, 2))}-{i}",
            metric=draw(METRICS),
            occurred_at=BASE + (hour - draw(st.sampled_from([0, 0, 0, 1, 2, 7]))) * HOUR,
            received_at=BASE + hour * HOUR,
            store="main",
            trust="server",
            identifiers=(),
            traits=draw(plans),
            traits_once={},
            properties=draw(PROPERTIES),
            value=draw(st.sampled_from([None, 0, 1_000_000, 2_500_000, -1_500_000, 333_333])),
            currency=draw(st.sampled_from([None, "EUR", "EUR", "USD"])),
            source="shop",
            backfill=False,
        )
        for i, hour in enumerate(received)
    ]
    return [exactly_held(history, i) for i in range(count)]


def exactly_held(history: list[Event], number: int) -> Event:
    """The event; without its plan where that is said the third time and some word came late: only
    the first and the last are kept.
    """
    event = history[number]
    words = [one for one in history if "plan" in one.traits]
    late = any(one.occurred_at != one.received_at for one in words)
    said = [one for one in history[:number] if one.traits == event.traits]
    return msgspec.structs.replace(event, traits={}) if late and len(said) > 1 else event


PEOPLE = st.builds(
    lambda traits, joined, left: ProfileRow(
        id="i1", traits=traits, lists={"news": ListMembership(BASE + joined, BASE + left)}
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "born": st.sampled_from([*BORN, 5]).map(lambda born: Trait(born, BASE, BASE)),
            "age": st.sampled_from([17, "18", 30.0, "x"]).map(lambda age: Trait(age, BASE, BASE)),
            "country": st.sampled_from(["DE", "fr", "US", ""]).map(
                lambda one: Trait(one, BASE, BASE)
            ),
            "lat": st.sampled_from([52, "53.5", 48]).map(lambda one: Trait(one, BASE, BASE)),
            "lon": st.sampled_from([13, "10.0", 9.99]).map(lambda one: Trait(one, BASE, BASE)),
            "tags": st.sampled_from([["vip"], ["vip", "new"], "vip club", []]).map(
                lambda tags: Trait(tags, BASE, BASE)
            ),
        },
    ),
    st.sampled_from([0, HOUR, 5 * HOUR]),
    st.sampled_from([0, 2 * HOUR]),
)
TRIGGERS = st.one_of(
    st.none(),
    st.builds(
        lambda number, index, hour, properties: Trigger(
            "event", f"e{number}-{index}", "A", BASE + hour * HOUR, None, None, told(**properties)
        ),
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(0, 6),
        st.fixed_dictionaries(
            {}, optional={"size": st.just("S"), "category": st.sampled_from(["shoes", "bags"])}
        ),
    ),
)

IN_SEGMENTS = CONDITIONS.filter(lambda where: "flow_start" not in str(where)).filter(
    lambda where: "trigger" not in str(where)
)


LIKED = st.sampled_from(
    [
        {"affinity": {"category": "shoes"}},
        {"affinity": {"category": ["hats", "shoes"]}},
        {"affinity": {"price": "1..2.5"}},
    ]
)


@st.composite
def shopping(draw: st.DrawFn) -> list[Event]:
    """Months of looking and buying, often by the same day, some of it told late."""
    days = draw(st.lists(st.integers(0, 120), min_size=2, max_size=14))
    late = st.sampled_from([0, 0, 1, 30, 89, 90, 91])
    return [
        Event(
            schema=1,
            id=f"e{i}",
            metric=draw(st.sampled_from(sorted(brute.POINTS))),
            occurred_at=BASE + (day - draw(late)) * DAY,
            received_at=BASE + day * DAY,
            store="main",
            trust="server",
            identifiers=(),
            traits={},
            traits_once={},
            properties={
                **draw(PROPERTIES),
                **draw(st.sampled_from([{}, {"category": "shoes"}, {"category": ["hats", 1]}])),
            },
            value=None,
            currency=None,
            source="shop",
            backfill=False,
        )
        for i, day in enumerate(sorted(days))
    ]


ZONES = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "America/Sao_Paulo"]
)
DAYS = st.dates(date(2015, 1, 1), date(2027, 12, 31))
WRITTEN = st.one_of(
    DAYS.map(str),
    st.sampled_from(["2016-02-29", "2018-11-04", "2024-02-29T23:30:00Z", "2026-10-25"]),
    st.builds(
        lambda day, hour, zone: f"{day}T{hour:02}:30:00{zone}",
        DAYS,
        st.integers(4, 23),
        st.sampled_from(["Z", "+05:30", "-08:00", ""]),
    ),
)
SPANS = st.sampled_from(["1h", "1d", "7d", "40d", "366d", "52w"])
DATED = st.one_of(
    st.builds(lambda w, s: {"trait": "born", w: s}, st.sampled_from(["in_next", "in_last"]), SPANS),
    st.builds(
        lambda word, span: {"trait": "born", "anniversary": {word: span}},
        st.sampled_from(["in_next", "in_last"]),
        SPANS,
    ),
    st.integers(1, 12).map(lambda month: {"trait": "born", "anniversary": {"month": month}}),
    DAYS.map(lambda day: {"trait": "born", "after": str(day)}),
    DAYS.map(lambda day: {"trait": "born", "before": f"{day}T12:00"}),
    st.lists(DAYS, min_size=2, max_size=2, unique=True).map(
        lambda days: {"trait": "born", "between": [str(day) for day in sorted(days)]}
    ),
)
