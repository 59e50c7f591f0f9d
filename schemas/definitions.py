"""What a store wants: segments, lists, flows, campaigns and its own settings. Types only.

A trigger, a step or a setting is one struct or field; a new one is one more in its union.
"""

from typing import Any, Literal, TypeAlias

import msgspec

from schemas.conditions import Condition, EventFilter, Filter, Part
from schemas.values import Channel, FlowId, ListId, Millis, SegmentId, StoreId

Weekday: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Minutes: TypeAlias = int
"""A time of day: minutes since midnight."""

Micros: TypeAlias = int
"""A share: millionths of the whole."""

WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# --- segments and lists --------------------------------------------------------------------------


class Segment(Part, frozen=True, tag="segment"):
    id: SegmentId
    where: Condition
    name: str | None = None


class ProfileList(Part, frozen=True, tag="list"):
    """opt_in: double (a confirmation is asked for), single, none (on it until they deny)."""

    id: ListId
    opt_in: Literal["double", "single", "none"] = "double"
    name: str | None = None


# --- what starts a flow --------------------------------------------------------------------------


class OnEvent(Part, frozen=True, tag="on-event"):
    event: EventFilter


class OnSegment(Part, frozen=True, tag="on-segment"):
    """The profile entered the segment, because of what it did or because time passed."""

    segment: SegmentId


class OnList(Part, frozen=True, tag="on-list"):
    list: ListId


class OnDate(Part, frozen=True, tag="on-date"):
    """Whole days before the day in a trait, at a time of day in the profile's zone.

    every_year: the same day of every year; 29 February is 28 February in common years.
    """

    trait: str
    before: Millis = 0
    at: Minutes = 600
    every_year: bool = False


ASKED_FOR: Millis = 31_536_000_000
"""So long is somebody told of a product who asked to be: 365 days."""


class Interested(Part, frozen=True, tag="interested"):
    """Who is told of a product: who did one of `of` with it, or asked for it, in that time.

    asked: so long does it count that somebody asked to be told; 0: it does not.
    """

    of: tuple[str, ...] = ("Viewed Product", "Added to Cart", "Started Checkout")
    in_last: Millis = 2_592_000_000
    asked: Millis = 0


class OnPriceDrop(Part, frozen=True, tag="on-price-drop"):
    """The price of a product fell by at least `by` millionths of it, and by at least `amount`."""

    by: Micros = 0
    who: Interested = Interested()
    amount: Micros = 0


class OnLowStock(Part, frozen=True, tag="on-low-stock"):
    """The stock of a product fell below `below`, and something is left."""

    below: int
    who: Interested = Interested()


class OnBackInStock(Part, frozen=True, tag="on-back-in-stock"):
    """There was nothing left of a product, and now there is."""

    who: Interested = Interested(asked=ASKED_FOR)


class OnPrediction(Part, frozen=True, tag="on-prediction"):
    figure: str
    before: Millis


FlowTrigger: TypeAlias = (
    OnEvent | OnSegment | OnList | OnDate | OnPriceDrop | OnLowStock | OnBackInStock | OnPrediction
)


# --- steps ---------------------------------------------------------------------------------------


class Wait(Part, frozen=True, tag="wait"):
    """Exactly so long."""

    span: Millis


class WaitUntil(Part, frozen=True, tag="wait-until"):
    """`days` calendar days on, then the next `until` (now included) on one of the weekdays.

    zone: `profile`, `store` or an IANA name.
    """

    until: Minutes
    days: int = 0
    weekdays: tuple[Weekday, ...] = WEEK
    zone: str = "store"


class WaitForDate(Part, frozen=True, tag="wait-for-date"):
    """Until so long before (or after) the instant in a property of the trigger."""

    path: str
    before: Millis = 0
    after: Millis = 0


class Hours(Part, frozen=True, tag="hours"):
    """Hours of the day: `start` belongs, `end` does not; over midnight where end <= start."""

    start: Minutes
    end: Minutes
    weekdays: tuple[Weekday, ...] = WEEK


