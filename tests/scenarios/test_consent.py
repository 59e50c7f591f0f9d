"""Consent as stories: what a reply means, what a carrier says, what a cart may still be told of."""

import pytest

from tests.scenarios.play import go_on, play

STORE = """
store: main
zone: UTC
address: Somewhere 1
"""


def flow(metric: str, *steps: str, more: str = "") -> str:
    lines = "\n".join(f"  - {step}" for step in steps)
    name = metric.rsplit(maxsplit=1)[-1].lower()
    return f"flow: {name}\ntrigger: {{did: {metric}}}\n{more}\nsteps:\n{lines}\n---\n"


TEXT = flow("Viewed Product", "{send: hint, channel: sms, template: t, smart_sending: false}")
RECEIPT = flow("Placed Order", "{send: receipt, channel: sms, template: t, transactional: true}")
MAIL = flow("Viewed Product", "{send: news, channel: email, template: t, smart_sending: false}")
NO = "-> starts product; drops hint: no-consent"
YES = "-> starts product; sends hint"


@pytest.mark.parametrize("body", ["STOP", "stop.", "Please,STOP,now", "unsubscribe-me", "Quit!"])
def test_words_that_stop_are_heard_anywhere_in_a_reply(body: str) -> None:
    play(
        TEXT + STORE,
        f"""
        day 0 10:00  Received SMS Reply body={body}
        day 0 11:00  Viewed Product  {NO}
        """,
        granted=("sms",),
    )


@pytest.mark.parametrize("body", ["stopping", "don't-quitter", "hello"])
def test_other_words_stop_nothing(body: str) -> None:
    play(
        TEXT + STORE,
        f"""
        day 0 10:00  Received SMS Reply body={body}
        day 0 11:00  Viewed Product  {YES}
        """,
        granted=("sms",),
    )


OWN_WORDS = STORE + "sms_keywords: {stop: [ABMELDEN], match: {stop: exact}}\n"


def test_a_store_has_words_of_its_own_and_stop_means_stop_all_the_same() -> None:
    for body in ("abmelden", "STOP"):
        play(
            TEXT + OWN_WORDS,
            f"""
            day 0 10:00  Received SMS Reply body={body}
            day 0 11:00  Viewed Product  {NO}
            """,
            granted=("sms",),
        )


def test_an_exact_word_is_the_whole_reply_but_not_for_numbers_of_the_united_states() -> None:
    script = """
        day 0 10:00  Received SMS Reply body=nonstop,STOP
        day 0 15:00  Viewed Product  {}
        """
    play(TEXT + OWN_WORDS, script.format(YES), granted=("sms",))
    american = script.replace("body", "phone=+12125550100 body").replace("Viewed Product", US)
    play(TEXT + OWN_WORDS, "day 0  Subscribed channel=sms phone=+12125550100" + american.format(NO))


US = "Viewed Product phone=+12125550100"


def test_a_reply_that_asks_for_help_can_be_answered_by_a_flow() -> None:
    answer = "{send: help, channel: sms, template: help, transactional: true}"
    helps = f"""
flow: help
trigger: {{did: Received SMS Reply, where: {{keyword: help}}}}
steps:
  - {answer}
---
{STORE}"""
    play(
        helps,
        """
        day 0 22:00  Received SMS Reply body=info    -> starts help; sends help
        day 0 23:00  Received SMS Reply body=thanks
        day 0 23:00  Received SMS Reply body=help trust=client
        """,
        granted=(),
    )


@pytest.mark.parametrize("reason", ["Marked SMS as Spam", "Suppressed channel=sms reason=manual"])
def test_what_a_new_subscription_has_cleared_stays_cleared_when_marketing_is_denied_again(
    reason: str,
) -> None:
    play(
        TEXT + RECEIPT + STORE,
        f"""
        day 0 10:00  {reason}
        day 0 11:00  Placed Order    -> starts order; drops receipt: suppressed
        day 1 10:00  Subscribed channel=sms
        day 1 11:00  Unsubscribed channel=sms
        day 1 12:00  Viewed Product  -> starts product; drops hint: no-consent
        day 1 13:00  Placed Order    -> starts order; sends receipt
        day 2 10:00  {reason}
        day 2 11:00  Placed Order    -> starts order; drops receipt: suppressed
        """,
        granted=("sms",),
    )


GREETED = """
list: news
---
flow: hello
trigger: {joins: news}
steps:
  - {send: text, channel: sms, template: t}
  - {send: mail, channel: email, template: t}
---
"""


