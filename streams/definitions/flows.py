"""The table of flows and campaigns: triggers, steps. What is not run yet is read, then refused."""

from decimal import Decimal
from typing import Any

from schemas import definitions as d
from streams.definitions.comparisons import to_number
from streams.definitions.conditions import CHANNEL, CONDITION, EVENT, FLOW, LIST, METRIC, SEGMENT
from streams.definitions.durations import to_share
from streams.definitions.problems import Path, show
from streams.definitions.readers import (
    Choice,
    ClockTime,
    Duration,
    Flag,
    Id,
    Probability,
    Raw,
    Reading,
    Share,
    Text,
    Weekdays,
    Whole,
    Zone,
)
from streams.definitions.shapes import ByType, Field, Keyed, ListOf, MapOf, Named, Shape
from streams.definitions.values import PATH, Where
from streams.money import to_micros


def single(word: str, reads: Any, make: Any, to: str | None = None, what: str = "step") -> Shape:
    """A step or a trigger that is one key."""
    return Shape(f"a `{word}` {what}", {word: Field(reads, to)}, make)


STEP = Named("step")
STEPS = ListOf(STEP, most=200)
PROPERTY = Text("the name of a property", PATH)
NOTHING = Duration(least=0)


def check_date(values: dict[str, Any], at: Path, reading: Reading) -> None:
    if values.get("before", 0) % d.DAY:
        reading.refuse((*at, "before"), "a date is a day: `before` is whole days; `at` says when")
    if values.get("at") == 24 * 60:
        reading.refuse((*at, "at"), "'24:00' is the next day; say \"00:00\" and a day less before")


# --- what starts a flow --------------------------------------------------------------------------


def of_products(word: str, what: str, fields: dict[str, Field], make: Any) -> Shape:
    """A trigger from the catalogue. of, in_last: who is told (`Interested`)."""
    who = {"of": Field(ListOf(METRIC, single=True, least=1, most=10)), "in_last": Field(Duration())}
    return single(
        word, Shape(what, {**fields, **who}, make), lambda **read: read[word], what="trigger"
    )


class Fall:
    """How far a price falls: a share of it (`10%`), or an amount (`5`, `"4.99"`)."""

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        share = to_share(found) if isinstance(found, str) else None
        if share is not None:
            return {"by": share}
        amount = to_number(found)
        if amount is None or not SMALLEST <= amount <= LARGEST or amount % SMALLEST:
            what = "neither a share such as 10% nor an amount such as 5"
            return reading.refuse(at, f"{show(found)} is {what}")
        return {"amount": to_micros(amount)}

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [Share().schema(), {"type": ["number", "string"], "exclusiveMinimum": 0}]}


SMALLEST, LARGEST = Decimal("0.001"), Decimal(1_000_000_000)
"""Amounts by which a price may have to fall; they are multiples of the smallest."""


TRIGGERS: dict[str, Any] = {
    "did": Shape("a trigger", EVENT.fields, lambda **event: d.OnEvent(EVENT.make(**event))),
    "enters": Shape("a trigger", {"enters": Field(SEGMENT, "segment")}, d.OnSegment),
    "joins": Shape("a trigger", {"joins": Field(LIST, "list")}, d.OnList),
    "date": Shape(
        "a trigger on a date",
        {
            "date": Field(Text("the name of a trait"), "trait"),
            "before": Field(NOTHING),
            "at": Field(ClockTime()),
            "every": Field(Choice("year")),
        },
        lambda every=None, **date: d.OnDate(every_year=every is not None, **date),
        checks=check_date,
    ),
    "price_drop": of_products(
        "price_drop",
        "a price drop",
        {"by": Field(Fall(), required=True)},
        lambda by, **who: d.OnPriceDrop(**by, who=d.Interested(**who)),
    ),
    "low_stock": of_products(
        "low_stock",
        "low stock",
        {"below": Field(Whole(1, 1_000_000), required=True)},
        lambda below, **who: d.OnLowStock(below, d.Interested(**who)),
    ),
    "back_in_stock": of_products(
        "back_in_stock",
        "back in stock",
        {},
        lambda **who: d.OnBackInStock(d.Interested(**who, asked=d.ASKED_FOR)),
    ),
    "predicted": Shape(
        "a `predicted` trigger",
        {
            "predicted": Field(Text("the name of a prediction"), "figure"),
            "before": Field(NOTHING, required=True),
        },
        d.OnPrediction,
        yet=False,
    ),
}