class Variant(Part, frozen=True, tag="variant"):
    weight: int = 1
    subject: str | None = None
    template: str | None = None


class Winner(Part, frozen=True, tag="winner"):
    by: str
    at_least: int
    probability: float


class Send(Part, frozen=True, tag="send"):
    """message: the name of the send within its flow. patience: how long a held send may wait.

    transactional: skips marketing consent, smart sending, caps, holdout and quiet hours; never
                   suppression or a missing address.
    """

    message: str
    channel: Channel
    template: str
    subject: str | None = None
    smart_sending: bool = True
    quiet_hours: Literal["hold", "drop", "ignore"] = "hold"
    transactional: bool = False
    priority: Literal["low", "normal", "high"] = "normal"
    patience: Millis = 86_400_000
    filter: Condition | None = None
    window: Hours | None = None
    variants: dict[str, Variant] = {}
    winner: Winner | None = None


class WaitFor(Part, frozen=True, tag="wait-for"):
    """Until the event happens after this step was reached (`met`), or the time is up (`missed`)."""

    event: EventFilter
    at_most: Millis
    met: tuple["Step", ...] = ()
    missed: tuple["Step", ...] = ()


class Split(Part, frozen=True, tag="split"):
    """By a condition on the profile, as it is when the step is reached."""

    where: Condition
    then: tuple["Step", ...] = ()
    otherwise: tuple["Step", ...] = ()


class SplitTrigger(Part, frozen=True, tag="split-trigger"):
    """By the event that started the run."""

    where: tuple[Filter, ...]
    then: tuple["Step", ...] = ()
    otherwise: tuple["Step", ...] = ()


class SplitRandom(Part, frozen=True, tag="split-random"):
    """By a hash of the run's id; weights as written, in the order of the names."""

    weights: dict[str, int]
    branches: dict[str, tuple["Step", ...]]


class SetTraits(Part, frozen=True, tag="set-traits"):
    """set: `now` stands for the instant of the step. add, remove: elements of list traits."""

    set: dict[str, Any] = {}
    add: dict[str, Any] = {}
    remove: dict[str, Any] = {}


class Join(Part, frozen=True, tag="join"):
    list: ListId


class Leave(Part, frozen=True, tag="leave"):
    list: ListId


class Notify(Part, frozen=True, tag="notify"):
    to: str
    message: str


class Start(Part, frozen=True, tag="start"):
    flow: FlowId


class Exit(Part, frozen=True, tag="exit"):
    reason: str


Step: TypeAlias = (
    Wait
    | WaitUntil
    | WaitForDate
    | Send
    | WaitFor
    | Split
    | SplitTrigger
    | SplitRandom
    | SetTraits
    | Join
    | Leave
    | Notify
    | Start
    | Exit
)


# --- flows and campaigns -------------------------------------------------------------------------


class ReEntry(Part, frozen=True, tag="re-entry"):
    """after: so long after the last entry; only with the rule `after`."""

    rule: Literal["always", "never", "after"]
    after: Millis = 0


class Flow(Part, frozen=True, tag="flow"):
    """key: one run per value of this property of the trigger, instead of one at a time.

    stay:    who is no longer in the segment or list of the trigger, or whose date is another, is
             skipped at the send.
    holdout: millionths of the profiles that get nothing and are measured.
    state:   draining: nobody enters; paused: nobody enters, and who is in it stops before the next
             step.
    """

    id: FlowId
    trigger: FlowTrigger
    re_entry: ReEntry
    stay: bool
    steps: tuple[Step, ...]
    name: str | None = None
    trigger_max_age: Millis = 3_600_000
    filter: Condition | None = None
    key: str | None = None
    holdout: Micros = 0
    goal: EventFilter | None = None
    state: Literal["live", "paused", "draining"] = "live"


class Spread(Part, frozen=True, tag="spread"):
    """Over a time, or a share (millionths) at a time."""

    over: Millis | None = None
    share: Micros | None = None
    every: Millis | None = None


