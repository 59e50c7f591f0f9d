"""Which touch earns what: windows to the millisecond, ties, models, and money that adds up."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.definitions import AttributionRules, StoreSettings
from schemas.outputs import Credit
from streams.attribution.credit import credit
from streams.attribution.rules import MODELS, CreditRules, Kind, UnknownModel, rules_of
from streams.attribution.shares import decayed, split, weights
from streams.attribution.touches import Conversion, Touch
from streams.instants import DAY, HOUR, to_instant
from streams.money import MICROS, to_micros

RULES = rules_of(StoreSettings(store="main", currency="EUR"))
NOON = to_instant("2010-12-08T12:00:00.000Z")


def touch(kind: Kind, at: int, send: str = "s1", channel: Any = "email", **more: Any) -> Touch:
    plain: dict[str, Any] = {
        "profile_id": "ia",
        "event_id": f"{send}-{kind}-{at}",
        "kind": kind,
        "at": at,
        "send_id": send,
        "receipt_at": at,
        "flow": "cart",
        "campaign": None,
        "message": f"message-of-{send}",
        "channel": channel,
    }
    return Touch(**(plain | more))


def order(at: int, micros: int = 10_000_000, **more: Any) -> Conversion:
    plain: dict[str, Any] = {
        "profile_id": "ia",
        "event_id": "order-1",
        "at": at,
        "micros": micros,
        "currency": "EUR",
    }
    return Conversion(**(plain | more))


def earned(
    touches: list[Touch], conversion: Conversion, model: Any = "last", **changes: Any
) -> dict[str, str]:
    """What each send earns of one conversion."""
    rules = RULES._replace(models=(model,), **changes)
    return {one.send_id: one.amount for one in credit(touches, [conversion], rules)}


WINDOWS = [
    ("email", "click", 5 * DAY),
    ("email", "open", 5 * DAY),
    ("sms", "click", 5 * DAY),
    ("sms", "open", 1 * DAY),
    ("sms", "delivered", 12 * HOUR),
    ("push", "open", 24 * HOUR),
    ("whatsapp", "click", 5 * DAY),
    ("whatsapp", "open", 12 * HOUR),
]


@pytest.mark.parametrize(("channel", "kind", "window"), WINDOWS)
def test_a_window_is_open_after_the_touch_and_closed_after_its_last_millisecond(
    channel: Any, kind: Any, window: int
) -> None:
    touches = [touch(kind, NOON, channel=channel)]
    assert earned(touches, order(NOON)) == {}
    assert earned(touches, order(NOON + 1)) == {"s1": "10.00"}
    assert earned(touches, order(NOON + window)) == {"s1": "10.00"}
    assert earned(touches, order(NOON + window + 1)) == {}


@pytest.mark.parametrize("channel", ["email", "push", "whatsapp", "in_app"])
def test_a_delivery_counts_only_where_a_window_says_so(channel: Any) -> None:
    assert earned([touch("delivered", NOON, channel=channel)], order(NOON + 1)) == {}


def test_a_window_can_run_from_the_receipt() -> None:
    late = [touch("open", NOON + 4 * DAY, receipt_at=NOON)]
    assert earned(late, order(NOON + 6 * DAY)) == {"s1": "10.00"}
    assert earned(late, order(NOON + 6 * DAY), starts="receipt") == {}
    assert earned(late, order(NOON + 5 * DAY), starts="receipt") == {"s1": "10.00"}


def test_a_receipt_that_is_said_to_be_after_the_touch_does_not_stretch_the_window() -> None:
    odd = [touch("open", NOON, receipt_at=NOON + DAY)]
    assert earned(odd, order(NOON + 5 * DAY), starts="receipt") == {"s1": "10.00"}
    assert earned(odd, order(NOON + 5 * DAY + 1), starts="receipt") == {}


def test_the_latest_touch_earns_it() -> None:
    touches = [touch("click", NOON, "s1"), touch("open", NOON + 1, "s2")]
    assert earned(touches, order(NOON + 10)) == {"s2": "10.00"}
    assert earned(touches, order(NOON + 10), "first") == {"s1": "10.00"}


def test_at_one_instant_a_click_is_stronger_than_an_open_then_the_larger_send_id() -> None:
    touches = [touch("open", NOON, "s9"), touch("click", NOON, "s1"), touch("click", NOON, "s2")]
    assert earned(touches, order(NOON + 1)) == {"s2": "10.00"}
    assert earned(touches, order(NOON + 1), "first") == {"s2": "10.00"}


def test_the_touch_of_another_person_earns_nothing() -> None:
    assert earned([touch("click", NOON, profile_id="ib")], order(NOON + 1)) == {}


@pytest.mark.parametrize(
    ("model", "shares"),
    [
        ("first", {"s1": "10.00"}),
        ("last", {"s3": "10.00"}),
        ("linear", {"s1": "3.333333", "s2": "3.333333", "s3": "3.333334"}),
        ("position", {"s1": "4.00", "s2": "2.00", "s3": "4.00"}),
        ("time-decay", {"s1": "1.428571", "s2": "2.857143", "s3": "5.714286"}),
    ],
)
def test_each_model_shares_out_in_its_way(model: Any, shares: dict[str, str]) -> None:
    touches = [touch("open", NOON + number * DAY, f"s{number + 1}") for number in range(3)]
    found = earned(touches, order(NOON + 2 * DAY + 1), model, half_life=DAY)
    assert found == shares


def test_a_send_that_is_opened_ten_times_counts_once() -> None:
    touches = [touch("open", NOON + number, "s1") for number in range(10)]
    touches.append(touch("click", NOON + 3, "s2"))
    assert earned(touches, order(NOON + 20), "linear") == {"s1": "5.00", "s2": "5.00"}
    assert earned(touches, order(NOON + 20), "position") == {"s1": "5.00", "s2": "5.00"}


def test_every_model_that_is_asked_for_writes_its_own_credits() -> None:
    touches = [touch("open", NOON, "s1"), touch("click", NOON + 1, "s2")]
    rules = RULES._replace(models=("last", "linear"))
    found = credit(touches, [order(NOON + 2, 3)], rules)
    assert [(one.model, one.send_id, one.share, one.amount) for one in found] == [
        ("last", "s2", "1.00", "0.000003"),
        ("linear", "s1", "0.50", "0.000001"),
        ("linear", "s2", "0.50", "0.000002"),
    ]
    assert found[0] == Credit(
        store="main",
        profile_id="ia",
        conversion="order-1",
        converted_at="2010-12-08T12:00:00.002Z",
        send_id="s2",
        flow="cart",
        campaign=None,
        message="message-of-s2",
        channel="email",
        touch="email_click",
        touched_at="2010-12-08T12:00:00.001Z",
        model="last",
        share="1.00",
        amount="0.000003",
        currency="EUR",
    )


def test_data_driven_is_refused_with_what_there_is() -> None:
    said = AttributionRules(models=("last", "data-driven"))
    with pytest.raises(UnknownModel, match=r"'data-driven' is not there yet.*last, first, linear"):
        rules_of(StoreSettings(attribution=said))
    with pytest.raises(UnknownModel, match="'lst' is no model"):
        rules_of(StoreSettings(attribution=AttributionRules(models=("lst",))))


def test_nothing_is_credited_where_all_windows_are_switched_off() -> None:
    assert earned([touch("click", NOON)], order(NOON + 1), windows={}) == {}


AMOUNTS = st.integers(-(2**62), 2**62)


@given(AMOUNTS, st.lists(st.integers(0, 2**70), min_size=1).filter(any))
def test_parts_add_up_and_are_within_a_micro_of_their_share(
    amount: int, weights: list[int]
) -> None:
    parts = split(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - amount * weight) < sum(weights)


@given(st.sampled_from(MODELS), st.lists(st.integers(1, 90 * DAY), min_size=1, max_size=20))
def test_a_model_gives_a_weight_to_each_send_and_some_to_one(model: Any, ages: list[int]) -> None:
    weighed = weights(model, sorted(ages, reverse=True), 7 * DAY)
    assert len(weighed) == len(ages)
    assert min(weighed) >= 0
    assert sum(weighed) > 0


@given(st.integers(0, 20 * 7 * DAY))
def test_a_weight_halves_with_each_half_life(age: int) -> None:
    assert decayed(age, 7 * DAY) == 2 * decayed(age + 7 * DAY, 7 * DAY)
    assert decayed(age, 7 * DAY) > decayed(age + 1, 7 * DAY)


def test_a_weight_never_comes_to_nothing() -> None:
    assert decayed(100 * 365 * DAY, 7 * DAY) == decayed(280 * DAY, 7 * DAY) > 0


TOUCHES = st.builds(
    lambda kind, at, send: touch(kind, at, *send),
    st.sampled_from(["delivered", "open", "click"]),
    st.integers(NOON, NOON + 20),
    st.sampled_from([("s1", "email"), ("s2", "sms"), ("s3", "email"), ("s4", "sms")]),
)
FEW = RULES._replace(
    models=MODELS, windows={"email_click": 9, "email_open": 4, "sms_delivered": 2, "sms_click": 5}
)


@given(st.lists(TOUCHES, max_size=12), st.integers(NOON, NOON + 24), AMOUNTS)
def test_a_conversion_is_given_away_whole_or_not_at_all(
    touches: list[Touch], at: int, amount: int
) -> None:
    """And by every model alike; the order in which touches are handed over does not matter."""
    found = credit(touches, [order(at, amount)], FEW)
    assert found == credit(touches[::-1], [order(at, amount)], FEW)
    amounts: dict[str, int] = defaultdict(int)
    shares: dict[str, int] = defaultdict(int)
    for one in found:
        amounts[one.model] += to_micros(Decimal(one.amount))
        shares[one.model] += to_micros(Decimal(one.share))
        assert to_instant(one.touched_at) < to_instant(one.converted_at)
    open_ = [one for one in touches if is_open(one, at, FEW)]
    assert amounts == (dict.fromkeys(MODELS, amount) if open_ else {})
    assert shares == (dict.fromkeys(MODELS, MICROS) if open_ else {})
    if open_:
        best = max(open_, key=lambda one: (one.at, "delivered open click".find(one.kind)))
        (last,) = [one for one in found if one.model == "last"]
        assert to_instant(last.touched_at) == best.at
        assert last.touch.endswith(best.kind)


def is_open(one: Touch, at: int, rules: CreditRules) -> bool:
    return one.at < at <= one.at + rules.windows.get(f"{one.channel}_{one.kind}", 0)
