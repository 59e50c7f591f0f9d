"""Features: what an event leaves behind in a row, the least that keeps every leaf exact.

A feature is (metric, filters, what is measured, how it is kept). Its key is derived from that
alone, so it is the same feature in the next version of the definitions. How much of it is kept
(`keep` entries, or those younger than `horizon`) is the most that any leaf asks for.

Entries are newest first by (occurred_at, event id): late events give the same entries as if they
had come in order. `note` expects each event once, and none later than its `received_at`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from schemas.conditions import EventFilter, Filter, IsOneOf
from schemas.events import Event
from schemas.records import Cut
from schemas.rows import Entry, FeatureState, ProfileRow
from schemas.values import Instant, Micros, Millis
from streams.core import PartRaised
from streams.money import MICROS_MAX, to_micros
from streams.segments import keeping
from streams.segments.values import (
    Get,
    canonical,
    compile_filters,
    compile_path,
    is_many,
)

FeatureKey: TypeAlias = str
Kind: TypeAlias = Literal[
    "newest",
    "oldest",
    "span",
    "span-max",
    "span-min",
    "max",
    "min",
    "max-old",
    "min-old",
    "recent",
    "each",
]
"""How entries are kept:
newest    the newest `keep`: counts in the last N, since, ever
recent    the newest `keep` that are younger than `horizon`: sequences
each      the newest of each value of what is kept of them, `keep` at most: what led to what
oldest    the oldest `keep`: counts at least N ago
span      all younger than `horizon`: sums, counts between N and M ago, comparisons with a trigger
span-max, span-min  the same, of each event its largest or smallest amount: extremes there
max, min  those that no newer one outdoes: the extreme in the last N, since
max-old, min-old  those that no older one outdoes: the extreme at least N ago; ever: `keep` 1
"""

TOTALS = "totals"
"""Flag of a row in which a sum has run into the largest amount."""

KEPT = "kept"
KEPT_CHARACTERS_MAX = 256
"""Flag of a row of which a property is not kept in full; characters kept of one, or of all that a
list of them holds.
"""

SHADOW = "^"
"""Before the key of a feature whose past is being filled in; after a version that has some."""

LEFT_OUT = "~"
"""After a feature's key: what was left out of it: `count` amounts in another currency, `total`
numbers that are not kept exactly.
"""


class Content(msgspec.Struct, frozen=True):
    """What a feature is. start, end: a static window; of: the amount; kept: properties to keep."""

    event: EventFilter
    kind: Kind
    start: Instant | None = None
    end: Instant | None = None
    of: str | None = None
    kept: tuple[str, ...] = ()

    def key(self) -> FeatureKey:
        return blake2b(msgspec.json.encode(self), digest_size=6).hexdigest()


class Feature:
    """A feature, compiled. `update` changes a state in place."""

    __slots__ = (
        "amounts",
        "content",
        "currency",
        "end",
        "horizon",
        "keep",
        "kept",
        "key",
        "passes",
        "start",
        "update",
    )

    def __init__(self, content: Content, keep: int, horizon: Millis | None, currency: str) -> None:
        self.content = content
        self.key = content.key()
        self.currency = currency
        self.keep = keep
        self.horizon = horizon
        self.start = content.start
        self.end = content.end
        self.passes = compile_filters(content.event.where)
        self.amounts = None if content.of is None else compile_amounts(content.of, currency)
        self.kept = tuple(compile_path(path) for path in content.kept)
        self.update: keeping.Update = keeping.UPDATES[content.kind](keep, horizon)

    def under(self, key: FeatureKey) -> "Feature":
        """The same feature, kept under another key."""
        other = Feature(self.content, self.keep, self.horizon, self.currency)
        other.key = key
        return other

    def keeps_what(self, other: "Feature") -> bool:
        """Does this feature keep all that `other`, of the same content, would keep?"""
        far_enough = self.horizon is None or (
            other.horizon is not None and self.horizon >= other.horizon
        )
        of_money = self.content.of is not None
        return (
            self.keep >= other.keep
            and far_enough
            and (self.currency == other.currency or not of_money)
        )


class Registry:
    """Collects what the leaves ask for, then builds each feature once.

    A feature goes by its key: to Python, contents with `true` and with 1 are equal.
    cuts: that are in force, by ranking. rankings: that have to be measured (ranked.Ranking).
    """

    def __init__(self, currency: str, cuts: Mapping[str, Cut] = MappingProxyType({})) -> None:
        self.currency = currency
        self.cuts = cuts
        self.rankings: dict[str, Any] = {}
        self._asked: dict[FeatureKey, tuple[Content, int, Millis | None]] = {}

    def ask(self, content: Content, *, keep: int = 0, horizon: Millis | None = 0) -> FeatureKey:
        """keep: entries needed; horizon: age up to which entries are needed (None: any age)."""
        key = content.key()
        _, had_keep, had_horizon = self._asked.get(key, (content, 0, 0))
        longest = None if horizon is None or had_horizon is None else max(horizon, had_horizon)
        self._asked[key] = (content, max(keep, had_keep), longest)
        return key

    def build(self) -> dict[FeatureKey, Feature]:
        return {
            key: Feature(content, keep, horizon, self.currency)
            for key, (content, keep, horizon) in self._asked.items()
        }


# --- amounts -------------------------------------------------------------------------------------


class Counted(NamedTuple):
    """What of an event counts. amounts: one, or one an item where the path leads into a list.

    foreign, inexact: how many are left out: of another currency; no number that is kept exactly.
    """

    amounts: tuple[Micros, ...]
    foreign: int = 0
    inexact: int = 0


NO_AMOUNT = Counted(())
Amounts: TypeAlias = Callable[[Event], Counted]

QUANTITY = "quantity"
"""The one property that is a number of things, never money, whatever the event's currency is."""