def test_who_answers_yes_has_confirmed_for_texts_and_e_mail_and_is_on_the_list() -> None:
    play(
        GREETED + STORE,
        """
        day 0 09:00  Received SMS Reply body=yes
        day 0 10:00  Subscribed list=news channel=sms
        day 0 10:00  Subscribed list=news channel=email
        day 0 10:01  Received SMS Reply body=yes,please
        day 0 10:02  Received SMS Reply body=Y trust=client
        day 0 10:03  Received SMS Reply body=Yes!  -> starts hello; sends text; sends mail
        day 1 10:00  Received SMS Reply body=STOP
        day 1 11:00  Received SMS Reply body=YES
        """,
        granted=(),
    )


def test_a_number_that_its_carrier_gave_up_gets_nothing_until_somebody_subscribes_with_it() -> None:
    play(
        TEXT + RECEIPT + STORE,
        """
        day 0 10:00  Suppressed channel=sms reason=carrier-deactivation
        day 0 11:00  Viewed Product  -> starts product; drops hint: suppressed, no-consent
        day 0 12:00  Placed Order    -> starts order; drops receipt: suppressed
        day 1 10:00  Subscribed channel=sms
        day 1 11:00  Viewed Product  -> starts product; sends hint
        """,
        granted=("sms",),
    )


def test_messages_about_a_purchase_may_be_denied_too_and_marketing_is_another_matter() -> None:
    play(
        TEXT + RECEIPT + STORE,
        """
        day 0 10:00  Unsubscribed channel=sms
        day 0 11:00  Placed Order                                  -> starts order; sends receipt
        day 1 10:00  Unsubscribed channel=sms purpose=transactional
        day 1 11:00  Placed Order            -> starts order; drops receipt: no-consent
        day 2 10:00  Subscribed channel=sms
        day 2 11:00  Placed Order            -> starts order; drops receipt: no-consent
        day 2 12:00  Viewed Product          -> starts product; sends hint
        day 3 10:00  Subscribed channel=sms purpose=transactional
        day 3 11:00  Placed Order            -> starts order; sends receipt
        """,
        granted=("sms",),
    )


def test_a_new_subscription_lifts_a_complaint_and_a_manual_word_but_no_dead_address() -> None:
    sends, drops = "-> starts product; sends news", "-> starts product; drops news: suppressed"
    for event, then in (
        ("Marked Email as Spam", sends),
        ("Suppressed channel=email reason=manual", sends),
        ("Bounced Email bounce=hard", drops),
        ("Suppressed channel=email reason=invalid-address", drops),
    ):
        play(
            MAIL + STORE,
            f"""
            day 0 10:00  {event}
            day 1 10:00  Subscribed channel=email
            day 1 11:00  Viewed Product  {then}
            """,
        )


def test_the_eighth_soft_bounce_in_a_row_suppresses_and_a_delivery_begins_the_row_anew() -> None:
    bounces = "\n".join(f"day {day} 10:00  Bounced Email bounce=soft" for day in range(7))
    play(
        MAIL + STORE,
        f"""
        {bounces}
        day 7 10:00  Viewed Product              -> starts product; sends news
        day 8 10:00  Bounced Email bounce=soft
        day 8 11:00  Viewed Product              -> starts product; drops news: suppressed
        """,
    )
    play(
        MAIL + STORE,
        f"""
        {bounces}
        day 7 10:00  Received Email
        day 8 10:00  Bounced Email bounce=soft
        day 8 11:00  Viewed Product              -> starts product; sends news
        """,
    )


# --- texts about carts ---------------------------------------------------------------------------

CART_STEPS = (
    "wait: 5h",
    "{send: cart-1, channel: sms, template: t, smart_sending: false, quiet_hours: ignore}",
    "wait: 1d",
    "{send: cart-2, channel: sms, template: t, smart_sending: false, quiet_hours: ignore}",
)
CARTS = "list: texts\n---\n" + flow("Started Checkout", *CART_STEPS) + STORE
US_CHECKOUT = "Started Checkout phone=+12125550100"


def test_an_american_cart_is_told_of_once() -> None:
    play(
        CARTS,
        f"""
        day 0 09:00  Subscribed channel=sms list=texts phone=+12125550100
        day 0 10:00  Confirmed Subscription channel=sms phone=+12125550100
        day 0 11:00  {US_CHECKOUT} cart_token=c1      -> starts checkout
        day 0 16:00                                   -> sends cart-1
        day 1 16:00                                   -> drops cart-2: cart-text-repeated
        day 2 11:00  {US_CHECKOUT} cart_token=c1      -> starts checkout
        day 2 16:00                                   -> drops cart-1: cart-text-repeated
        day 3 16:00                                   -> drops cart-2: cart-text-repeated
        day 4 11:00  {US_CHECKOUT} cart_token=c2      -> starts checkout
        day 4 16:00                                   -> sends cart-1
        day 5 16:00                                   -> drops cart-2: cart-text-repeated
        """,
        granted=(),
    )


