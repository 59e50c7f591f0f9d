"""The library of flows, each as a story: who gets what and when, and what they are spared."""

import shutil
from pathlib import Path

import pytest

from agents.definitions import load
from schemas.outputs import NotificationRequested
from tests.scenarios.flow_pages import PAGES, pages
from tests.scenarios.library import FLOWS, LIBRARY, SETTINGS, copied, files_of
from tests.scenarios.play import Stage, play
from tests.scenarios.test_products import changed

COFFEE = 'items=[{"product_id":"c1","category":"coffee"}]'
MUGS = 'items=[{"product_id":"m1","category":"mugs"}]'


def test_the_whole_library_has_no_problem() -> None:
    assert load(LIBRARY).problems == []


@pytest.mark.parametrize("flow", FLOWS)
def test_a_shop_can_copy_one_flow_with_what_it_needs(flow: str, tmp_path: Path) -> None:
    for file in [*files_of(flow), SETTINGS]:
        shutil.copy(file, tmp_path)
    assert load(tmp_path).problems == []


def test_the_pages_are_those_of_the_files() -> None:
    there = {path.name: path.read_text() for path in PAGES.iterdir()}
    assert there == pages(), "python -m tests.scenarios.flow_pages writes them anew"


def notified(stage: Stage) -> list[str]:
    """What support was told."""
    told = [one.record for one in stage.outputs]
    return [one.message for one in told if isinstance(one, NotificationRequested)]


# --- welcome -------------------------------------------------------------------------------------


def test_nobody_is_welcomed_before_the_subscription_is_confirmed() -> None:
    play(
        copied("welcome"),
        """
        day 0 10:00  Subscribed channel=email list=newsletter
        day 2 18:30  Confirmed Subscription channel=email list=newsletter
                     -> starts welcome; sends welcome-1
        day 4 18:30  -> sends welcome-2
        day 7 18:30  -> sends welcome-3
        """,
        granted=(),
    )


def test_who_never_confirms_hears_nothing() -> None:
    play(
        copied("welcome"),
        """
        day  0 10:00  Subscribed channel=email list=newsletter
        day 60 10:00
        """,
        granted=(),
    )


def test_the_welcome_is_cut_short_by_an_order_and_by_leaving_the_list() -> None:
    joined = """
        day 0 10:00  Subscribed channel=email list=newsletter
        day 0 10:05  Confirmed Subscription channel=email list=newsletter
                     -> starts welcome; sends welcome-1
    """
    buys = """
        day 1 09:00  Placed Order money=40
        day 2 10:05  -> drops welcome-2: send-filter
        day 5 10:05  -> drops welcome-3: send-filter
    """
    leaves = """
        day 3 09:00  Unsubscribed channel=email list=newsletter
        day 5 10:05  -> skips welcome-3: left-list
    """
    play(copied("welcome"), joined + buys, granted=())
    play(copied("welcome"), joined + "day 2 10:05 -> sends welcome-2" + leaves, granted=())


def test_who_takes_back_all_consent_while_being_welcomed_gets_no_more() -> None:
    play(
        copied("welcome"),
        """
        day 0 10:00  Subscribed channel=email list=newsletter
        day 0 10:05  Confirmed Subscription channel=email list=newsletter
                     -> starts welcome; sends welcome-1
        day 1 08:00  Unsubscribed channel=email
        day 2 10:05  -> drops welcome-2: no-consent
        day 5 10:05  -> drops welcome-3: no-consent
        """,
        granted=(),
    )


# --- carts and products --------------------------------------------------------------------------


def test_a_cart_is_remembered_after_four_hours_and_a_day_later() -> None:
    play(
        copied("abandoned-cart"),
        """
        day 0 10:00  Started Checkout money=80  -> starts abandoned-cart
        day 0 14:00                             -> sends cart-1
        day 1 14:00                             -> sends cart-2
        day 1 15:00  Started Checkout money=20  -> refuses abandoned-cart: re-entry
        day 7 09:59  Started Checkout money=20  -> refuses abandoned-cart: re-entry
        day 7 10:00  Started Checkout money=20  -> starts abandoned-cart
        day 7 12:00  Placed Order money=20
        day 7 14:00                             -> drops cart-1: flow-filter
        day 8 14:00                             -> drops cart-2: flow-filter
        """,
    )


