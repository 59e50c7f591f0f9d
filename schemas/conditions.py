"""What a store says about profiles and events: comparisons, filters, windows, conditions.

The language itself (YAML) is described in docs/definitions.md; `streams/definitions/` reads it into
these types, `streams/segments/conditions.py` compiles them. A test, a window or a leaf is one
struct; a new one is one struct more in its union.
"""

from decimal import Decimal
from typing import Literal, TypeAlias

import msgspec

from schemas.values import Channel, FlowId, Instant, ListId, Millis, SegmentId

Scalar: TypeAlias = str | bool | Decimal
"""A value to compare with; text that is a number is that number."""

ConsentWord: TypeAlias = Literal["granted", "denied", "pending", "never"]
RfmGroup: TypeAlias = Literal[
    "champions", "loyal", "recent", "needs-attention", "at-risk", "inactive"
]
Measure: TypeAlias = Literal["total", "average", "min", "max"]
Operator: TypeAlias = Literal[">", ">=", "<", "<=", "=", "!="]


class Part(msgspec.Struct, frozen=True, tag_field="is_a"):
    """A part of a definition."""


# --- comparisons and tests of values -------------------------------------------------------------


class Compare(Part, frozen=True, tag="compare"):
    operator: Operator
    to: Decimal


class Range(Part, frozen=True, tag="range"):
    """Both ends belong."""

    least: Decimal
    most: Decimal


Comparison: TypeAlias = Compare | Range


class IsOneOf(Part, frozen=True, tag="is-one-of"):
    values: tuple[Scalar, ...]


class IsNoneOf(Part, frozen=True, tag="is-none-of"):
    """Holds also where there is no value."""

    values: tuple[Scalar, ...]


class IsCompared(Part, frozen=True, tag="is-compared"):
    comparison: Comparison


class Contains(Part, frozen=True, tag="contains"):
    """Of text: holds this text. Of a list: one of its elements is this."""

    value: Scalar
    text: str


class StartsWith(Part, frozen=True, tag="starts-with"):
    text: str


class EndsWith(Part, frozen=True, tag="ends-with"):
    text: str


class Matches(Part, frozen=True, tag="matches"):
    """The regular expression (RE2) is found somewhere in the text."""

    pattern: str


class IsSet(Part, frozen=True, tag="is-set"):
    wanted: bool


class HasLength(Part, frozen=True, tag="has-length"):
    """Characters of a text, elements of a list."""

    comparison: Comparison


class SameAsTrigger(Part, frozen=True, tag="same-as-trigger"):
    """Equals this property of the event that started the flow run."""

    path: str


ValueTest: TypeAlias = (
    IsOneOf
    | IsNoneOf
    | IsCompared
    | Contains
    | StartsWith
    | EndsWith
    | Matches
    | IsSet
    | HasLength
    | SameAsTrigger
)


class Filter(Part, frozen=True, tag="filter"):
    """Tests of one property, all of which must hold.

    path: `category`, `shipping.country`, `items[].category` (of at least one item), `value`.
    """

    path: str
    tests: tuple[ValueTest, ...]


class EventFilter(Part, frozen=True, tag="event-filter"):
    """An event of this metric that passes all filters."""

    metric: str
    where: tuple[Filter, ...] = ()


# --- windows -------------------------------------------------------------------------------------


class InLast(Part, frozen=True, tag="in-last"):
    """now - span < occurred_at <= now."""

    span: Millis


class Before(Part, frozen=True, tag="before"):
    """occurred_at < at."""

    at: Instant


class After(Part, frozen=True, tag="after"):
    """occurred_at >= at."""

    at: Instant


class Between(Part, frozen=True, tag="between"):
    """start <= occurred_at < end."""

    start: Instant
    end: Instant


class AtLeastAgo(Part, frozen=True, tag="at-least-ago"):
    """occurred_at <= now - span."""

    span: Millis


class Ago(Part, frozen=True, tag="ago"):
    """now - far < occurred_at <= now - near."""

    near: Millis
    far: Millis


class InNext(Part, frozen=True, tag="in-next"):
    """now < at <= now + span. Of dates only."""

    span: Millis


class InMonth(Part, frozen=True, tag="in-month"):
    """In this month of the year, 1 to 12. Of anniversaries only."""

    month: int


class SinceFlowStart(Part, frozen=True, tag="since-flow-start"):
    """occurred_at >= the start of the run. Left out is what started it: the triggering event, or
    the one that led into the segment, or to the step of a flow, that did.
    """


Window: TypeAlias = InLast | Before | After | Between | AtLeastAgo | Ago | SinceFlowStart


# --- conditions ----------------------------------------------------------------------------------


class AllOf(Part, frozen=True, tag="all"):
    conditions: tuple["Condition", ...]


class AnyOf(Part, frozen=True, tag="any"):
    conditions: tuple["Condition", ...]


class NoneOf(Part, frozen=True, tag="none"):
    conditions: tuple["Condition", ...]


class Did(Part, frozen=True, tag="did"):
    """How often an event happened in the window (None: ever). `did_not` is `times: "= 0"`."""

    event: EventFilter
    times: Comparison
    window: Window | None = None


