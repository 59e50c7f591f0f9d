"""The library of segments, each as a story: who comes in and who goes out, at exact instants."""

import random
import re
from itertools import pairwise
from pathlib import Path

import pytest

from schemas import conditions as c
from schemas.definitions import Segment
from streams.definitions.logic import Logic
from streams.definitions.parse import parse
from streams.instants import DAY, HOUR, to_instant
from tests.scenarios.library import LIBRARY, SEGMENTS, copied, definitions
from tests.scenarios.play import Stage, documents_of, event_of, play

SHOES = 'items=[{"category":"shoes"}]'
HATS = 'items=[{"category":"hats"}]'
PAGE = Path(__file__).parents[2] / "docs" / "segments.md"

STORIES = {
    "asleep-120d": """
        day   0  Received Email
        day  10  Received Email
        day  20  Received Email
        day  30  Received Email  -> entered asleep-120d
        day  40  Opened Email    -> exited asleep-120d
        day  50  Received Email
        day 160
    """,
    "birthday-week": """
        2026-02-01 12:00  Identify trait.birthday=1992-02-29
        2026-02-21 00:00  -> entered birthday-week
        2026-02-28 00:00  -> exited birthday-week
        2027-02-21 00:00  -> entered birthday-week
        2027-02-28 00:00  -> exited birthday-week
        2028-02-22 00:00  -> entered birthday-week
        2028-02-29 00:00  -> exited birthday-week
    """,
    "budget-shoppers": """
        day  0  Viewed Product price=25
        day  1  Added to Cart price=9.90   -> entered budget-shoppers
        day  2  Placed Order items=[{"price":80},{"price":70}]
        day  3  Added to Cart price=60
        day  4  Added to Cart price=60     -> exited budget-shoppers
        day 200
    """,
    "cart-abandoners": """
        day 0 10:00  Added to Cart
        day 0 12:00  Placed Order
        day 1 10:00  Added to Cart
        day 1 14:00  -> entered cart-abandoners
        day 8 10:00  -> exited cart-abandoners
        day 9 10:00  Added to Cart
        day 9 14:00  -> entered cart-abandoners
        day 9 15:00  Placed Order  -> exited cart-abandoners
    """,
    "checkout-abandoners": """
        day 0 10:00  Started Checkout
        day 0 11:00  -> entered checkout-abandoners
        day 0 12:00  Placed Order      -> exited checkout-abandoners
        day 9 10:00  Started Checkout
        day 9 11:00  -> entered checkout-abandoners
        day 16 10:00  -> exited checkout-abandoners
    """,
    "churn-risk": """
        day  0  Placed Order
        day 10  Placed Order
        day 45  Viewed Product
        day 75                     -> entered churn-risk
        day 80  Viewed Product     -> exited churn-risk
        day 110                    -> entered churn-risk
        day 120 Placed Order       -> exited churn-risk
        day 180                    -> entered churn-risk
        day 375                    -> exited churn-risk
    """,
    "disengaged-60d": """
        day  0  Opened Email
        day 10  Received Email
        day 60                  -> entered disengaged-60d
        day 65  Received Email
        day 66  Clicked Email   -> exited disengaged-60d
        day 125
    """,
    "discount-lovers": """
        day 0  Placed Order discount=5
        day 1  Placed Order discount=5.50
        day 2  Placed Order discount=1   -> entered discount-lovers
        day 3  Placed Order discount=0
        day 4  Placed Order              -> exited discount-lovers
    """,
    "first-order-30d": """
        day  0  Placed Order  -> entered first-order-30d
        day 30                -> exited first-order-30d
    """,
    "frequent-90d": """
        day  0 08:00  Placed Order
        day 10 08:00  Placed Order
        day 89 08:00  Placed Order  -> entered frequent-90d
        day 90 08:00                -> exited frequent-90d
    """,
    "full-price-buyers": """
        day 0  Placed Order
        day 1  Placed Order discount=0
        day 2  Placed Order             -> entered full-price-buyers
        day 3  Placed Order discount=5  -> exited full-price-buyers
    """,
    "happy-reviewers": """
        day  0  Submitted Review rating=5  -> entered happy-reviewers
        day 10  Submitted Review rating=4  -> exited happy-reviewers
        day 50  Submitted Review rating=5
        day 100                            -> entered happy-reviewers
        day 140                            -> exited happy-reviewers
    """,
    "high-basket": """
        day 0  Placed Order money=149.99
        day 1  Placed Order money=150.01  -> entered high-basket
        day 2  Placed Order money=149.99  -> exited high-basket
    """,
    "lapsed-90d": """
        day  0  Placed Order
        day 90                -> entered lapsed-90d
        day 95  Placed Order  -> exited lapsed-90d
        day 185               -> entered lapsed-90d
    """,
    "multi-category": f"""
        day   0  Placed Order {SHOES}
        day 100  Placed Order {HATS}   -> entered multi-category
        day 365                        -> exited multi-category
    """,
    "near-store-50km": """
        day 0  Identify trait.country=DE
        day 1  Identify trait.postal_code=14467  -> entered near-store-50km
        day 2  Identify trait.postal_code=20095  -> exited near-store-50km
    """,
    "one-and-done": """
        day   0  Placed Order
        day 120                -> entered one-and-done
        day 130  Placed Order  -> exited one-and-done
    """,
    "opens-half": """
        day 0  Received Email
        day 1  Opened Email
        day 2  Received Email
        day 3  Opened Email
        day 4  Received Email
        day 5  Opened Email
        day 6  Received Email
        day 7  Opened Email
        day 8  Received Email
        day 9  Opened Email    -> entered opens-half
        day 10 Received Email
        day 11 Received Email
        day 12 Received Email
        day 13 Received Email
        day 14 Received Email
        day 15 Received Email  -> exited opens-half
    """,
    "repeat-buyers": """
        day   0  Placed Order
        day 900  Placed Order  -> entered repeat-buyers
    """,
    "returns-often": """
        day   0  Placed Order order_id=1
        day   1  Placed Order order_id=2
        day   2  Placed Order order_id=3
        day   5  Returned Order order_id=1
        day   6  Returned Order order_id=2
        day   7  Returned Order order_id=3  -> entered returns-often
        day   8  Placed Order order_id=4
        day   9  Placed Order order_id=5
        day  10  Placed Order order_id=6
        day  11  Placed Order order_id=7    -> exited returns-often
    """,
    "seasonal-buyers": """
        2025-12-20 12:00  Placed Order   -> entered seasonal-buyers
        2026-02-01 12:00  Placed Order
        2026-02-02 12:00  Placed Order late=100d   -> exited seasonal-buyers
    """,
    "serial-abandoners": """
        day  0  Started Checkout
        day  5  Started Checkout
        day 29  Started Checkout  -> entered serial-abandoners
        day 30                    -> exited serial-abandoners
        day 31  Started Checkout  -> entered serial-abandoners
        day 32  Placed Order      -> exited serial-abandoners
    """,
    "shoe-lovers": """
        day  0  Viewed Product category=shoes
        day  1  Viewed Product category=shoes
        day  2  Viewed Product category=shoes   -> entered shoe-lovers
        day  3  Placed Order items=[{"category":"hats"}]
        day  4  Added to Cart category=hats     -> exited shoe-lovers
        day  5  Viewed Product category=shoes   -> entered shoe-lovers
        day 90                                  -> exited shoe-lovers
    """,
    "sms-only": """
        day 0  Unsubscribed channel=email
        day 1  Subscribed channel=sms      -> entered sms-only
        day 2  Subscribed channel=email    -> exited sms-only
        day 3  Unsubscribed channel=email  -> entered sms-only
        day 4  Unsubscribed channel=sms    -> exited sms-only
    """,
    "stage-at-risk": """
        day   0  Placed Order
        day  90                -> entered stage-at-risk
        day 180                -> exited stage-at-risk
    """,
    "stage-first-time": """
        day  0  Placed Order
        day  7                -> entered stage-first-time
        day 90                -> exited stage-first-time
    """,
    "stage-lapsed": """
        day   0  Placed Order
        day 180                -> entered stage-lapsed
        day 365                -> exited stage-lapsed
    """,
    "stage-lost": """
        day   0  Placed Order
        day 365                -> entered stage-lost
        day 400  Placed Order  -> exited stage-lost
    """,
    "stage-new": """
        day 0  Placed Order  -> entered stage-new
        day 7                -> exited stage-new
        day 8  Placed Order
    """,
    "subscribed-not-purchased-30d": """
        day  0 10:00  Subscribed channel=email list=newsletter
        day  0 11:00  Confirmed Subscription channel=email list=newsletter
        day 30 11:00                -> entered subscribed-not-purchased-30d
        day 40 10:00  Placed Order  -> exited subscribed-not-purchased-30d
    """,
    "unhappy-30d": """
        day  0  Submitted Review rating=2  -> entered unhappy-30d
        day 10  Returned Order
        day 40                             -> exited unhappy-30d
    """,
    "vip": """
        day   0  Placed Order money=200
        day   1  Placed Order money=200
        day   2  Placed Order money=100
        day   3  Placed Order money=0.01  -> entered vip
        day 365                           -> exited vip
    """,
    "window-shoppers": """
        day  0  Viewed Product
        day  1  Viewed Product
        day  2  Viewed Product
        day  3  Viewed Product
        day  4  Viewed Product  -> entered window-shoppers
        day  5  Added to Cart   -> exited window-shoppers
        day 30
        day 40
    """,
}


