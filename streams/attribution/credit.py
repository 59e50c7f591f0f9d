"""Touches and conversions -> credits: what each send is given of what was bought after it."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from schemas.outputs import Credit
from schemas.values import ProfileId, SendId
from streams.attribution.rules import STRENGTH, CreditRules, Model
from streams.attribution.shares import split, weights
from streams.attribution.touches import Conversion, Touch
from streams.instants import to_timestamp
from streams.money import MICROS, to_money


def credit(
    touches: Iterable[Touch], conversions: Iterable[Conversion], rules: CreditRules
) -> list[Credit]:
    """Share every conversion out among the sends whose windows are open, once for each model.

    A window is half-open: a touch at t counts for conversions in (t, t + window]. A send counts
    once, by its latest touch (`first`: by its earliest).
    Ties: the latest touch, then the stronger (click, open, delivered), then the larger send id.
    Returns: in the order of conversions (time, then id), then of the rules' models, then of
             touches. The amounts of a conversion and model add up to its value, the shares to 1.
    """
    by_profile: dict[ProfileId, list[Touch]] = defaultdict(list)
    for touch in touches:
        if rules.window(touch.channel, touch.kind):
            by_profile[touch.profile_id].append(touch)
    for own in by_profile.values():
        own.sort(key=lambda touch: touch.at)
    found: list[Credit] = []
    for conversion in sorted(conversions, key=lambda one: (one.at, one.event_id, one.profile_id)):
        counting = list(_open(by_profile.get(conversion.profile_id, ()), conversion, rules))
        if counting:
            for model in rules.models:
                found.extend(_shared(model, counting, conversion, rules))
    return found


def _open(own: Sequence[Touch], conversion: Conversion, rules: CreditRules) -> Iterator[Touch]:
    """The touches whose window is open at the conversion."""
    since = conversion.at - max(rules.windows.values(), default=0)
    begin = bisect_left(own, since, key=lambda touch: touch.at)
    end = bisect_left(own, conversion.at, key=lambda touch: touch.at)
    for touch in own[begin:end]:
        starts_at = touch.at if rules.starts == "touch" else min(touch.receipt_at, touch.at)
        if conversion.at <= starts_at + rules.window(touch.channel, touch.kind):
            yield touch


def _shared(
    model: Model, counting: Sequence[Touch], conversion: Conversion, rules: CreditRules
) -> Iterator[Credit]:
    ordered = _first_to_count(counting) if model == "first" else _last_to_count(counting)
    ages = [conversion.at - touch.at for touch in ordered]
    weighed = weights(model, ages, rules.half_life)
    amounts, shares = split(conversion.micros, weighed), split(MICROS, weighed)
    for touch, weight, amount, share in zip(ordered, weighed, amounts, shares, strict=True):
        if weight:
            yield Credit(
                store=rules.store,
                profile_id=conversion.profile_id,
                conversion=conversion.event_id,
                converted_at=to_timestamp(conversion.at),
                send_id=touch.send_id,
                flow=touch.flow,
                campaign=touch.campaign,
                message=touch.message,
                channel=touch.channel,
                touch=f"{touch.channel}_{touch.kind}",
                touched_at=to_timestamp(touch.at),
                model=model,
                share=to_money(share),
                amount=to_money(amount),
                currency=conversion.currency,
            )


def _last_to_count(counting: Sequence[Touch]) -> list[Touch]:
    """The latest touch of each send, oldest first; the last one is the one that `last` credits."""
    latest: dict[SendId, Touch] = {}
    for touch in counting:
        known = latest.setdefault(touch.send_id, touch)
        if (touch.at, STRENGTH[touch.kind]) > (known.at, STRENGTH[known.kind]):
            latest[touch.send_id] = touch
    return sorted(latest.values(), key=lambda one: (one.at, STRENGTH[one.kind], one.send_id))


def _first_to_count(counting: Sequence[Touch]) -> list[Touch]:
    """The earliest touch of each send; the first one is the one that `first` credits."""
    earliest: dict[SendId, Touch] = {}
    for touch in counting:
        known = earliest.setdefault(touch.send_id, touch)
        if (touch.at, -STRENGTH[touch.kind]) < (known.at, -STRENGTH[known.kind]):
            earliest[touch.send_id] = touch
    by_id = sorted(earliest.values(), key=lambda one: one.send_id, reverse=True)
    return sorted(by_id, key=lambda one: (one.at, -STRENGTH[one.kind]))