def test_an_order_one_minute_before_the_second_reminder_is_in_time() -> None:
    play(
        copied("abandoned-cart"),
        """
        day 0 10:00  Started Checkout money=80  -> starts abandoned-cart
        day 0 14:00                             -> sends cart-1
        day 1 13:59  Placed Order money=80
        day 1 14:00                             -> drops cart-2: flow-filter
        """,
    )


def test_an_empty_or_old_checkout_is_no_abandoned_cart() -> None:
    play(
        copied("abandoned-cart"),
        """
        day 0 10:00  Started Checkout money=0
        day 0 11:00  Started Checkout money=80 late=2h  -> refuses abandoned-cart: too-old
        day 3 11:00
        """,
    )


def test_a_product_that_was_only_looked_at_is_shown_again_two_hours_later() -> None:
    play(
        copied("browse-abandonment"),
        """
        day  0 10:00  Viewed Product trust=client  -> starts browse-abandonment
        day  0 11:00  Viewed Product trust=client
                      -> refuses browse-abandonment: already-running, re-entry
        day  0 12:00                               -> sends browse-1
        day 13 12:00  Viewed Product trust=client  -> refuses browse-abandonment: re-entry
        day 14 10:00  Viewed Product trust=client  -> starts browse-abandonment
        day 14 10:20  Added to Cart trust=client
        day 14 12:00                               -> drops browse-1: flow-filter
        """,
    )


# --- after the order -----------------------------------------------------------------------------


def test_an_order_is_thanked_for_shipped_reviewed_and_followed_up() -> None:
    play(
        copied("post-purchase"),
        """
        day  0 10:00  Placed Order order_id=A money=40  -> starts post-purchase; sends thanks-first
        day  2 16:00  Fulfilled Order order_id=A        -> sends shipped
        day 12 16:00                                    -> sends review-request
        day 26 16:00                                    -> sends cross-sell
        day 30 10:00  Placed Order order_id=B money=40  -> starts post-purchase; sends thanks-again
        day 31 10:00  Fulfilled Order order_id=B        -> sends shipped
        """,
    )


def test_who_orders_again_gets_no_cross_sell_and_each_order_its_own_shipping_news() -> None:
    play(
        copied("post-purchase"),
        """
        day  0 10:00  Placed Order order_id=A money=40  -> starts post-purchase; sends thanks-first
        day  1 10:00  Placed Order order_id=B money=40  -> starts post-purchase; sends thanks-again
        day  2 10:00  Fulfilled Order order_id=B        -> sends shipped
        day  3 10:00  Fulfilled Order order_id=A        -> sends shipped
        day 12 10:00                                    -> sends review-request
        day 13 10:00                                    -> sends review-request
        day 26 10:00                                    -> sends cross-sell
        day 27 10:00                                    -> drops cross-sell: send-filter
        """,
    )


def test_a_cancelled_order_ends_its_own_messages_only() -> None:
    play(
        copied("post-purchase"),
        """
        day  0 10:00  Placed Order order_id=A money=40  -> starts post-purchase; sends thanks-first
        day  0 12:00  Placed Order order_id=B money=40  -> starts post-purchase; sends thanks-again
        day  1 10:00  Cancelled Order order_id=A
        day  1 11:00  Fulfilled Order order_id=B        -> sends shipped
        day  2 11:00  Fulfilled Order order_id=A        -> drops shipped: flow-filter
        day 11 11:00                                    -> sends review-request
        day 12 11:00                                    -> drops review-request: flow-filter
        day 25 11:00                                    -> sends cross-sell
        day 26 11:00                        -> drops cross-sell: flow-filter, send-filter
        """,
    )


def test_shipping_news_are_owed_also_to_who_wants_no_advertising() -> None:
    play(
        copied("post-purchase"),
        """
        day  0 10:00  Placed Order order_id=A money=40
                      -> starts post-purchase; drops thanks-first: no-consent
        day  2 16:00  Fulfilled Order order_id=A        -> sends shipped
        day 12 16:00                                    -> drops review-request: no-consent
        day 26 16:00                                    -> drops cross-sell: no-consent
        """,
        granted=(),
    )


def test_support_hears_of_an_order_that_nobody_ships() -> None:
    stage = play(
        copied("post-purchase"),
        """
        day  0 10:00  Placed Order order_id=A money=40  -> starts post-purchase; sends thanks-first
        day 60 10:00
        """,
    )
    assert notified(stage) == ["An order was not shipped within 14 days"]