# --- steps ---------------------------------------------------------------------------------------


def check_until(values: dict[str, Any], at: Path, reading: Reading) -> None:
    if values["until"] == 24 * 60:
        reading.refuse((*at, "until"), "'24:00' is no time to wait for; say \"00:00\"")


WAITS = Keyed(
    "a wait such as 4h or {days: 1, until: '15:00'}",
    {
        "for": Shape(
            "a wait for a date of the trigger",
            {
                "for": Field(
                    Shape(
                        "a property of the trigger",
                        {"trigger": Field(PROPERTY, required=True)},
                        lambda trigger: trigger,
                    ),
                    "path",
                ),
                "before": Field(NOTHING),
                "after": Field(NOTHING),
            },
            d.WaitForDate,
        ),
        "until": Shape(
            "a wait until a time of day",
            {
                "until": Field(ClockTime()),
                "days": Field(Whole(0, 3650)),
                "weekdays": Field(Weekdays()),
                "zone": Field(Zone("profile", "store")),
            },
            d.WaitUntil,
            checks=check_until,
        ),
    },
)


def make_wait(wait: Any) -> Any:
    return d.Wait(wait) if isinstance(wait, int) else wait


def check_hours(values: dict[str, Any], at: Path, reading: Reading) -> None:
    if values["start"] == values["end"]:
        reading.refuse(at, "`from` and `until` are the same: the hours are empty")


HOURS = Shape(
    "hours such as {from: '09:00', until: '18:00'}",
    {
        "from": Field(ClockTime(), "start", required=True),
        "until": Field(ClockTime(), "end", required=True),
        "weekdays": Field(Weekdays()),
    },
    d.Hours,
    checks=check_hours,
)
VARIANT = Shape(
    "a variant",
    {"weight": Field(Whole(0, 1_000_000)), "subject": Field(Text()), "template": Field(Text())},
    d.Variant,
)
WINNER = Shape(
    "a rule for the winner",
    {
        "by": Field(METRIC, required=True),
        "at_least": Field(Whole(1, 1_000_000_000), required=True),
        "probability": Field(Probability(), required=True),
    },
    d.Winner,
    yet=False,
)
MESSAGE = Id("the name of a message")


def check_send(values: dict[str, Any], at: Path, reading: Reading) -> None:
    variants = values.get("variants")
    if variants is not None and not any(variant.weight for variant in variants.values()):
        reading.refuse((*at, "variants"), "at least one variant needs a weight above 0")


SEND_FIELDS: dict[str, Field] = {
    "channel": Field(CHANNEL, required=True),
    "template": Field(Text("the name of a template"), required=True),
    "subject": Field(Text()),
    "smart_sending": Field(Flag()),
    "quiet_hours": Field(Choice("hold", "drop", "ignore")),
    "transactional": Field(Flag()),
    "priority": Field(Choice("low", "normal", "high")),
    "patience": Field(NOTHING),
    "filter": Field(CONDITION),
    "window": Field(HOURS),
    "variants": Field(MapOf(Id("the name of a variant"), VARIANT)),
    "winner": Field(WINNER),
}
SEND = Shape(
    "a send",
    {"send": Field(MESSAGE, "message"), **SEND_FIELDS},
    d.Send,
    checks=check_send,
)


class Random:
    """`{random: {a: 50, b: 50}, a: [...], b: [...]}`: the store names the branches."""

    def read(self, found: Any, at: Path, reading: Reading) -> Any:
        before = len(reading.problems)
        weights = MapOf(Id("the name of a branch"), Whole(0, 1_000_000)).read(
            found["random"], (*at, "random"), reading
        )
        branches = {}
        for key, value in found.items():
            if key == "random":
                continue
            if weights is not None and key not in weights:
                reading.refuse((*at, str(key)), f"{show(key)} has no weight under `random`")
            branches[str(key)] = STEPS.read(value, (*at, str(key)), reading)
        for name in weights or ():
            branches.setdefault(name, ())
        if weights is not None and not any(weights.values()):
            reading.refuse((*at, "random"), "at least one branch needs a weight above 0")
        return d.SplitRandom(weights, branches) if len(reading.problems) == before else None

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "random": {
                    "type": "object",
                    "additionalProperties": {"type": "integer", "minimum": 0},
                }
            },
            "required": ["random"],
            "additionalProperties": STEPS.schema(),
        }