class Measured(Part, frozen=True, tag="measured"):
    """What the events of the window amount to. Nothing sums up to 0 and has no average, min, max.

    of: `value` (of events in the store's currency) or the path of a numeric property.
    """

    event: EventFilter
    measure: Measure
    of: str
    comparison: Comparison
    window: Window | None = None


class SequenceStep(Part, frozen=True, tag="sequence-step"):
    """happened: it did, later than the step before, and less than `within` after it.

    Else it did not: not from the step before on for `within`, which has to be over (None: not until
    the next step that happened, for the last one not until now). Its end is its instant.
    """

    event: EventFilter
    happened: bool
    within: Millis | None = None


class Sequence(Part, frozen=True, tag="sequence"):
    """In this order; `within` counts from the step before. All that happened is in the window."""

    steps: tuple[SequenceStep, ...]
    window: Window | None = None


class OfNewest(Part, frozen=True, tag="of-newest"):
    """How many of the newest `count` events of `of` pass `where`, or led to `event`.

    by: the property that both have in common. An `event` without it counts for the newest one
        before it that has led to none yet.
    """

    count: int
    of: EventFilter
    event: EventFilter | None
    times: Comparison
    where: tuple[Filter, ...] = ()
    by: str = "send_id"


class TraitIs(Part, frozen=True, tag="trait"):
    trait: str
    tests: tuple[ValueTest, ...]


class TraitDate(Part, frozen=True, tag="trait-date"):
    """A trait that holds a date: its instant (a plain day's is its midnight in the store's zone)
    lies in the window. What is no date lies in none.
    """

    trait: str
    window: InNext | InLast | Before | After | Between


class Anniversary(Part, frozen=True, tag="anniversary"):
    """The day of a trait's date, in any year: the midnight with which it begins in the store's
    zone lies in the window. 29 February is 28 February in common years.
    """

    trait: str
    window: InNext | InLast | InMonth


class TraitHeld(Part, frozen=True, tag="trait-held"):
    """The trait has had this value for at least so long."""

    trait: str
    value: Scalar
    span: Millis


class CanReceive(Part, frozen=True, tag="can-receive"):
    channel: Channel
    list: ListId | None = None


class ConsentIs(Part, frozen=True, tag="consent"):
    channel: Channel
    state: ConsentWord
    method: str | None = None
    in_last: Millis | None = None


class InList(Part, frozen=True, tag="in-list"):
    list: ListId
    joined_in_last: Millis | None = None


class InSegment(Part, frozen=True, tag="in-segment"):
    """span: the profile has been in it for at least so long."""

    segment: SegmentId
    span: Millis | None = None


class Near(Part, frozen=True, tag="near"):
    """The profile's place (its traits `lat` and `lon`, else `postal_code` and `country`) is at most
    so far away.

    postal_code: how the place was said (`US 10001`), where not by its degrees.
    """

    latitude: Decimal
    longitude: Decimal
    within_meters: int
    postal_code: str | None = None


class InCountry(Part, frozen=True, tag="country"):
    """The trait `country` is one of these texts, case aside; stores use ISO 3166 (`DE`)."""

    countries: tuple[str, ...]


class InRegion(Part, frozen=True, tag="region"):
    region: Literal["eu", "us"]


class Ranked(Part, frozen=True, tag="ranked"):
    """Among the first (or last) `share` millionths of the store's profiles that did the event.

    measure: of what it is the rank; None: of how often. of: as in `Measured`.
    """

    share: int
    bottom: bool
    event: EventFilter
    measure: Measure | None
    of: str | None
    window: Window | None = None


class Predicted(Part, frozen=True, tag="predicted"):
    figure: str
    comparison: Comparison


class RfmIs(Part, frozen=True, tag="rfm"):
    """In one of these groups of customers, by recency, frequency and money of their orders."""

    groups: tuple[RfmGroup, ...]


class HasAffinity(Part, frozen=True, tag="affinity"):
    """What the profile viewed, put into its cart and ordered lately names, often enough, a value of
    this property (its own or of its items) that passes.
    """

    path: str
    tests: tuple[ValueTest, ...]


class Sampled(Part, frozen=True, tag="sample"):
    """share: in millionths; stable by hash of seed and profile id."""

    share: int
    seed: str = ""


class TriggerPasses(Part, frozen=True, tag="trigger-passes"):
    """In flows only: the triggering event passes all filters."""

    where: tuple[Filter, ...]


class InFlow(Part, frozen=True, tag="in-flow"):
    """In flows only: another run of this flow goes on (or did within `in_last`)."""

    flow: FlowId
    in_last: Millis | None = None


class Received(Part, frozen=True, tag="received"):
    """In flows only: a send on this channel reached the profile."""

    channel: Channel
    window: Window | None = None


Condition: TypeAlias = (
    AllOf
    | AnyOf
    | NoneOf
    | Did
    | Measured
    | Sequence
    | OfNewest
    | TraitIs
    | TraitDate
    | Anniversary
    | TraitHeld
    | CanReceive
    | ConsentIs
    | InList
    | InSegment
    | Near
    | InCountry
    | InRegion
    | Ranked
    | Predicted
    | RfmIs
    | HasAffinity
    | Sampled
    | TriggerPasses
    | InFlow
    | Received
)
