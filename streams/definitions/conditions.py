"""The table of conditions: one entry a leaf. What is not run yet is read, then refused."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, get_args

from schemas import conditions as c
from streams.definitions.places import COUNTRY, NEAR
from streams.definitions.problems import Path, show
from streams.definitions.readers import (
    CHANNELS,
    Choice,
    Compares,
    Duration,
    Id,
    Reader,
    Reading,
    Share,
    Text,
    Value,
    When,
    Whole,
)
from streams.definitions.shapes import Field, Keyed, ListOf, Named, Shape, no_error_since
from streams.definitions.values import TESTS, Where

METRIC = Text("the name of a metric such as Placed Order")
CONDITION = Named("condition")
CHANNEL = Choice(*CHANNELS)
WINDOW_KEYS = ("in_last", "before", "after", "between", "at_least_ago", "ago", "since")

WINDOWS: dict[str, Field] = {
    "in_last": Field(Duration()),
    "before": Field(When()),
    "after": Field(When()),
    "between": Field(ListOf(When(), least=2, most=2)),
    "at_least_ago": Field(Duration()),
    "ago": Field(ListOf(Duration(), least=2, most=2)),
    "since": Field(Choice("flow_start")),
}


def check_window(values: dict[str, Any], at: Path, reading: Reading) -> None:
    """One window a leaf, and its ends in order."""
    said = [key for key in WINDOW_KEYS if key in values]
    if len(said) > 1:
        reading.refuse((*at, said[1]), f"a leaf has one window; this has {' and '.join(said)}")
    for key in ("between", "ago"):
        if key in values and values[key][0] >= values[key][1]:
            reading.refuse((*at, key), "the first end of the window must be the smaller one")


def take_window(values: dict[str, Any]) -> c.Window | None:
    """Take the window out of what was read."""
    key = next((key for key in WINDOW_KEYS if key in values), None)
    if key is None:
        return None
    said = values.pop(key)
    match key:
        case "in_last":
            return c.InLast(said)
        case "before":
            return c.Before(said)
        case "after":
            return c.After(said)
        case "between":
            return c.Between(*said)
        case "at_least_ago":
            return c.AtLeastAgo(said)
        case "ago":
            return c.Ago(*said)
    return c.SinceFlowStart()


# --- what was done -------------------------------------------------------------------------------

OF_PATH = Text("`value` or the name of a numeric property")
MEASURED = Shape(
    "a measure such as {of: value, is: '> 500'}",
    {"of": Field(OF_PATH), "is": Field(Compares(), required=True)},
    lambda of="value", **rest: (of, rest["is"]),
)
MEASURES = get_args(c.Measure)
AT_LEAST_ONCE = c.Compare(">=", Decimal(1))
NEVER = c.Compare("=", Decimal(0))


def check_did(values: dict[str, Any], at: Path, reading: Reading) -> None:
    check_window(values, at, reading)
    said = [key for key in ("times", *MEASURES) if key in values]
    if len(said) > 1:
        reading.refuse(
            (*at, said[1]), f"one leaf asks one thing; put {' and '.join(said)} in two under `all`"
        )


def make_did(did: str, where: tuple[c.Filter, ...] = (), **values: Any) -> c.Condition:
    event, window = c.EventFilter(did, where), take_window(values)
    for measure in MEASURES:
        if measure in values:
            of, comparison = values[measure]
            return c.Measured(event, measure, of, comparison, window)
    return c.Did(event, values.get("times", AT_LEAST_ONCE), window)


def make_did_not(did_not: str, where: tuple[c.Filter, ...] = (), **values: Any) -> c.Condition:
    return c.Did(c.EventFilter(did_not, where), NEVER, take_window(values))


EVENT_FIELDS = {"did": Field(METRIC, required=True), "where": Field(Where())}
EVENT = Shape(
    "an event such as {did: Placed Order}",
    EVENT_FIELDS,
    lambda did, where=(): c.EventFilter(did, where),
)
DID = Shape(
    "a `did` condition",
    {
        **EVENT_FIELDS,
        "times": Field(Compares(whole=True)),
        **{measure: Field(MEASURED) for measure in MEASURES},
        **WINDOWS,
    },
    make_did,
    checks=check_did,
)
DID_NOT = Shape(
    "a `did_not` condition",
    {"did_not": Field(METRIC), "where": Field(Where()), **WINDOWS},
    make_did_not,
    checks=check_window,
)


def make_step(where: tuple[c.Filter, ...] = (), **values: Any) -> c.SequenceStep:
    happened = "did" in values
    metric = values["did"] if happened else values["did_not"]
    return c.SequenceStep(c.EventFilter(metric, where), happened, values.get("within"))


def check_sequence(values: dict[str, Any], at: Path, reading: Reading) -> None:
    check_window(values, at, reading)
    first = values["sequence"][0]
    if not first.happened:
        reading.refuse((*at, "sequence", 0), "a sequence begins with what was done: `did`")
    elif first.within is not None:
        reading.refuse((*at, "sequence", 0, "within"), "nothing is before the first step")


_STEP_FIELDS = {"where": Field(Where()), "within": Field(Duration())}
SEQUENCE = Shape(
    "a sequence",
    {
        "sequence": Field(
            ListOf(
                Keyed(
                    "a step of a sequence",
                    {
                        word: Shape("a step", {word: Field(METRIC), **_STEP_FIELDS}, make_step)
                        for word in ("did", "did_not")
                    },
                ),
                least=2,
                most=10,
            )
        ),
        **WINDOWS,
    },
    lambda sequence, **values: c.Sequence(sequence, take_window(values)),
    checks=check_sequence,
)


def make_of_newest(
    of_newest: Any, did: str | None = None, where: tuple[c.Filter, ...] = (), **values: Any
) -> c.OfNewest:
    count, of = of_newest
    times, by = values.get("times", AT_LEAST_ONCE), values.get("by", "send_id")
    if did is None:
        return c.OfNewest(count, of, None, times, where)
    return c.OfNewest(count, of, c.EventFilter(did, where), times, by=by)


def compares_with_trigger(where: tuple[c.Filter, ...]) -> bool:
    return any(isinstance(test, c.SameAsTrigger) for one in where for test in one.tests)


def check_of_newest(values: dict[str, Any], at: Path, reading: Reading) -> None:
    _, of = values["of_newest"]
    if compares_with_trigger(of.where):
        message = (
            "which events are the newest cannot depend on the trigger; what is asked of them can"
        )
        reading.refuse((*at, "of_newest", "where"), message)
    if "did" not in values and "where" not in values:
        reading.refuse(at, "say what is asked of the newest: `where`, or `did` they led to")
    if "by" in values and "did" not in values:
        reading.refuse((*at, "by"), "`by` says what the newest have in common with `did`")


OF_NEWEST = Shape(
    "an `of_newest` condition",
    {
        "of_newest": Field(
            Shape(
                "the newest events, such as {count: 10, did: Received Email}",
                {"count": Field(Whole(1, 100), required=True), **EVENT_FIELDS},
                lambda count, did, where=(): (count, c.EventFilter(did, where)),
            )
        ),
        "did": Field(METRIC),
        "where": Field(Where()),
        "times": Field(Compares(whole=True)),
        "by": Field(Text("the name of a property", r"[^\[\]]+")),
    },
    make_of_newest,
    checks=check_of_newest,
)

# --- who it is -----------------------------------------------------------------------------------

TRAIT = Text("the name of a trait")


def check_tests(values: dict[str, Any], at: Path, reading: Reading) -> None:
    if not any(key in values for key in TESTS):
        reading.refuse(at, f"a trait needs a test: one of {', '.join(TESTS)}")


TRAIT_IS = Shape(
    "a `trait` condition",
    {"trait": Field(TRAIT), **{key: Field(test) for key, test in TESTS.items()}},
    lambda trait, **tests: c.TraitIs(trait, tuple(tests.values())),
    checks=check_tests,
)
TRAIT_HELD = Shape(
    "a `held` condition",
    {
        "trait": Field(TRAIT),
        "held": Field(Value(), "value"),
        "for": Field(Duration(), "span", required=True),
    },
    c.TraitHeld,
)
DATE_WINDOWS: dict[str, tuple[Reader, Callable[[Any], Any]]] = {
    "in_next": (Duration(), c.InNext),
    "in_last": (Duration(), c.InLast),
    "before": (When(), c.Before),
    "after": (When(), c.After),
    "between": (ListOf(When(), least=2, most=2), lambda ends: c.Between(*ends)),
}
TRAIT_DATES = {
    f"trait+{key}": Shape(
        "a condition on a date",
        {"trait": Field(TRAIT), key: Field(reads)},
        lambda trait, make=make, key=key, **values: c.TraitDate(trait, make(values[key])),
        checks=check_window,
    )
    for key, (reads, make) in DATE_WINDOWS.items()
}
ANNIVERSARY_WINDOWS: dict[str, tuple[Reader, Callable[[Any], Any]]] = {
    "in_next": DATE_WINDOWS["in_next"],
    "in_last": DATE_WINDOWS["in_last"],
    "month": (Whole(1, 12), c.InMonth),
}
ANNIVERSARY = Shape(
    "an anniversary",
    {
        "trait": Field(TRAIT),
        "anniversary": Field(
            Keyed(
                "an anniversary such as {in_next: 7d}",
                {
                    key: Shape(
                        "an anniversary",
                        {key: Field(reads)},
                        lambda make=make, key=key, **values: make(values[key]),
                    )
                    for key, (reads, make) in ANNIVERSARY_WINDOWS.items()
                },
            ),
            "window",
        ),
    },
    c.Anniversary,
)

# --- where they belong ---------------------------------------------------------------------------

LIST, SEGMENT, FLOW = Id("the id of a list"), Id("the id of a segment"), Id("the id of a flow")
CONSENT_WORDS = get_args(c.ConsentWord)
_CAN_RECEIVE = {"can_receive": Field(CHANNEL, "channel"), "list": Field(LIST)}
_CONSENT = {
    "consent": Field(CHANNEL, "channel"),
    "is": Field(Choice(*CONSENT_WORDS), "state", required=True),
    "method": Field(Text()),
    "in_last": Field(Duration()),
}


class Liking:
    """`{category: shoes}`, `{brand: [Acme, Bolt]}`, `{price: "20..50"}`: (property, its test)."""

    KEYS = Text("the name of a property such as category", r"[^\[\]]+")

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        if not isinstance(found, dict) or len(found) != 1:
            message = f"{show(found)} is not one property such as {{category: shoes}}"
            return reading.refuse(at, message)
        (path, wanted), before = next(iter(found.items())), len(reading.problems)
        self.KEYS.read(path, (*at, str(path)), reading)
        test = TESTS["is"].read(wanted, (*at, str(path)), reading)
        if isinstance(test, c.IsNoneOf):
            reading.refuse((*at, path), "say what it likes; what it does not like is under `none`")
        return (path, (test,)) if no_error_since(reading, before) else None

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": self.KEYS.schema(),
            "additionalProperties": TESTS["is"].schema(),
            "minProperties": 1,
            "maxProperties": 1,
        }


def make_ranked(by: Any, *, bottom: bool, share: int) -> c.Ranked:
    event, measure, of, window = by
    return c.Ranked(share, bottom, event, measure, of, window)


def make_ranking(did: str, where: tuple[c.Filter, ...] = (), **values: Any) -> Any:
    window = take_window(values)
    measure, of = next(iter(values.items()), (None, None))
    return c.EventFilter(did, where), measure, of, window


def check_ranking(values: dict[str, Any], at: Path, reading: Reading) -> None:
    check_window(values, at, reading)
    said = [measure for measure in MEASURES if measure in values]
    if len(said) > 1:
        reading.refuse(
            (*at, said[1]), f"a ranking is by one thing; this is by {' and '.join(said)}"
        )
    if "since" in values or compares_with_trigger(values.get("where", ())):
        reading.refuse(at, "all profiles are ranked by the same: a trigger has no part in it")


RANKING = Shape(
    "a ranking such as {did: Placed Order, total: value, in_last: 365d}",
    {**EVENT_FIELDS, **{m: Field(OF_PATH) for m in MEASURES}, **WINDOWS},
    make_ranking,
    checks=check_ranking,
)


def ranked(word: str, *, bottom: bool) -> Shape:
    return Shape(
        f"`{word}`",
        {word: Field(Share(), "share"), "by": Field(RANKING, required=True)},
        lambda **values: make_ranked(bottom=bottom, **values),
    )


def tree(word: str, of: Any) -> Shape:
    return Shape(
        f"`{word}`",
        {word: Field(ListOf(CONDITION, least=1, most=200), "conditions")},
        of,
    )


LEAVES: dict[str, Any] = {
    "all": tree("all", c.AllOf),
    "any": tree("any", c.AnyOf),
    "none": tree("none", c.NoneOf),
    "sequence": SEQUENCE,
    "of_newest": OF_NEWEST,
    "top": ranked("top", bottom=False),
    "bottom": ranked("bottom", bottom=True),
    "did": DID,
    "did_not": DID_NOT,
    "trait+held": TRAIT_HELD,
    "trait+anniversary": ANNIVERSARY,
    **TRAIT_DATES,
    "trait": TRAIT_IS,
    "can_receive": Shape("a `can_receive` condition", _CAN_RECEIVE, c.CanReceive),
    "consent": Shape("a `consent` condition", _CONSENT, c.ConsentIs),
    "in_list": Shape(
        "an `in_list` condition",
        {"in_list": Field(LIST, "list"), "joined_in_last": Field(Duration())},
        c.InList,
    ),
    "in_segment": Shape(
        "an `in_segment` condition",
        {"in_segment": Field(SEGMENT, "segment"), "for": Field(Duration(), "span")},
        c.InSegment,
    ),
    "near": NEAR,
    "region": Shape("a `region` condition", {"region": Field(Choice("eu", "us"))}, c.InRegion),
    "country": Shape(
        "a `country` condition",
        {"country": Field(ListOf(COUNTRY, single=True, least=1), "countries")},
        c.InCountry,
    ),
    "predicted": Shape(
        "a `predicted` condition",
        {
            "predicted": Field(Text(), "figure"),
            "is": Field(Compares(), "comparison", required=True),
        },
        c.Predicted,
        yet=False,
    ),
    "rfm": Shape(
        "an `rfm` condition",
        {"rfm": Field(ListOf(Choice(*get_args(c.RfmGroup)), single=True, least=1), "groups")},
        c.RfmIs,
    ),
    "affinity": Shape(
        "an `affinity` condition",
        {"affinity": Field(Liking())},
        lambda affinity: c.HasAffinity(*affinity),
    ),
    "sample": Shape(
        "a `sample` condition",
        {"sample": Field(Share(), "share"), "seed": Field(Text())},
        c.Sampled,
    ),
    "trigger": Shape(
        "a `trigger` condition", {"trigger": Field(Where(), "where")}, c.TriggerPasses
    ),
    "in_flow": Shape(
        "an `in_flow` condition",
        {"in_flow": Field(FLOW, "flow"), "in_last": Field(Duration())},
        c.InFlow,
    ),
    "received": Shape(
        "a `received` condition",
        {"received": Field(CHANNEL, "channel"), **WINDOWS},
        lambda channel, **values: c.Received(channel, take_window(values)),
        checks=check_window,
    ),
}
CONDITION.reader = Keyed("a condition", LEAVES)