def told(segment: str) -> str:
    """The segment and what it needs. The clocks are not changed, so each day has 24 hours."""
    return copied(segment, "segment").replace("Europe/Berlin", "UTC")


@pytest.mark.parametrize("segment", sorted(STORIES))
def test_it_holds_from_one_instant_to_another(segment: str) -> None:
    play(told(segment), STORIES[segment])


@pytest.mark.parametrize("days", [30, 60, 90])
def test_engaged_is_who_reacted_lately_and_may_be_written_to(days: int) -> None:
    name = f"engaged-{days}d"
    play(
        told(name),
        f"""
        day 0 10:00           Opened Email         -> entered {name}
        day 10 09:00          Clicked Email
        day {days + 10} 09:00                      -> exited {name}
        day {days + 20} 12:00  Placed Order        -> entered {name}
        day {days + 21} 12:00  Unsubscribed channel=email  -> exited {name}
        day {days + 22} 12:00  Clicked Email
        """,
    )


def test_never_purchased_is_who_has_an_address_and_no_order() -> None:
    stage = play(told("never-purchased"), "day 0  Viewed Product")
    assert stage.row is not None
    assert stage.row.segments["never-purchased"].since is not None, "since the subscription"
    play(
        told("never-purchased"),
        "day 0  Placed Order  -> exited never-purchased",
    )