def test_coffee_is_reordered_when_it_runs_out() -> None:
    play(
        copied("replenishment"),
        f"""
        day  0 10:00  Placed Order {COFFEE}  -> starts replenishment
        day  9 10:00  Placed Order {MUGS}
        day 25 10:00                         -> sends refill-1
        day 35 10:00                         -> sends refill-2
        """,
    )


def test_who_reorders_in_time_is_reminded_from_then_on() -> None:
    play(
        copied("replenishment"),
        f"""
        day  0 10:00  Placed Order {COFFEE}  -> starts replenishment
        day 20 12:00  Placed Order {COFFEE}  -> ends replenishment: goal-reached
                                             -> starts replenishment
        day 45 12:00                         -> sends refill-1
        day 46 08:00  Placed Order {COFFEE}  -> ends replenishment: goal-reached
                                             -> starts replenishment
        day 71 08:00                         -> sends refill-1
        day 81 08:00                         -> sends refill-2
        """,
    )


# --- quiet customers -----------------------------------------------------------------------------


# Ninety days are 90 x 24 h: who bought at ten in winter is due at eleven in summer.


def test_who_keeps_away_for_ninety_days_is_asked_back_three_times() -> None:
    play(
        copied("winback"),
        """
        day   0 10:00  Placed Order
        day  90 11:00                -> entered lapsed-90d; starts winback; sends winback-1
        day  97 11:00                -> sends winback-offer
        day 111 11:00                -> sends winback-last
        """,
    )


def test_who_comes_back_is_left_alone_and_not_asked_again_within_half_a_year() -> None:
    play(
        copied("winback"),
        """
        day   0 10:00  Placed Order
        day  90 11:00                -> entered lapsed-90d; starts winback; sends winback-1
        day  95 08:00  Placed Order  -> exited lapsed-90d
        day  97 11:00                -> skips winback-offer: left-segment
        day 111 11:00                -> skips winback-last: left-segment
        day 185 08:00                -> entered lapsed-90d; refuses winback: re-entry
        """,
    )


ASLEEP = """
    day   0 10:00  Joined List list=newsletter
    day   0 11:00  Received Email
    day  20 10:00  Opened Email
    day  30 10:00  Received Email
    day  60 10:00  Received Email
    day  90 10:00  Received Email
    day 130 10:00  Received Email
    day 140 11:00                   -> entered asleep-120d; starts sunset; sends still-there
"""


def test_who_reacts_to_nothing_for_four_months_is_asked_once_and_let_go() -> None:
    stage = play(
        copied("sunset"),
        ASLEEP
        + """
        day 150 11:00                  -> exited asleep-120d
        day 154 11:00
        """,
    )
    assert stage.row is not None
    newsletter = stage.row.lists["newsletter"]
    assert newsletter.left_at > newsletter.joined_at
    assert stage.row.traits["sunset_at"].value == "2026-06-04T09:00:00.000Z"


def test_who_wakes_up_stays_on_the_newsletter() -> None:
    stage = play(
        copied("sunset"),
        ASLEEP
        + """
        day 141 07:00  Opened Email    -> exited asleep-120d
        day 160 10:00
        """,
    )
    assert stage.row is not None
    newsletter = stage.row.lists["newsletter"]
    assert newsletter.joined_at > newsletter.left_at
    assert "sunset_at" not in stage.row.traits


def test_who_was_hardly_written_to_is_not_asleep() -> None:
    play(
        copied("sunset"),
        """
        day   0 11:00  Received Email
        day  30 10:00  Received Email
        day  60 10:00  Received Email
        day 200 10:00
        """,
    )


# --- occasions -----------------------------------------------------------------------------------


def test_a_present_comes_before_the_birthday_and_wishes_on_the_day() -> None:
    play(
        copied("birthday"),
        """
        2026-01-05 12:00  Identify trait.birthday=1990-06-12
        2026-06-09 10:00  -> starts birthday; sends birthday-present
        2026-06-12 10:00  -> sends birthday-wishes
        2027-06-09 10:00  -> starts birthday; sends birthday-present
        2027-06-10 08:00  Placed Order money=30
        2027-06-12 10:00  -> drops birthday-wishes: send-filter
        """,
    )


def test_the_birthday_comes_at_ten_where_the_customer_lives() -> None:
    play(
        copied("birthday"),
        """
        2026-01-05 12:00  Identify trait.birthday=1990-06-12 trait.timezone=America/New_York
        2026-06-09 16:00  -> starts birthday; sends birthday-present
        2026-06-12 16:00  -> sends birthday-wishes
        """,
    )


