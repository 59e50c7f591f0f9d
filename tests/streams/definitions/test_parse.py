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
        {"flow": "f", "trigger": {"date": "birthday"}, "steps": []},
        "trigger: a trigger on a date is not supported yet",
    ),
    (
        {"flow": "f", "trigger": {"enters": "x"}, "steps": [], "key": "order_id"},
        "key: only a flow that an event starts has a key",
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
    (segment({"all": []}), "where.all: a list is not a list of 1 to 200"),
    (segment({"in_segment": "t"}), "where: there is no segment 't'"),
    (segment({"in_list": "l"}), "where: there is no list 'l'"),
    (segment({"in_segment": "s"}), "where: the segments go round in a circle: s -> s"),
    (segment({"did": "A", "since": "flow_start"}), "where: 'since: flow_start' means some"),
    (
        segment({"did": "A", "where": {"id": {"trigger": "id"}}}),
        "where.where.id: a comparison with the trigger means something in flows only",
    ),
    (segment({"sequence": [{"did": "A"}, {"did": "B"}]}), "where: a sequence is not supported yet"),
    (segment({"rfm": "champions"}), "where: an `rfm` condition is not supported yet"),
    (segment("vip"), "where: 'vip' is not a condition: a map was expected"),
    ({"segmnt": "s"}, ": 'segmnt' is no kind of definition: store, list, segment, flow, campaign"),
    ({"list": "l", "opt_in": "tripple"}, "opt_in: 'tripple' is not one of double, single, none"),
    ({"store": "main", "currency": "euro"}, "currency: 'euro' is not a currency such as EUR"),
    (
        {"store": "main", "consent": {"sms": "not_denied"}},
        "consent.sms: 'not_denied' is for email only; say explicit",
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
    triggers = [{"did": "A"}, {"enters": "x"}, {"joins": "l"}]
    flows = [{"flow": f"f{i}", "trigger": t, "steps": []} for i, t in enumerate(triggers)]
    program = compile_program([*flows, {"list": "l"}, segment({"did": "A"}, "x")], version="v1")
    found = [(flow.re_entry.rule, flow.stay) for flow in program.flows.values()]
    assert found == [("always", False), ("never", True), ("never", True)]


def test_maps_of_settings_are_merged_with_the_defaults_and_null_switches_off() -> None:
    document = {
        "store": "main",
        "zone": "Europe/Berlin",
        "smart_sending": {"email": None, "sms": "1h", "across": "18h"},
        "quiet_hours": {"sms": None, "email": {"from": "22:00", "until": "07:00"}},
        "attribution": {"models": ["last", "linear"], "email_open": None},
        "sms_keywords": {"stop": ["ALTO"], "match": {"stop": "exact"}},
    }
    settings = parse([document]).settings
    assert settings.smart_sending == {"sms": 3_600_000, "push": 86_400_000, "whatsapp": 86_400_000}
    assert settings.smart_sending_across == 18 * 3_600_000
    assert settings.quiet_hours == {"email": d.Hours(22 * 60, 7 * 60)}
    assert "email_open" not in settings.attribution.windows
    assert settings.attribution.windows["email_click"] == 5 * 86_400_000
    assert settings.sms_keywords.match == {"stop": "exact", "start": "exact", "help": "exact"}
    assert settings.sms_keywords.start == ("START", "UNSTOP")


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
