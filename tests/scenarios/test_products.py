"""Stories of products: what becomes cheaper, rare, or is there again, and who is told."""

import json

from schemas.definitions import OnPriceDrop
from streams.flows.words import trigger_words
from tests.scenarios.play import play

STORE = """
store: main
address: "Beispielgasse 1, 10115 Berlin"
"""


def flow(trigger: str, more: str = "re_entry: always\nkey: product_id") -> str:
    return f"""
flow: told
trigger: {trigger}
{more}
steps:
  - {{send: news, channel: email, template: t, smart_sending: false}}
---
{STORE}"""


def changed(product: str, **numbers: tuple[object, object]) -> str:
    """A change as it stands in the log: `price=(80, 70)`."""
    was = json.dumps({name: before for name, (before, _) in numbers.items()}, separators=(",", ":"))
    now = " ".join(f"{name}={after}" for name, (_, after) in numbers.items())
    return f"Catalog Triggered product_id={product} {now} was={was}"


CHEAPER = flow("{price_drop: {by: 10%}}")


def test_who_looked_at_a_product_is_told_when_it_is_a_tenth_cheaper() -> None:
    play(
        CHEAPER,
        f"""
        day 0  Viewed Product product_id=p1
        day 1  {changed("p1", price=(80, "72.01"))}
        day 2  {changed("p1", price=(80, 72))}        -> starts told; sends news
        day 2  {changed("p2", price=(80, 72))}        -> refuses told: not-interested
        day 3  {changed("p1", price=(72, 80))}
        day 4  {changed("p1", price=(0, 0))}
        """,
    )


def test_a_price_may_have_to_fall_by_an_amount() -> None:
    play(
        flow("{price_drop: {by: 4.99}}"),
        f"""
        day 0  Viewed Product product_id=p1
        day 1  {changed("p1", price=(500, "495.02"))}
        day 2  {changed("p1", price=("500.00", "495.01"))}  -> starts told; sends news
        day 3  {changed("p1", price=(6, 2))}
        """,
    )


def test_by_what_a_price_has_to_fall_is_told_as_it_is_written() -> None:
    assert trigger_words(OnPriceDrop(by=100_000)).startswith("the price drops by 10% after Viewed")
    told = trigger_words(OnPriceDrop(amount=4_990_000))
    assert told.startswith("the price drops by 4.99 after Viewed")


def test_interest_is_over_after_thirty_days_and_a_cart_or_a_checkout_shows_it_too() -> None:
    play(
        CHEAPER,
        f"""
        day  0  Added to Cart product_id=p1
        day  0  Started Checkout items=[{{"product_id":"p2"}}]
        day 29 23:59  {changed("p1", price=(80, 40))}  -> starts told; sends news
        day 29 23:59  {changed("p2", price=(80, 40))}  -> starts told; sends news
        day 30  {changed("p1", price=(80, 40))}        -> refuses told: not-interested
        """,
    )


def test_whose_interest_counts_is_the_stores_to_say() -> None:
    play(
        flow("{price_drop: {of: Added to Cart, by: 10%, in_last: 7d}}"),
        f"""
        day 0  Viewed Product product_id=p1
        day 1  {changed("p1", price=(80, 40))}         -> refuses told: not-interested
        day 2  Added to Cart product_id=p1
        day 8  {changed("p1", price=(80, 40))}         -> starts told; sends news
        day 9  {changed("p1", price=(80, 40))}         -> refuses told: not-interested
        """,
    )


def test_few_are_left_where_there_were_enough_and_not_where_none_is_left() -> None:
    play(
        flow("{low_stock: {below: 5, of: Added to Cart}}"),
        f"""
        day 0  Added to Cart product_id=p1
        day 1  {changed("p1", inventory=(9, 5))}
        day 2  {changed("p1", inventory=(5, 4))}       -> starts told; sends news
        day 3  {changed("p1", inventory=(4, 3))}
        day 4  {changed("p1", inventory=(9, 0))}
        """,
    )


def test_who_asked_for_a_product_is_told_when_it_is_there_again_also_months_later() -> None:
    play(
        flow("{back_in_stock: {}}"),
        f"""
        day   0  Subscribed to Back in Stock product_id=p1
        day   0  Viewed Product product_id=p2
        day 100  {changed("p2", inventory=(0, 7))}     -> refuses told: not-interested
        day 100  {changed("p1", inventory=(1, 7))}
        day 100  {changed("p1", inventory=(0, 7))}     -> starts told; sends news
        """,
    )


def test_a_person_is_told_once_unless_the_flow_says_more() -> None:
    play(
        flow("{back_in_stock: {}}", more=""),
        f"""
        day 0  Viewed Product product_id=p1
        day 1  {changed("p1", inventory=(0, 7))}       -> starts told; sends news
        day 2  {changed("p1", inventory=(0, 7))}       -> refuses told: re-entry
        """,
    )


def test_a_browser_cannot_tell_of_products_and_old_news_is_none() -> None:
    play(
        CHEAPER,
        f"""
        day 0  Viewed Product product_id=p1
        day 1  {changed("p1", price=(80, 40))} trust=client
        day 1  {changed("p1", price=(80, 40))} late=2h  -> refuses told: too-old
        """,
    )
