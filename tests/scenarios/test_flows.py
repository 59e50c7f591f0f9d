"""Flows as stories: who enters, what they get and when, and what they are spared."""

from tests.scenarios.play import WHO, Stage, event_of, play

STORE = """
store: main
zone: UTC
address: "Beispielgasse 1, 10115 Berlin"
"""

WINBACK = (
    """
segment: winback
where:
  all:
    - {did: Placed Order, times: ">= 2"}
    - {did_not: Placed Order, in_last: 60d}
    - {can_receive: email}
---
flow: come-back
trigger: {enters: winback}
steps:
  - send: miss-you
    channel: email
    template: miss-you
  - wait: 7d
  - send: last-call
    channel: email
    template: last-call
---
"""
    + STORE
)

CART = (
    """
flow: abandoned-cart
trigger: {did: Started Checkout, where: {value: "> 0"}}
filter: {none: [{did: Placed Order, since: flow_start}]}
re_entry: {after: 7d}
steps:
  - wait: 4h
  - {send: cart-1, channel: email, template: cart-reminder}
  - wait: 24h
  - {send: cart-2, channel: email, template: cart-reminder}
---
"""
    + STORE
)


def test_winback_opens_after_sixty_quiet_days_and_writes_once_and_again() -> None:
    play(
        WINBACK,
        """
        day  0  Placed Order
        day  2  Placed Order
        day 62                  -> entered winback; starts come-back; sends miss-you
        day 69                  -> sends last-call
        """,
    )


def test_who_orders_again_leaves_winback_and_is_skipped() -> None:
    play(
        WINBACK,
        """
        day  0  Placed Order
        day  2  Placed Order
        day 62                  -> entered winback; starts come-back; sends miss-you
        day 63  Placed Order    -> exited winback
        day 69                  -> skips last-call: left-segment
        """,
    )


def test_a_segment_flow_is_entered_once_in_a_life() -> None:
    play(
        WINBACK,
        """
        day   0  Placed Order
        day   2  Placed Order
        day  62                  -> entered winback; starts come-back; sends miss-you
        day  63  Placed Order    -> exited winback
        day  69                  -> skips last-call: left-segment
        day 123                  -> entered winback; refuses come-back: re-entry
        """,
    )


def test_an_abandoned_cart_is_reminded_after_four_hours_and_a_day_later() -> None:
    play(
        CART,
        """
        day 0 10:00  Started Checkout money=80  -> starts abandoned-cart
        day 0 14:00                             -> sends cart-1
        day 1 14:00                             -> sends cart-2
        """,
    )


def test_an_order_in_between_spares_the_reminders() -> None:
    play(
        CART,
        """
        day 0 10:00  Started Checkout money=80  -> starts abandoned-cart
        day 0 14:00                             -> sends cart-1
        day 0 20:00  Placed Order money=80
        day 1 14:00                             -> drops cart-2: flow-filter
        """,
    )


def test_no_reminder_overtakes_an_order_that_arrived_late() -> None:
    play(
        CART,
        """
        day 0 10:00  Started Checkout money=80  -> starts abandoned-cart
        day 0 13:59  Placed Order late=3h
        day 0 14:00                             -> drops cart-1: flow-filter
        day 1 14:00                             -> drops cart-2: flow-filter
        """,
    )


def test_old_empty_and_imported_checkouts_start_nothing() -> None:
    play(
        CART,
        """
        day 0 10:00  Started Checkout money=0
        day 0 11:00  Started Checkout money=9 late=61m     -> refuses abandoned-cart: too-old
        day 0 12:00  Started Checkout money=9 backfill=yes -> refuses abandoned-cart: backfill
        day 0 13:00  Started Checkout money=9 late=60m     -> starts abandoned-cart
        day 0 17:00                                        -> sends cart-1
        day 1 17:00                                        -> sends cart-2
        """,
    )