def test_one_in_ten_is_kept_for_comparison_always_the_same_ones() -> None:
    names = [f"i-{number}" for number in range(200)]
    kept = [_members("control-10pct", name) for name in names]
    assert kept == [_members("control-10pct", name) for name in names]
    assert 10 <= sum(map(bool, kept)) <= 30


def _members(segment: str, profile: str) -> set[str]:
    stage = play(told(segment), "", profile=profile)
    assert stage.row is not None
    return {name for name, one in stage.row.segments.items() if one.since is not None}


# --- lifecycle -----------------------------------------------------------------------------------

STAGES = tuple(name for name in SEGMENTS if name.startswith("stage-"))


def test_a_customer_goes_through_the_stages() -> None:
    play(
        _lifecycle(),
        """
        day   0  Placed Order money=200  -> entered stage-new
        day   7   -> entered stage-first-time; exited stage-new
        day  20  Placed Order money=200  -> exited stage-first-time; entered stage-repeat
        day  40  Placed Order money=90
        day  50  Placed Order money=5    -> entered stage-loyal; exited stage-repeat
        day  60  Placed Order money=50
                 -> entered vip; exited stage-loyal; entered stage-vip
        day 150   -> entered stage-at-risk; exited stage-vip
        day 240   -> exited stage-at-risk; entered stage-lapsed
        day 365   -> exited vip
        day 425   -> exited stage-lapsed; entered stage-lost
        day 430  Placed Order money=5    -> exited stage-lost; entered stage-loyal
        """,
    )


