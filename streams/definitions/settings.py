"""The table of a store's settings: maps are merged with the defaults, null switches a key off."""

from typing import Any, get_args

from schemas import definitions as d
from schemas.definitions import HOUR
from schemas.values import Channel
from streams.definitions.conditions import CHANNEL
from streams.definitions.flows import HOURS
from streams.definitions.problems import Path
from streams.definitions.readers import Choice, Duration, Reading, Text, Whole, Zone
from streams.definitions.shapes import Field, ListOf, MapOf, Nullable, Shape
from streams.ingest.identifiers import KINDS

SMART_SENDING = Shape(
    "windows of smart sending",
    {channel: Field(Nullable(Duration())) for channel in (*get_args(Channel), "across")},
    dict,
)
FREQUENCY_CAP = Shape(
    "a frequency cap",
    {
        "channels": Field(ListOf(CHANNEL, single=True, least=1), required=True),
        "at_most": Field(Whole(0, 1000), required=True),
        "in_last": Field(Duration(), required=True),
    },
    d.FrequencyCap,
)
QUIET_HOURS = Shape(
    "quiet hours", {channel: Field(Nullable(HOURS)) for channel in get_args(Channel)}, dict
)
ALL_OFF: dict[str, None] = dict.fromkeys(get_args(Channel))
WORDS = ListOf(Text("a keyword"), single=True)
MATCH = Choice("word", "exact")
SMS_KEYWORDS = Shape(
    "keywords of SMS replies",
    {
        "stop": Field(WORDS),
        "start": Field(WORDS),
        "help": Field(WORDS),
        "confirm": Field(WORDS),
        "match": Field(
            Shape(
                "ways of matching",
                {word: Field(MATCH) for word in ("stop", "start", "help", "confirm")},
                dict,
            )
        ),
    },
    dict,
)
TAKEN = frozenset({*KINDS, "profile", "traits", "traits_once"})
"""No names for a store's own kinds: built-in ones, and what else a profile has in an event."""


def check_identifiers(values: dict[str, Any], at: Path, reading: Reading) -> None:
    for kind in values.get("kinds", {}):
        if kind in TAKEN:
            reading.refuse((*at, "kinds", kind), f"'{kind}' has a meaning already; name another")


IDENTIFIERS = Shape(
    "rules of identifiers",
    {
        "kinds": Field(
            MapOf(Text("a kind of identifier", "[a-z][a-z0-9_]*"), Choice("strong", "weak"))
        ),
        "junk": Field(ListOf(Text())),
        "named_per_weak_max": Field(Whole(1, 100)),
    },
    d.IdentifierRules,
    checks=check_identifiers,
)
MODELS = ("last", "first", "linear", "position", "time-decay", "data-driven")
ATTRIBUTION = Shape(
    "rules of attribution",
    {
        "models": Field(ListOf(Choice(*MODELS), single=True, least=1)),
        "starts": Field(Choice("touch", "receipt")),
        **{touch: Field(Nullable(Duration())) for touch in d.ATTRIBUTION_WINDOWS},
    },
    dict,
)


def check_consent(values: dict[str, Any], at: Path, reading: Reading) -> None:
    for channel, mode in values.items():
        if mode == "not_denied" and channel != "email":
            reading.refuse((*at, channel), "'not_denied' is for email only; say explicit")


CONSENT = Shape(
    "rules of consent",
    {channel: Field(Choice("explicit", "not_denied")) for channel in get_args(Channel)},
    dict,
    checks=check_consent,
)


def merged(defaults: dict[Any, Any], said: dict[str, Any] | None) -> dict[Any, Any]:
    """The defaults with what was said; null takes a key out."""
    both = {**defaults, **(said or {})}
    return {key: value for key, value in both.items() if value is not None}


def make_attribution(said: dict[str, Any]) -> d.AttributionRules:
    rest = {key: said.pop(key) for key in ("models", "starts") if key in said}
    return d.AttributionRules(windows=merged(d.ATTRIBUTION_WINDOWS, said), **rest)


def make_keywords(said: dict[str, Any]) -> d.SmsKeywords:
    match = merged(d.SmsKeywords().match, said.pop("match", None))
    return d.SmsKeywords(match=match, **said)


def make_settings(**values: Any) -> d.StoreSettings:
    smart = dict(values.pop("smart_sending", {}))
    if "attribution" in values:
        values["attribution"] = make_attribution(values["attribution"])
    if "sms_keywords" in values:
        values["sms_keywords"] = make_keywords(values["sms_keywords"])
    return d.StoreSettings(
        smart_sending_across=smart.pop("across", None),
        smart_sending=merged(d.SMART_SENDING, smart),
        quiet_hours=merged(d.QUIET_HOURS, values.pop("quiet_hours", None)),
        **values,
    )


SETTINGS = Shape(
    "the settings of a store",
    {
        "store": Field(Text("the id of a store", "[a-z0-9][a-z0-9-]*")),
        "currency": Field(Text("a currency such as EUR", "[A-Z]{3}")),
        "zone": Field(Zone()),
        "address": Field(Nullable(Text("a postal address"), off="")),
        "smart_sending": Field(Nullable(SMART_SENDING, off=ALL_OFF)),
        "frequency_cap": Field(Nullable(ListOf(FREQUENCY_CAP), off=())),
        "quiet_hours": Field(Nullable(QUIET_HOURS, off=ALL_OFF)),
        "consent": Field(CONSENT),
        "sms_keywords": Field(SMS_KEYWORDS),
        "identifiers": Field(IDENTIFIERS),
        "attribution": Field(ATTRIBUTION),
        "deduplicate_for": Field(Duration()),
        "rank_every": Field(Duration(least=HOUR)),
    },
    make_settings,
)