class Campaign(Part, frozen=True, tag="campaign"):
    """at: an instant, or a local time (`2026-11-27T09:00`) where the zone is the profile's."""

    id: str
    to: Condition
    at: str
    sends: Send
    not_to: Condition | None = None
    zone: Literal["store", "profile", "utc"] = "store"
    spread: Spread | None = None
    name: str | None = None


# --- settings ------------------------------------------------------------------------------------


HOUR: Millis = 3_600_000
DAY: Millis = 24 * HOUR

SMART_SENDING: dict[Channel, Millis] = {
    "email": 16 * HOUR,
    "sms": 24 * HOUR,
    "push": 24 * HOUR,
    "whatsapp": 24 * HOUR,
}
QUIET_HOURS: dict[Channel, Hours] = {"sms": Hours(21 * 60, 8 * 60)}
ATTRIBUTION_WINDOWS: dict[str, Millis] = {
    "email_click": 5 * DAY,
    "email_open": 5 * DAY,
    "sms_click": 5 * DAY,
    "sms_open": 1 * DAY,
    "sms_delivered": 12 * HOUR,
    "push_open": 24 * HOUR,
    "whatsapp_click": 5 * DAY,
    "whatsapp_open": 12 * HOUR,
}


class FrequencyCap(Part, frozen=True, tag="frequency-cap"):
    channels: tuple[Channel, ...]
    at_most: int
    in_last: Millis


class SmsKeywords(Part, frozen=True, tag="sms-keywords"):
    """match: `word` anywhere in the text, `exact` the whole text. confirm: answers a request."""

    stop: tuple[str, ...] = ("STOP", "END", "CANCEL", "QUIT", "UNSUBSCRIBE")
    start: tuple[str, ...] = ("START", "UNSTOP")
    help: tuple[str, ...] = ("HELP", "INFO")
    match: dict[str, Literal["word", "exact"]] = msgspec.field(
        default_factory=lambda: {
            "stop": "word",
            "start": "exact",
            "help": "exact",
            "confirm": "exact",
        }
    )
    confirm: tuple[str, ...] = ("YES", "Y")


class IdentifierRules(Part, frozen=True, tag="identifier-rules"):
    """kinds: the store's own, after the built-in ones, in this order."""

    kinds: dict[str, Literal["strong", "weak"]] = {}
    junk: tuple[str, ...] = ()
    named_per_weak_max: int = 5


class AttributionRules(Part, frozen=True, tag="attribution-rules"):
    """windows: kind of touch (`email_click`) -> how long it may earn a credit."""

    models: tuple[str, ...] = ("last",)
    starts: Literal["touch", "receipt"] = "touch"
    windows: dict[str, Millis] = msgspec.field(default_factory=lambda: dict(ATTRIBUTION_WINDOWS))


class StoreSettings(Part, frozen=True, tag="store-settings"):
    """What a store decides once for all. A key missing from a map is switched off.

    address: the postal address that every marketing e-mail carries.
    smart_sending: channel -> window; smart_sending_across: one window over all channels.
    consent: `explicit` for a channel that is not named: only what was granted.
    rank_every: profiles are ranked (`top`, `bottom`) at each multiple of it since 1970, in UTC.
    """

    store: StoreId = "main"
    currency: str = "EUR"
    zone: str = "UTC"
    address: str | None = None
    smart_sending: dict[Channel, Millis] = msgspec.field(
        default_factory=lambda: dict(SMART_SENDING)
    )
    smart_sending_across: Millis | None = None
    frequency_cap: tuple[FrequencyCap, ...] = ()
    quiet_hours: dict[Channel, Hours] = msgspec.field(default_factory=lambda: dict(QUIET_HOURS))
    consent: dict[Channel, Literal["explicit", "not_denied"]] = {}
    sms_keywords: SmsKeywords = SmsKeywords()
    identifiers: IdentifierRules = IdentifierRules()
    attribution: AttributionRules = AttributionRules()
    deduplicate_for: Millis = 604_800_000
    rank_every: Millis = DAY


Definition: TypeAlias = Segment | ProfileList | Flow | Campaign | StoreSettings