@pytest.mark.parametrize("seed", range(6))
def test_every_customer_is_in_exactly_one_stage_at_every_instant(seed: int) -> None:
    chance = random.Random(seed)
    stage = Stage(_lifecycle())
    start = to_instant("2026-01-01T00:00:00Z")
    at = start
    who = (("email", "ann@example.com"),)
    for number in range(12):
        at += chance.choice([0, HOUR, 3 * DAY, 40 * DAY, 90 * DAY, 100 * DAY, 370 * DAY])
        late = chance.choice([0, 0, 0, DAY, 95 * DAY])
        money = str(chance.choice([5, 90, 400]))
        order = event_of("Placed Order", f"o{number}", at, who, {}, late=late, money=money)
        stage.happen(order)
        _assert_one_stage(stage)
    stage.wake_until(at + 400 * DAY)
    _assert_one_stage(stage)
    changes = [(moment, text) for moment, text in stage.told if "stage-" in text]
    for (before, left), (after, entered) in pairwise(changes):
        assert before <= after
        assert left != entered


def _assert_one_stage(stage: Stage) -> None:
    assert stage.row is not None
    found = [
        name
        for name in STAGES
        if (one := stage.row.segments.get(name)) is not None and one.since is not None
    ]
    assert len(found) == 1, found


def _lifecycle() -> str:
    files = [*STAGES, "vip"]
    texts = [(LIBRARY / "segments" / f"{name}.yaml").read_text() for name in files]
    return "\n---\n".join(texts)


# --- RFM -----------------------------------------------------------------------------------------

GROUPS = tuple(name for name in SEGMENTS if name.startswith("rfm-"))


def test_the_groups_have_the_cut_points_of_the_leaf() -> None:
    """Each file and the leaf of its name are the same condition, as far as logic can say."""
    texts = [(LIBRARY / "segments" / f"{name}.yaml").read_text() for name in GROUPS]
    leaves = [{"segment": f"leaf-{n}", "where": {"rfm": n.removeprefix("rfm-")}} for n in GROUPS]
    documents = [*documents_of("\n---\n".join(texts)), *leaves]
    parsed = parse(documents)
    assert not parsed.errors
    read = {one.id: one.where for one in parsed.definitions.values() if isinstance(one, Segment)}
    logic = Logic(read)
    for name in GROUPS:
        assert logic.is_contained(read[name], read[f"leaf-{name}"]), name
        assert logic.is_contained(read[f"leaf-{name}"], read[name]), name
        others = [other for other in GROUPS if other != name]
        for other in others:
            assert logic.is_empty(c.AllOf((read[name], read[other]))), (name, other)


def test_a_customer_goes_through_the_groups() -> None:
    files = ["recent", "needs-attention", "inactive", "loyal", "champions", "at-risk"]
    texts = [(LIBRARY / "segments" / f"rfm-{name}.yaml").read_text() for name in files]
    play(
        "\n---\n".join(texts),
        """
        day   0  Placed Order money=40  -> entered rfm-recent
        day  60   -> entered rfm-needs-attention; exited rfm-recent
        day 180   -> entered rfm-inactive; exited rfm-needs-attention
        day 200  Placed Order money=40  -> exited rfm-inactive; entered rfm-loyal
        day 380   -> entered rfm-at-risk; exited rfm-loyal
        """,
    )


# --- the page ------------------------------------------------------------------------------------


def test_every_segment_has_its_story() -> None:
    told = {*STORIES, "engaged-30d", "engaged-60d", "engaged-90d", "never-purchased"}
    told |= {"control-10pct", "top-spenders", *STAGES, *GROUPS}
    assert told == set(SEGMENTS)


def test_the_page_lists_every_segment_by_its_name() -> None:
    listed = dict(re.findall(r"^\| \[`(.+?)`\]\(.+?\) \| (.+?) \|", PAGE.read_text(), re.MULTILINE))
    named = {one.id: one.name for one in definitions().values() if isinstance(one, Segment)}
    assert listed == named