def test_re_entry_after_seven_days_counts_from_the_last_entry() -> None:
    play(
        CART,
        """
        day 0 10:00  Started Checkout money=80  -> starts abandoned-cart
        day 0 11:00  Started Checkout money=80  -> refuses abandoned-cart: already-running, re-entry
        day 0 14:00                             -> sends cart-1
        day 1 14:00                             -> sends cart-2
        day 7 09:59  Started Checkout money=80  -> refuses abandoned-cart: re-entry
        day 7 10:00  Started Checkout money=80  -> starts abandoned-cart
        day 7 14:00                             -> sends cart-1
        day 8 14:00                             -> sends cart-2
        """,
    )


def test_a_flow_with_a_key_runs_once_for_each_order() -> None:
    play(
        """
        flow: shipping
        trigger: {did: Fulfilled Order}
        key: order_id
        steps:
          - wait: 2d
          - {send: arrived, channel: email, template: arrived, smart_sending: false}
        ---
        """.replace("\n        ", "\n")
        + STORE,
        """
        day 0  Fulfilled Order order_id=A   -> starts shipping
        day 1  Fulfilled Order order_id=B   -> starts shipping
        day 1  Fulfilled Order order_id=B   -> refuses shipping: already-running
        day 1  Fulfilled Order              -> refuses shipping: no-key
        day 2                               -> sends arrived
        day 3                               -> sends arrived
        """,
    )


WAIT_FOR = (
    """
flow: nudge
trigger: {did: Started Checkout}
goal: {did: Placed Order}
steps:
  - {send: nudge-1, channel: email, template: nudge, smart_sending: false}
  - wait_for: {did: Opened Email, where: {message: nudge-1}}
    at_most: 24h
    met:
      - {send: thanks, channel: email, template: thanks, smart_sending: false}
    missed:
      - {send: nudge-2, channel: email, template: nudge, smart_sending: false}
  - {send: end, channel: email, template: end, smart_sending: false}
---
"""
    + STORE
)


def test_an_awaited_event_is_met() -> None:
    play(
        WAIT_FOR,
        """
        day 0 10:00  Started Checkout                      -> starts nudge; sends nudge-1
        day 0 12:00  Opened Email flow=nudge message=other
        day 0 13:00  Opened Email flow=nudge message=nudge-1  -> sends thanks; sends end
        """,
    )


def test_an_awaited_event_is_missed() -> None:
    play(
        WAIT_FOR,
        """
        day 0 10:00  Started Checkout                      -> starts nudge; sends nudge-1
        day 1 09:00  Opened Email message=nudge-1 late=24h
        day 1 10:00                                        -> sends nudge-2; sends end
        day 1 11:00  Opened Email message=nudge-1
        """,
    )


def test_an_outcome_that_names_only_the_send_is_known_by_its_message() -> None:
    stage = play(WAIT_FOR, "day 0 10:00  Started Checkout  -> starts nudge; sends nudge-1")
    assert stage.row is not None
    send_id = stage.row.sent[0].send_id
    play(
        WAIT_FOR,
        f"""
        day 0 10:00  Started Checkout                -> starts nudge; sends nudge-1
        day 0 13:00  Opened Email send_id={send_id}  -> sends thanks; sends end
        """,
    )


def test_a_goal_ends_the_run_as_reached() -> None:
    play(
        WAIT_FOR,
        """
        day 0 10:00  Started Checkout  -> starts nudge; sends nudge-1
        day 0 13:00  Placed Order      -> ends nudge: goal-reached
        day 3        Started Checkout  -> starts nudge; sends nudge-1
        """,
    )


def test_who_reached_the_goal_before_the_late_trigger_arrived_does_not_enter() -> None:
    play(
        WAIT_FOR,
        """
        day 0 09:00  Placed Order
        day 0 09:30  Started Checkout late=20m  -> starts nudge; sends nudge-1
        day 0 10:00  Placed Order               -> ends nudge: goal-reached
        day 1 09:30  Placed Order
        day 1 09:40  Started Checkout late=20m  -> refuses nudge: goal-reached
        """,
    )


