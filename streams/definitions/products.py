"""Who is told of a product whose price or stock has changed: who looked at it, or asked for it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from schemas import conditions as c
from schemas.definitions import DAY
from schemas.values import Millis

CATALOG_ITEM_UPDATED: Final = "Catalog Item Updated"
CATALOG_TRIGGERED: Final = "Catalog Triggered"
"""What a store says of a product; what of it may concern a profile."""

INTEREST: Final = ("Viewed Product", "Added to Cart", "Started Checkout")
"""What shows interest in a product, unless a trigger says `of`."""

ASKED: Final = "Subscribed to Back in Stock"
"""The metric by which somebody asks to be told when a product is there again."""

INTERESTED_FOR: Final[Millis] = 30 * DAY
ASKED_FOR: Final[Millis] = 365 * DAY

PRODUCT: Final = "product_id"
PLACES: Final = (PRODUCT, f"items[].{PRODUCT}")
"""Where an event names the products it is about."""


def interested(
    of: tuple[str, ...] = INTEREST, in_last: Millis = INTERESTED_FOR, *, asked: bool = False
) -> c.AnyOf:
    """The profile did one of these with the product of the trigger, or asked to be told of it."""
    wanted = [(metric, in_last) for metric in of]
    if asked:
        wanted.append((ASKED, ASKED_FOR))
    return c.AnyOf(tuple(leaf for metric, span in wanted for leaf in _did(metric, span)))


def _did(metric: str, span: Millis) -> Iterator[c.Did]:
    for path in PLACES:
        same = c.Filter(path, (c.SameAsTrigger(PRODUCT),))
        at_least_once = c.Compare(">=", Decimal(1))
        yield c.Did(c.EventFilter(metric, (same,)), at_least_once, c.InLast(span))
