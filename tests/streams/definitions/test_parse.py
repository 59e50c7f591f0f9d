"""What is wrong with definitions is said at once, with what was found and what was expected."""

from typing import Any

import pytest

from schemas import conditions as c
from schemas import definitions as d
from streams.definitions.parse import parse
from streams.definitions.problems import DefinitionsError, show_path
from streams.definitions.program import compile_program


def said(*documents: Any, known_metrics: list[str] | None = None) -> list[str]:
    problems = parse(documents, known_metrics=known_metrics).problems
    return [f"{show_path(problem.path)}: {problem.message}" for problem in problems]


def segment(where: Any, name: str = "s") -> dict[str, Any]:
    return {"segment": name, "where": where}


def flow(*steps: Any, name: str = "f", **more: Any) -> dict[str, Any]:
    return {"flow": name, "trigger": {"did": "Started Checkout"}, "steps": list(steps), **more}


SEND = {"send": "m", "channel": "email", "template": "t"}

WRONG: list[tuple[dict[str, Any], str]] = [
    (flow({"wait": "4 hous"}), "steps[0].wait: '4 hous' is not a duration such as 4h or 3d"),
    (flow({"wait": 4}), "steps[0].wait: 4 is not a duration such as 4h or 3d"),
    (
        flow({**SEND, "chanel": "email"}),
        "steps[0].chanel: 'chanel' is no key of a send; did you mean 'channel'?",
    ),
    (
        flow({**SEND, "channel": "emial"}),
        "steps[0].channel: 'emial' is not one of email, sms, push, whatsapp, in_app; did you mea",
    ),
    (flow({"snd": "m"}), "steps[0]: 'snd' is not a step; did you mean 'send'?"),
    (flow(SEND, SEND), "steps[1].send: there is a message 'm' in this flow already"),
    (flow({"start": "g"}), "steps[0]: there is no flow 'g'"),
    (flow({"start": "f"}), "steps: the flow starts itself in a circle: f -> f"),
    (flow(name="Cart"), "flow: 'Cart' is not the id of a flow: small letters, digits and hyphens"),
    (flow(holdout="5"), "holdout: '5' is not a share such as 10%"),
    (
        flow({"wait": {"until": "25:00"}}),
        "steps[0].wait.until: '25:00' is not a time of day such as \"15:00\"",
    ),
    (
        flow({"wait": {"until": "15:00", "zone": "Mars/Base"}}),
        "steps[0].wait.zone: 'Mars/Base' is not one of profile, store, or a time zone",
    ),
    (
        flow({"split": {"random": {"a": 1}, "b": []}}),
        "steps[0].split.b: 'b' has no weight under `random`",
    ),
    (
        {"flow": "f", "trigger": {"date": "birthday", "before": "36h"}, "steps": []},
        "trigger.before: a date is a day: `before` is whole days; `at` says when",
    ),
    (
        {"flow": "f", "trigger": {"date": "birthday", "at": "24:00"}, "steps": []},
        "trigger.at: '24:00' is the next day",
    ),
    (
        {"flow": "f", "trigger": {"enters": "x"}, "steps": [], "key": "order_id"},
        "key: only a flow that an event or a product starts has a key",
    ),
    (segment({"did": "A", "times": "x"}), "where.times: 'x' is not a comparison such as"),
    (segment({"did": "A", "times": -1}), "where.times: -1 compares with what is no count"),
    (
        segment({"did": "A", "in_last": "3d", "since": "flow_start"}),
        "where.since: a leaf has one window; this has in_last and since",
    ),
    (
        segment({"did": "A", "times": 2, "total": {"is": "> 5"}}),
        "where.total: one leaf asks one thing; put times and total in two under `all`",
    ),
    (segment({"did": "A", "ago": ["9d", "3d"]}), "where.ago: the first end of the window must"),
    (segment({"did": "A", "in_last": "0d"}), "where.in_last: '0d' is no time at all"),
    (segment({"did": "A", "after": "2026-13-01"}), "where.after: '2026-13-01' is not a date"),
    (segment({"trait": "city"}), "where: a trait needs a test: one of is, is_not, contains"),
    (segment({"trait": "city", "matches": "("}), "where.matches: '(' is not a regular expression"),
    (segment({"trait": "age", "is": "> old"}), "where.is: '> old' compares with 'old': no number"),
    *(
        (
            {"flow": "f", "trigger": {"price_drop": {"by": by}}, "steps": []},
            f"trigger.price_drop.by: {shown} is neither a share such as 10% nor an amount",
        )
        for by, shown in (("10 €", "'10 €'"), (0, "0"), (-5, "-5"), ("110%", "'110%'"))
    ),
    (
        {"flow": "f", "trigger": {"price_drop": {"by": "0.0000001"}}, "steps": []},
        "trigger.price_drop.by: '0.0000001' is neither a share such as 10% nor an amount",
    ),
    (segment({"all": []}), "where.all: a list of 0; 1 to 200 were expected"),
    (segment({"in_segment": "t"}), "where: there is no segment 't'"),
    (segment({"in_list": "l"}), "where: there is no list 'l'"),
    (segment({"in_segment": "s"}), "where: the segments go round in a circle: s -> s"),
    (segment({"did": "A", "since": "flow_start"}), "where: 'since: flow_start' means some"),
    (
        segment({"did": "A", "where": {"id": {"trigger": "id"}}}),
        "where.where.id: a comparison with the trigger means something in flows only",
    ),
    (
        segment({"sequence": [{"did_not": "A"}, {"did": "B"}]}),
        "where.sequence[0]: a sequence begins with what was done: `did`",
    ),
    (
        segment({"sequence": [{"did": "A", "within": "1h"}, {"did": "B"}]}),
        "where.sequence[0].within: nothing is before the first step",
    ),
    (
        segment({"sequence": [{"did": "A"}, {"did": "B", "where": {"x": {"trigger": "x"}}}]}),
        "where.sequence[1].where.x: a comparison with the trigger means something in flows only",
    ),
    (
        segment({"of_newest": {"count": 3, "did": "A"}, "times": 2}),
        "where: say what is asked of the newest: `where`, or `did` they led to",
    ),
    (
        segment({"of_newest": {"count": 3, "did": "A"}, "where": {"x": 1}, "by": "x"}),
        "where.by: `by` says what the newest have in common with `did`",
    ),
    (
        flow(
            filter={
                "of_newest": {"count": 3, "did": "A", "where": {"x": {"trigger": "x"}}},
                "did": "B",
            }
        ),
        "filter.of_newest.where: which events are the newest cannot depend on the trigger",
    ),
    (
        segment({"of_newest": {"count": 1, "did": "A"}, "where": {"x": {"trigger": "x"}}}),
        "where.where.x: a comparison with the trigger means something in flows only",
    ),
    (
        segment({"trait": "born", "between": ["2026-02-01", "2026-01-01"]}),
        "where.between: the first end of the window must be the smaller one",
    ),
    (
        segment({"trait": "born", "anniversary": {"in_next": "7d", "month": 2}}),
        "where.anniversary.month: 'month' is no key of an anniversary",
    ),
    (
        segment({"trait": "born", "anniversary": {"month": 13}}),
        "where.anniversary.month: 13 is not",
    ),
    (segment({"rfm": "champion"}), "where.rfm: 'champion' is not one of champions, loyal"),
    (
        segment({"top": "5%", "by": {"did": "A", "min": "value", "max": "value"}}),
        "where.by.max: a ranking is by one thing; this is by min and max",
    ),
    (
        segment({"top": "5%", "by": {"did": "A", "where": {"x": {"trigger": "x"}}}}),
        "where.by: all profiles are ranked by the same: a trigger has no part in it",
    ),
    (
        segment({"bottom": "5%", "by": {"did": "A", "since": "flow_start"}}),
        "where.by: all profiles are ranked by the same: a trigger has no part in it",
    ),
    (segment("vip"), "where: 'vip' is not a condition: a map was expected"),
    (
        flow({"wait": {"until": "15:00", "weekdays": []}}),
        "steps[0].wait.weekdays: an empty list is not a list of weekdays: mon, tue",
    ),
    ({"segmnt": "s"}, ": 'segmnt' is no kind of definition: store, list, segment, flow, campaign"),
    ({"list": "l", "opt_in": "tripple"}, "opt_in: 'tripple' is not one of double, single, none"),
    ({"store": "main", "currency": "euro"}, "currency: 'euro' is not a currency such as EUR"),
    (
        {"store": "main", "consent": {"sms": "not_denied"}},
        "consent.sms: 'not_denied' is for email only; say explicit",
    ),
    (
        {"store": "main", "identifiers": {"kinds": {"card": "strong", "email": "weak"}}},
        "identifiers.kinds.email: 'email' has a meaning already; name another",
    ),
    (
        {"store": "main", "identifiers": {"kinds": {"traits": "strong"}}},
        "identifiers.kinds.traits: 'traits' has a meaning already; name another",
    ),
]