_BRANCHES = {"then": Field(STEPS), "else": Field(STEPS, "otherwise")}
SPLITS = Keyed(
    "a split",
    {
        "where": Shape("a split", {"where": Field(CONDITION), **_BRANCHES}, d.Split),
        "trigger": Shape(
            "a split on the trigger",
            {"trigger": Field(Where(), "where"), **_BRANCHES},
            d.SplitTrigger,
        ),
        "random": Random(),
    },
)
_NOTE = Shape(
    "a note such as {to: support, message: One-star review}",
    {"to": Field(Text(), required=True), "message": Field(Text(), required=True)},
    d.Notify,
)
_TRAITS = MapOf(Text("the name of a trait"), Raw())


STEP_SHAPES: dict[str, Any] = {
    "wait": single("wait", ByType(Duration(), WAITS, '{until: "15:00"}'), make_wait),
    "send": SEND,
    "wait_for": Shape(
        "a `wait_for` step",
        {
            "wait_for": Field(EVENT, "event"),
            "at_most": Field(Duration(), required=True),
            "met": Field(STEPS),
            "missed": Field(STEPS),
        },
        d.WaitFor,
    ),
    "split": single("split", SPLITS, lambda split: split),
    "set+add+remove": Shape(
        "a step that changes traits",
        {"set": Field(_TRAITS), "add": Field(_TRAITS), "remove": Field(_TRAITS)},
        d.SetTraits,
    ),
    "join": single("join", LIST, d.Join, "list"),
    "leave": single("leave", LIST, d.Leave, "list"),
    "notify": single("notify", _NOTE, lambda notify: notify),
    "start": single("start", FLOW, d.Start, "flow"),
    "exit": single("exit", Text(), d.Exit, "reason"),
}
_CHANGES = STEP_SHAPES.pop("set+add+remove")
STEP_SHAPES.update(dict.fromkeys(("set", "add", "remove"), _CHANGES))
STEP.reader = Keyed("a step", STEP_SHAPES)

# --- flows and campaigns -------------------------------------------------------------------------

RE_ENTRY = ByType(
    Choice("always", "never"),
    Shape(
        "a rule of re-entry: always, never or {after: 7d}",
        {"after": Field(Duration(), required=True)},
        lambda after: d.ReEntry("after", after),
    ),
    "{after: 7d}",
)


def make_flow(
    flow: str, trigger: d.FlowTrigger, steps: tuple[d.Step, ...], **values: Any
) -> d.Flow:
    """Defaults that depend on the trigger: re-entry, and whether one must stay."""
    again = isinstance(trigger, d.OnEvent) or (isinstance(trigger, d.OnDate) and trigger.every_year)
    said = values.pop("re_entry", "always" if again else "never")
    re_entry = said if isinstance(said, d.ReEntry) else d.ReEntry(said)
    stay = values.pop("stay", isinstance(trigger, d.OnSegment | d.OnList | d.OnDate))
    return d.Flow(flow, trigger, re_entry, stay, steps, **values)


FLOW_SHAPE = Shape(
    "a flow",
    {
        "flow": Field(FLOW),
        "name": Field(Text()),
        "trigger": Field(Keyed("a trigger", TRIGGERS), required=True),
        "trigger_max_age": Field(Duration()),
        "filter": Field(CONDITION),
        "re_entry": Field(RE_ENTRY),
        "key": Field(PROPERTY),
        "stay": Field(Flag()),
        "holdout": Field(Share()),
        "goal": Field(EVENT),
        "state": Field(Choice("live", "paused", "draining")),
        "steps": Field(STEPS, required=True),
    },
    make_flow,
)
SPREAD = Shape(
    "a spread such as {over: 4h} or {share: 20%, every: 1h}",
    {"over": Field(Duration()), "share": Field(Share()), "every": Field(Duration())},
    d.Spread,
)
CAMPAIGN_SEND = Shape("what is sent", SEND_FIELDS, lambda **send: d.Send("campaign", **send))
CAMPAIGN = Shape(
    "a campaign",
    {
        "campaign": Field(Id("the id of a campaign"), "id"),
        "name": Field(Text()),
        "to": Field(CONDITION, required=True),
        "not_to": Field(CONDITION),
        "at": Field(
            Text("a local time such as 2026-11-27T09:00", r"\d{4}-\d\d-\d\d.*"), required=True
        ),
        "zone": Field(Choice("store", "profile", "utc")),
        "spread": Field(SPREAD),
        "sends": Field(CAMPAIGN_SEND, required=True),
    },
    d.Campaign,
    yet=False,
)