def compile_amounts(of: str, currency: str) -> Amounts:
    """The amounts that count: the event's value, or a numeric property, in the store's currency.

    An event that names no currency is in the store's.
    """

    def is_foreign(event: Event) -> bool:
        return event.currency is not None and event.currency != currency

    if of == "value":

        def value(event: Event) -> Counted:
            if event.value is None:
                return NO_AMOUNT
            return Counted((), foreign=1) if is_foreign(event) else Counted((event.value,))

        return value
    get, many = compile_path(of), is_many(of)
    of_money = of.rpartition(".")[2] != QUANTITY

    def property_(event: Event) -> Counted:
        found = get(event)
        numbers = [one for one in (found or () if many else (found,)) if is_number(one)]
        if not numbers:
            return NO_AMOUNT
        if of_money and is_foreign(event):
            return Counted((), foreign=len(numbers))
        exact = tuple(micros for one in numbers if (micros := micros_of(one)) is not None)
        return Counted(exact, inexact=len(numbers) - len(exact))

    return property_


def one_of(amounts: Sequence[Micros], kind: Kind) -> Micros:
    """What a feature keeps of the amounts of one event."""
    if kind in ("max", "max-old", "span-max"):
        return max(amounts)
    return min(amounts) if kind in ("min", "min-old", "span-min") else saturated(sum(amounts))


def is_number(found: Any) -> bool:
    """Whether what was found is a number, or text that is one."""
    number = canonical(found)
    return number is not None and not isinstance(number, str)


def saturated(total: Micros) -> Micros:
    """A sum as it can be kept: one that is too large stands at the largest amount."""
    return max(-MICROS_MAX, min(total, MICROS_MAX))


def micros_of(found: Any) -> Micros | None:
    """A JSON number, or text that is one, in millionths; None where it is none or too fine."""
    if isinstance(found, int) and not isinstance(found, bool):
        return found * 1_000_000 if abs(found) < 1 << 43 else None
    number = canonical(found)
    if isinstance(number, bool | str) or number is None:
        return None
    try:
        return to_micros(number)
    except (ValueError, ArithmeticError):
        return None


# --- which features an event touches -------------------------------------------------------------


class MetricIndex(NamedTuple):
    """The features of one metric. by_value: (value at a path, value -> features) per path."""

    plain: tuple[Feature, ...]
    by_value: tuple[tuple[Get, bool, dict[Any, tuple[Feature, ...]]], ...]

    def candidates(self, event: Event) -> Iterable[Feature]:
        if not self.by_value:
            return self.plain
        found = dict.fromkeys(self.plain)
        for get, many, features in self.by_value:
            value = get(event)
            if many:
                for item in {canonical(item) for item in value or ()}:
                    found.update(dict.fromkeys(features.get(item, ())))
            else:
                found.update(dict.fromkeys(features.get(canonical(value), ())))
        return found