@pytest.mark.parametrize(("document", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_problem_names_its_place_and_what_was_expected(
    document: dict[str, Any], message: str
) -> None:
    problems = said(document, segment({"did": "A"}, "x"))
    assert [one for one in problems if one.startswith(message)], problems


def test_all_problems_are_found_at_once() -> None:
    wrong = flow({"wait": "soon"}, {"send": "A", "channel": "fax"}, nam="x", filter={"any": [{}]})
    assert len(said(wrong, {"segment": "s"}, {"list": "L"})) == 8


def test_a_metric_that_no_event_ever_had_is_a_warning_with_near_names() -> None:
    document = segment({"did": "Place Order"})
    problems = parse([document], known_metrics=["Placed Order", "Opened Email"]).problems
    assert problems[0].severity == "warning"
    assert "did you mean 'Placed Order'?" in problems[0].message
    assert compile_program([document], version="v1").segments["s"].rank == 0


def test_circles_of_segments_are_named_once() -> None:
    around = [
        segment({"in_segment": "b"}, "a"),
        segment({"in_segment": "c"}, "b"),
        segment({"any": [{"in_segment": "a"}, {"did": "A"}]}, "c"),
        segment({"in_segment": "a"}, "d"),
    ]
    assert said(*around) == ["where: the segments go round in a circle: a -> b -> c -> a"]


def test_errors_stop_the_compiler_with_every_problem() -> None:
    with pytest.raises(DefinitionsError, match="4 hous") as caught:
        compile_program([flow({"wait": "4 hous"}, {"wait": "x"})], version="v1")
    assert len(caught.value.problems) == 2


def test_defaults_depend_on_the_trigger() -> None:
    triggers: list[dict[str, str]] = [
        {"did": "A"},
        {"enters": "x"},
        {"joins": "l"},
        {"date": "d"},
        {"date": "d", "every": "year"},
    ]
    flows = [{"flow": f"f{i}", "trigger": t, "steps": []} for i, t in enumerate(triggers)]
    program = compile_program([*flows, {"list": "l"}, segment({"did": "A"}, "x")], version="v1")
    found = [(flow.re_entry.rule, flow.stay) for flow in program.flows.values()]
    assert found == [
        ("always", False),
        ("never", True),
        ("never", True),
        ("never", True),
        ("always", True),
    ]


def test_dates_without_a_zone_are_in_the_stores() -> None:
    where = {"did": "A", "after": "2026-07-01", "where": {"x": "2..5"}}
    parsed = parse([segment(where), {"store": "main", "zone": "Europe/Berlin"}])
    condition = parsed.definitions[0]
    assert isinstance(condition, d.Segment)
    assert isinstance(condition.where, c.Did)
    assert condition.where.window == c.After(1_782_856_800_000)


def test_the_whole_flow_of_the_manual_is_read() -> None:
    steps: list[Any] = [
        {"wait": "4h"},
        {
            **SEND,
            "smart_sending": True,
            "window": {"from": "09:00", "until": "18:00", "weekdays": ["mon", "fri"]},
            "variants": {"a": {"weight": 50, "subject": "A"}, "b": {"weight": 50}},
        },
        {
            "wait_for": {"did": "Opened Email", "where": {"message": "m"}},
            "at_most": "24h",
            "met": [{"exit": "opened"}],
            "missed": [{**SEND, "send": "m2", "channel": "sms"}],
        },
        {"wait": {"days": 1, "until": "15:00", "weekdays": ["mon"], "zone": "profile"}},
        {"wait": {"for": {"trigger": "appointment_at"}, "before": "1d"}},
        {"split": {"where": {"in_segment": "x"}, "then": [], "else": [{"exit": "no"}]}},
        {"split": {"trigger": {"value": "> 100"}, "then": [], "else": []}},
        {"split": {"random": {"a": 50, "b": 50}, "a": [], "b": []}},
        {"set": {"last_reminded": "now"}, "add": {"tags": "x"}},
        {"join": "l"},
        {"notify": {"to": "support", "message": "One-star review"}},
        {"exit": "done"},
    ]
    document = flow(
        *steps,
        filter={"none": [{"did": "Placed Order", "since": "flow_start"}]},
        re_entry={"after": "7d"},
        key="order_id",
        holdout="5%",
        goal={"did": "Placed Order"},
    )
    found = [document, {"list": "l"}, segment({"did": "A"}, "x")]
    assert said(*found) == []
    read = compile_program(found, version="v1").flows["f"]
    assert [type(step).__name__ for step in read.steps[:6]] == [
        "Wait",
        "Send",
        "WaitFor",
        "WaitUntil",
        "WaitForDate",
        "Split",
    ]
    assert (read.holdout, read.re_entry) == (50_000, d.ReEntry("after", 7 * 86_400_000))


REFUSED: list[dict[str, Any]] = [
    {"predicted": "churn_probability", "is": "> 0.7"},
]


@pytest.mark.parametrize("where", REFUSED)
def test_what_is_not_run_yet_is_understood_and_refused(where: dict[str, Any]) -> None:
    (problem,) = said(segment(where))
    assert problem.startswith("where")
    assert problem.endswith(" is not supported yet")


def test_a_trigger_that_does_not_run_yet_is_understood_and_refused() -> None:
    trigger = {"predicted": "expected_next_order", "before": "3d"}
    (problem,) = said({"flow": "f", "trigger": trigger, "steps": []})
    assert problem.endswith("is not supported yet")


def test_campaigns_are_understood_and_refused() -> None:
    campaign = {
        "campaign": "black-friday",
        "to": {"any": [{"did": "A"}]},
        "not_to": {"did": "B"},
        "at": "2026-11-27T09:00",
        "zone": "profile",
        "spread": {"share": "20%", "every": "1h"},
        "sends": {"channel": "email", "template": "bf", "variants": {"a": {}}},
    }
    assert said(campaign) == [": a campaign is not supported yet"]


MORE_WRONG: list[tuple[dict[str, Any], str]] = [
    (segment({"near": {"lat": "x"}, "within": "50 miles"}), "where.near.lat: 'x' is not a number"),
    (
        segment({"near": {"lat": 91, "lon": 0}, "within": "1m"}),
        "where.near.lat: 91 is not a number",
    ),
    (
        segment({"near": {"postal_code": "1000", "country": "US"}, "within": "1m"}),
        "where.near.postal_code: no postal code '1000' is known in US",
    ),
    (
        segment({"near": {"postal_code": True, "country": "US"}, "within": "1m"}),
        "where.near.postal_code: true is not a postal code",
    ),
    (
        segment({"near": {"postal_code": "A", "country": "ZZ"}, "within": "1m"}),
        "where.near.country: the postal codes of 'ZZ' are not known; say `lat` and `lon`",
    ),
    (
        segment({"near": {}, "within": 50}),
        "where.within: 50 is not a distance such as 50km or 30mi",
    ),
    (
        segment({"affinity": ["shoes"]}),
        "where.affinity: a list is not one property such as {category: shoes}",
    ),
    (
        segment({"affinity": {"category": "shoes", "brand": "Acme"}}),
        "where.affinity: a map is not one property such as {category: shoes}",
    ),
    (
        segment({"affinity": {"items[].category": "shoes"}}),
        "where.affinity.items[].category: 'items[].category' is not the name of a property",
    ),
    (
        segment({"affinity": {"category": "!= shoes"}}),
        "where.affinity.category: say what it likes; what it does not like is under `none`",
    ),
    (segment({"did": "A", "where": {"x": {}}}), "where.where.x: an empty map tests nothing"),
    (segment({"did": "A", "where": {}}), "where.where: an empty map is not a map of properties"),
    (segment({"did": "A", "where": {"x": {"iz": 1}}}), "where.where.x.iz: 'iz' is not one of is"),
    (segment({"did": "A", "where": {"x": None}}), "where.where.x: nothing is not a text, a number"),
    (segment({"did": "A", "where": {"[]": 1}}), "where.where.[]: '[]' is not the name of a prop"),
    (segment({"trait": "x", "contains": [1]}), "where.contains: a list is not a text, a number"),
    (segment({"trait": "x", "is_set": "yes"}), "where.is_set: 'yes' is neither true nor false"),
    (segment({"trait": "x", "matches": 5}), "where.matches: 5 is not a regular expression"),
    (
        segment({"did": "A", "in_last": "99999w"}),
        "where.in_last: '99999w' is longer than a hundred years",
    ),
    (
        segment({"did": "A", "times": "5..2"}),
        "where.times: '5..2' is an empty range: the smaller end comes first",
    ),
    (segment({"did": "A", "after": 2026}), "where.after: 2026 is not a date"),
    (segment({"did": "A", "after": "20260101"}), "where.after: '20260101' is not a date"),
    (
        segment({"near": {"postal_code": 1067, "country": "DE"}, "within": "5km"}),
        "where.near.postal_code: no postal code '1067' is known in DE; a zero in front",
    ),
    (segment({"country": []}), "where.country: a list of 0; 1 to 1000 were expected"),
    (segment({"did": True}), "where.did: true is not the name of a metric"),
    (segment({"sample": "101%"}), "where.sample: '101%' is not a share"),
    (segment({}), "where: nothing is not a condition; one is told by affinity"),
    (flow({"wait": {"until": "24:00"}}), "steps[0].wait.until: '24:00' is no time to wait for"),
    (flow({"wait": {"until": "24:01"}}), "steps[0].wait.until: '24:01' is not a time of day"),
    (
        flow({"wait": {"until": "9:00", "weekdays": ["monday"]}}),
        "steps[0].wait.weekdays: 'monday' is not one of mon, tue",
    ),
    (
        flow({**SEND, "window": {"from": "09:00", "until": "09:00"}}),
        "steps[0].window: `from` and `until` are the same",
    ),
    (
        flow({**SEND, "variants": {"a": {"weight": 0}}}),
        "steps[0].variants: at least one variant needs a weight above 0",
    ),
    (
        flow({**SEND, "winner": {"by": "Clicked Email", "at_least": 500, "probability": 0.9}}),
        "steps[0].winner: a rule for the winner is not supported yet",
    ),
    (
        flow({**SEND, "winner": {"by": "Clicked Email", "at_least": 0.5, "probability": 2}}),
        "steps[0].winner.probability: 2 is not a probability such as 0.9",
    ),
    (
        flow({"split": {"random": {"a": 0}, "a": []}}),
        "steps[0].split.random: at least one branch needs a weight above 0",
    ),
    (flow("stop"), "steps[0]: 'stop' is not a step: a map was expected"),
    (flow(filter={"did": "A", "where": "x"}), "filter.where: 'x' is not a map of properties"),
    (
        {"store": "main", "zone": "asia/tokyo"},
        "zone: 'asia/tokyo' is not a time zone such as Europe/Berlin; did you mean 'Asia/Tokyo'?",
    ),
    ({"store": "main", "zone": "../etc"}, "zone: '../etc' is not a time zone such as Europe"),
    ({"store": "main", "zone": "Europe"}, "zone: 'Europe' is not a time zone such as Europe"),
    ({"store": "main", "zone": "zone.tab"}, "zone: 'zone.tab' is not a time zone"),
    ({"store": "main", "zone": "tzdata"}, "zone: 'tzdata' is not a time zone"),
    ({"store": "main", "smart_sending": "1h"}, "smart_sending: '1h' is not windows of smart"),
    (
        {"store": "main", "identifiers": {"kinds": []}},
        "identifiers.kinds: an empty list is not a map",
    ),
]


@pytest.mark.parametrize(("document", "message"), MORE_WRONG, ids=[m for _, m in MORE_WRONG])
def test_every_reader_says_what_it_expected(document: dict[str, Any], message: str) -> None:
    problems = said(document)
    assert [one for one in problems if one.startswith(message)], problems


def test_what_is_no_map_or_is_there_twice_is_said() -> None:
    assert said(["x"]) == [": a list is no definition: a map was expected"]
    once = segment({"did": "A"})
    assert said(once, once) == ["segment: there is a segment 's' already"]
    stores = [{"store": "main"}, {"store": "other"}]
    assert said(*stores) == ["store: there are settings of a store already"]


def test_conditions_nest_to_a_limit() -> None:
    where: dict[str, Any] = {"did": "A"}
    for _ in range(60):
        where = {"all": [where]}
    (problem,) = said(segment(where))
    assert problem.endswith("this is nested deeper than 100 levels")


def test_a_program_knows_its_flows_and_the_conditions_in_them() -> None:
    steps: list[Any] = [
        {"wait_for": {"did": "Opened Email", "where": {"message": "m"}}, "at_most": "24h"},
        {"split": {"trigger": {"value": "> 100"}, "then": [], "else": []}},
        {"split": {"where": {"did": "A"}, "then": [], "else": []}},
        {**SEND, "filter": {"did": "B"}},
    ]
    program = compile_program([flow(*steps)], version="v1")
    (found,) = program.flows.values()
    _, _, on_profile, send = found.steps
    assert isinstance(on_profile, d.Split)
    assert isinstance(send, d.Send)
    assert send.filter is not None
    assert {f.content.event.metric for f in program.features.values()} == {"A", "B"}
    assert program.condition(on_profile.where).needs != program.condition(send.filter).needs


def test_what_a_definition_with_errors_of_shape_names_is_looked_for_as_well() -> None:
    broken = flow(
        {"wait": "4 hous"},
        {"join": "nowhere"},
        {"split": {"where": {"in_segment": "gone"}, "then": [{"start": "other"}]}},
        {"set": {"start": "noon", "list": "long"}},
    )
    broken["filter"] = {"did": "Placed Order", "where": {"list": "a property"}}
    told = said(broken, {"list": "news"})
    assert any("'4 hous' is not a duration" in one for one in told)
    assert [one for one in told if "there is no" in one] == [
        "steps[1].join: there is no list 'nowhere'",
        "steps[2].split.where.in_segment: there is no segment 'gone'",
        "steps[2].split.then[0].start: there is no flow 'other'",
    ]


def test_a_model_of_attribution_that_is_not_there_is_an_error() -> None:
    told = said({"store": "main", "attribution": {"models": ["last", "data-driven"]}})
    (problem,) = told
    assert problem.startswith("attribution.models: ")
    assert "data-driven" in problem