BY_AN_ORDER = (
    """
segment: customers
where: {did: Placed Order}
---
flow: customers
trigger: {enters: customers}
filter: {did_not: Placed Order, since: flow_start}
goal: {did: Placed Order}
steps:
  - {start: second}
  - {join: thanked}
  - wait: 1d
  - {send: again, channel: email, template: t, smart_sending: false}
---
flow: second
trigger: {did: Second}
filter:
  none:
    - {did: Placed Order, since: flow_start}
    - {did: Placed Order, total: {is: "> 0"}, since: flow_start}
    - {sequence: [{did: Placed Order}, {did_not: Cancelled Order}], since: flow_start}
steps:
  - wait: 2d
  - {send: more, channel: email, template: t, smart_sending: false}
---
list: thanked
---
flow: thanked
trigger: {joins: thanked}
filter: {did_not: Placed Order, since: flow_start}
steps:
  - wait: 3d
  - {send: most, channel: email, template: t, smart_sending: false}
---
"""
    + STORE
)


def test_the_order_that_led_into_a_segment_and_its_flows_is_none_since_their_start() -> None:
    play(
        BY_AN_ORDER,
        """
        day 0  Placed Order money=5  -> entered customers; starts customers
               -> starts second; starts thanked
        day 1                        -> sends again
        day 2                        -> sends more
        day 3                        -> sends most
        """,
    )


def test_another_order_at_the_instant_of_that_one_is_one_since_the_start() -> None:
    play(
        BY_AN_ORDER,
        """
        day 0  Placed Order money=5  -> entered customers; starts customers
               -> starts second; starts thanked
        day 0  Placed Order money=5  -> ends customers: goal-reached
        day 2                        -> drops more: flow-filter
        day 3                        -> drops most: flow-filter
        """,
    )


SPLITS = (
    """
segment: vip
where: {did: Placed Order, times: ">= 2"}
---
flow: thanks
trigger: {did: Placed Order}
steps:
  - split:
      where: {in_segment: vip}
      then: [{send: vip, channel: email, template: t, smart_sending: false}]
      else: [{send: first, channel: email, template: t, smart_sending: false}]
  - split:
      trigger: {value: "> 100"}
      then: [{send: large, channel: email, template: t, smart_sending: false}]
  - {set: {last_thanked: now}}
  - {exit: done}
  - {send: never, channel: email, template: t}
---
"""
    + STORE
)


def test_splits_look_at_the_person_as_they_are_and_at_the_trigger() -> None:
    stage = play(
        SPLITS,
        """
        day 0  Placed Order money=20   -> starts thanks; sends first
        day 1  Placed Order money=200  -> entered vip; starts thanks; sends vip; sends large
        """,
    )
    assert stage.row is not None
    assert stage.row.traits["last_thanked"].value == "2026-01-02T00:00:00.000Z"
    assert stage.row.runs == []


def test_a_random_split_is_stable_and_follows_its_weights() -> None:
    flow = (
        """
flow: test
trigger: {did: Placed Order}
steps:
  - split:
      random: {a: 75, b: 25}
      a: [{send: a, channel: email, template: t}]
      b: [{send: b, channel: email, template: t}]
---
"""
        + STORE
    )
    sent = []
    for number in range(200):
        texts = set()
        for _ in range(2):
            stage = play_one(flow, f"i-{number}")
            texts.add(stage)
        assert len(texts) == 1
        sent += texts
    assert 130 < sent.count("sends a to ann@example.com") < 170


def play_one(flow: str, profile: str) -> str:
    stage = Stage(flow, profile=profile)
    who = (("email", WHO["email"]),)
    stage.happen(event_of("Subscribed", "s", 10**12, who, {"channel": "email"}))
    stage.happen(event_of("Placed Order", "o", 10**12 + 1, who, {}))
    return stage.told[-1][1]


def test_a_flow_joins_a_list_whose_flow_starts_another() -> None:
    play(
        """
        list: fans
        opt_in: single
        ---
        flow: first
        trigger: {did: Placed Order}
        steps: [{join: fans}, {notify: {to: support, message: New fan}}]
        ---
        flow: second
        trigger: {joins: fans}
        steps: [{start: third}, {leave: fans}]
        ---
        flow: third
        trigger: {did: Nothing}
        steps: [{wait: 1h}, {send: hello, channel: email, template: t}]
        ---
        """.replace("\n        ", "\n")
        + STORE,
        """
        day 0 10:00  Placed Order  -> starts first; starts second; starts third
        day 0 11:00                -> sends hello
        """,
    )