def index_features(features: Iterable[Feature]) -> dict[str, MetricIndex]:
    """metric -> its features, those with an equality filter by the values it allows."""
    plain: dict[str, list[Feature]] = {}
    by_value: dict[str, dict[str, dict[Any, list[Feature]]]] = {}
    for feature in features:
        metric = feature.content.event.metric
        equality = _equality(feature.content.event.where)
        plain.setdefault(metric, [])
        if equality is None:
            plain[metric].append(feature)
            continue
        path, values = equality
        places = by_value.setdefault(metric, {}).setdefault(path, {})
        for value in values:
            places.setdefault(value, []).append(feature)
    return {
        metric: MetricIndex(
            tuple(found),
            tuple(
                (
                    compile_path(path),
                    is_many(path),
                    {value: tuple(which) for value, which in places.items()},
                )
                for path, places in by_value.get(metric, {}).items()
            ),
        )
        for metric, found in plain.items()
    }


def _equality(where: tuple[Filter, ...]) -> tuple[str, frozenset[Any]] | None:
    for one in where:
        for test in one.tests:
            if isinstance(test, IsOneOf):
                return one.path, frozenset(map(canonical, test.values))
    return None


# --- noting an event -----------------------------------------------------------------------------


NOTHING: frozenset[FeatureKey] = frozenset()


class HasFeatures(Protocol):
    """What `note` needs of a program."""

    @property
    def features_by_metric(self) -> Mapping[str, MetricIndex]: ...


def note(program: HasFeatures, row: ProfileRow, event: Event) -> AbstractSet[FeatureKey]:
    """Remember the event in every feature it belongs to. Returns: the keys of those features.

    Raises: PartRaised.
    """
    of_metric = program.features_by_metric.get(event.metric)
    if of_metric is None:
        return NOTHING
    touched: set[FeatureKey] = set()
    for feature in of_metric.candidates(event):
        if row.disabled and f"feature/{feature.key}" in row.disabled:
            continue
        try:
            key = _noted(feature, row, event)
        except Exception as error:
            raise PartRaised(f"feature/{feature.key}") from error
        if key is not None:
            touched.add(key)
    return touched


def _noted(feature: Feature, row: ProfileRow, event: Event) -> FeatureKey | None:
    """Remember the event in one feature. Returns: its key; None: the event is none of its own."""
    states, occurred_at, key = row.features, event.occurred_at, feature.key
    if feature.start is not None and occurred_at < feature.start:
        return None
    if feature.end is not None and occurred_at >= feature.end:
        return None
    if feature.passes is not None and not feature.passes(event):
        return None
    amount: Micros | None = None
    times = 1
    if feature.amounts is not None:
        amounts, foreign, inexact = feature.amounts(event)
        if foreign or inexact:
            left_out = states.setdefault(key + LEFT_OUT, FeatureState())
            left_out.count += foreign
            left_out.total += inexact
        if not amounts:
            return None
        amount, times = one_of(amounts, feature.content.kind), len(amounts)
    kept = tuple([_to_keep(row, get(event)) for get in feature.kept])
    entry = Entry(occurred_at, event.id, amount, kept, times)
    state = states.get(key)
    if state is None:
        state = states[key] = FeatureState()
    state.count += times
    if amount is not None:
        state.total += amount
    feature.update(state, entry, event.received_at)
    if amount is not None and saturate(state):
        _flag(row, TOTALS)
    return key


def saturate(state: FeatureState) -> bool:
    """Let no sum grow beyond what can be kept. Returns: whether one would have."""
    total, state.total = state.total, saturated(state.total)
    over = total != state.total
    if state.coarse:
        for hour, (count, of_hour) in state.coarse.items():
            if not -MICROS_MAX <= of_hour <= MICROS_MAX:
                state.coarse[hour] = count, saturated(of_hour)
                over = True
    return over


def _to_keep(row: ProfileRow, value: Any) -> object:
    """Scalars, and lists of them, as a later comparison needs them; what is too long is cut."""
    if isinstance(value, str) and len(value) > KEPT_CHARACTERS_MAX:
        _flag(row, KEPT)
        return value[:KEPT_CHARACTERS_MAX]
    if isinstance(value, list):
        return _first_items(row, value)
    return value if isinstance(value, str | int | float) else None


def _first_items(row: ProfileRow, values: list[Any]) -> list[object]:
    """The scalars of a list, as many as fit: a number counts as eight characters."""
    kept: list[object] = []
    free = KEPT_CHARACTERS_MAX
    for item in values:
        if isinstance(item, str | int | float):
            free -= len(item) if isinstance(item, str) else 8
            if free < 0:
                _flag(row, KEPT)
                break
            kept.append(item)
    return kept


def _flag(row: ProfileRow, cap: str) -> None:
    if cap not in row.coarsened:
        row.coarsened.append(cap)