def test_five_stars_are_asked_to_recommend_the_shop_once_in_ninety_days() -> None:
    stage = play(
        copied("review-reactions"),
        """
        day  0 10:00  Submitted Review rating=5  -> starts review-reactions; sends referral
        day 89 10:00  Submitted Review rating=5  -> starts review-reactions
        day 91 10:00  Submitted Review rating=5  -> starts review-reactions; sends referral
        """,
    )
    assert notified(stage) == []


def test_one_star_goes_to_support_each_time_and_to_nobody_else() -> None:
    stage = play(
        copied("review-reactions"),
        """
        day 0 10:00  Submitted Review rating=1  -> starts review-reactions
        day 0 10:01  Submitted Review rating=2  -> starts review-reactions
        day 0 10:02  Submitted Review rating=3  -> starts review-reactions
        day 0 10:03  Submitted Review           -> starts review-reactions
        """,
    )
    assert notified(stage) == ["A review of two stars or fewer"] * 2
    assert stage.row is not None
    assert stage.row.traits["last_complaint_at"].value == "2026-01-01T09:01:00.000Z"


def test_the_third_order_over_five_hundred_makes_a_vip() -> None:
    play(
        copied("vip"),
        """
        day  0 10:00  Placed Order money=300
        day 10 10:00  Placed Order money=300
        day 20 10:00  Placed Order money=10   -> entered vip; starts vip; sends vip-welcome
        day 21 10:00                          -> sends vip-code to +4930123456
        """,
        granted=("email", "sms"),
    )


def test_a_vip_without_a_phone_to_write_to_gets_the_code_by_e_mail_once_a_year() -> None:
    play(
        copied("vip"),
        """
        day   0 10:00  Placed Order money=300
        day  10 10:00  Placed Order money=300
        day  20 10:00  Placed Order money=10   -> entered vip; starts vip; sends vip-welcome
        day  21 10:00                          -> sends vip-code-email
        day 365 10:00                          -> exited vip
        day 366 10:00  Placed Order money=300  -> entered vip; refuses vip: re-entry
        """,
    )


# --- products ------------------------------------------------------------------------------------

BOUGHT = 'items=[{"product_id":"p1"}]'


def test_who_asked_and_who_looked_are_told_that_it_is_there_again() -> None:
    play(
        copied("back-in-stock"),
        f"""
        day  0 10:00  Subscribed to Back in Stock product_id=p1
        day 90 10:00  {changed("p1", inventory=(0, 12))}  -> starts back-in-stock; sends there-again
        day 95 10:00  {changed("p1", inventory=(0, 12))}  -> refuses back-in-stock: re-entry
        day 95 11:00  {changed("p2", inventory=(0, 12))}  -> refuses back-in-stock: not-interested
        day 95 12:00  Viewed Product product_id=p2 trust=client
        day 96 10:00  {changed("p2", inventory=(3, 12))}
        day 97 10:00  {changed("p2", inventory=(0, 12))}  -> starts back-in-stock; sends there-again
        """,
    )


def test_who_has_bought_it_is_not_told_that_it_is_there_again_or_cheaper() -> None:
    bought = f"""
        day 0 10:00  Viewed Product product_id=p1
        day 1 10:00  Placed Order {BOUGHT}
    """
    there_again, cheaper = changed("p1", inventory=(0, 12)), changed("p1", price=(80, 60))
    play(
        copied("back-in-stock"),
        bought + f"day 2 10:00  {there_again}  -> refuses back-in-stock: flow-filter",
    )
    play(
        copied("price-drop"), bought + f"day 2 10:00  {cheaper}  -> refuses price-drop: flow-filter"
    )


def test_a_tenth_less_is_told_to_who_looked_at_it_within_a_month() -> None:
    play(
        copied("price-drop"),
        f"""
        day  0 10:00  Viewed Product product_id=p1 trust=client
        day  5 10:00  {changed("p1", price=(80, 75))}
        day  6 10:00  {changed("p1", price=(80, 72))}  -> starts price-drop; sends cheaper-now
        day  7 10:00  {changed("p1", price=(72, 60))}  -> refuses price-drop: re-entry
        day 31 10:00  {changed("p1", price=(72, 60))}
                      -> refuses price-drop: re-entry, not-interested
        """,
    )