def test_an_american_cart_is_not_told_of_after_two_days_nor_without_a_confirmation() -> None:
    late = CARTS.replace("wait: 5h", "wait: 49h")
    play(
        late,
        f"""
        day 0 09:00  Subscribed channel=sms list=texts phone=+12125550100
        day 0 10:00  Confirmed Subscription channel=sms phone=+12125550100
        day 0 11:00  {US_CHECKOUT}  -> starts checkout
        day 2 12:00                 -> drops cart-1: cart-text-late
        day 3 12:00                 -> drops cart-2: cart-text-late
        """,
        granted=(),
    )
    play(
        CARTS,
        f"""
        day 0 10:00  Subscribed channel=sms phone=+12125550100
        day 0 11:00  {US_CHECKOUT}  -> starts checkout
        day 0 16:00                 -> drops cart-1: cart-text-not-confirmed
        day 1 16:00                 -> drops cart-2: cart-text-not-confirmed
        """,
        granted=(),
    )


def test_a_cart_elsewhere_may_be_told_of_as_often_as_the_flow_says() -> None:
    play(
        CARTS,
        """
        day 0 11:00  Started Checkout  -> starts checkout
        day 0 16:00                    -> sends cart-1
        day 1 16:00                    -> sends cart-2
        """,
        granted=("sms",),
    )


# --- a cap keeps places for what matters more ----------------------------------------------------

LOUD = "smart_sending: false"
CAP = "frequency_cap: [{channels: [email], at_most: 2, in_last: 7d}]\n"
NEWS = flow("Viewed Product", f"{{send: news, channel: email, template: t, {LOUD}, priority: low}}")
CART = flow(
    "Started Checkout",
    "wait: 2d",
    f"{{send: cart, channel: email, template: t, {LOUD}, priority: high}}",
    more="filter: {none: [{did: Placed Order, since: flow_start}]}",
)


def test_a_send_yields_to_one_of_a_higher_priority_that_the_cap_would_not_let_pass() -> None:
    stage = play(
        NEWS + CART + STORE + CAP,
        """
        day 0 10:00  Viewed Product    -> starts product; sends news
        day 1 10:00  Started Checkout  -> starts checkout
        day 2 10:00  Viewed Product    -> starts product; drops news: frequency-cap
        day 3 10:00                    -> sends cart
        day 4 10:00  Viewed Product    -> starts product; drops news: frequency-cap
        """,
    )
    decided = [output.record for output in stage.outputs if output.to == "send-decisions"]
    found = [one.evidence[0].value for one in decided if one.outcome == "dropped"]
    assert found == ["kept for checkout/cart", "2 in 7d"]


def test_no_place_is_kept_for_a_send_that_its_filter_would_stop() -> None:
    play(
        NEWS + CART + STORE + CAP,
        """
        day 0 10:00  Viewed Product    -> starts product; sends news
        day 1 10:00  Started Checkout  -> starts checkout
        day 1 11:00  Placed Order
        day 2 10:00  Viewed Product    -> starts product; sends news
        day 3 10:00                    -> drops cart: frequency-cap, flow-filter
        """.replace("frequency-cap, flow-filter", "flow-filter, frequency-cap"),
    )


def test_of_two_flows_that_one_event_starts_the_higher_priority_is_sent() -> None:
    def one(name: str, priority: str) -> str:
        send = f"{{send: {name}, channel: email, template: t, {LOUD}, priority: {priority}}}"
        return flow("Viewed Product", send).replace("flow: product", f"flow: {name}")

    stage = play(
        one("a", "normal") + one("b", "high") + one("c", "low") + STORE + CAP.replace("2", "1"),
        """
        day 0 10:00  Viewed Product
                     -> starts a; starts b; starts c; drops a: frequency-cap; sends b
                     -> drops c: frequency-cap
        """,
    )
    go_on(stage, "day 1 10:00")


def test_a_request_that_was_taken_back_is_not_granted_by_a_late_confirmation() -> None:
    play(
        MAIL + STORE + "---\nlist: nl\nopt_in: double\n",
        """
        day 0 08:00  Subscribed list=nl
        day 0 08:10  Unsubscribed list=nl
        day 0 08:20  Confirmed Subscription list=nl
        day 0 11:00  Viewed Product  -> starts product; drops news: no-consent
        """,
    )


def test_leaving_a_list_twice_is_not_leaving_everything() -> None:
    play(
        MAIL + STORE + "---\nlist: nl\nopt_in: single\n",
        """
        day 0 08:00  Subscribed list=nl
        day 0 08:10  Unsubscribed list=nl
        day 0 08:11  Unsubscribed list=nl
        day 0 11:00  Viewed Product  -> starts product; sends news
        """,
        granted=("email",),
    )
