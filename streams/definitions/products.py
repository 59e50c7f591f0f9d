"""Who is told of a product whose price or stock has changed: who looked at it, or asked for it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from schemas import conditions as c
from schemas.definitions import Interested
from schemas.events import Event
from schemas.values import Millis

CATALOG_ITEM_UPDATED: Final = "Catalog Item Updated"
CATALOG_TRIGGERED: Final = "Catalog Triggered"
"""What a store says of a product; what of it may concern a profile."""

ASKED: Final = "Subscribed to Back in Stock"
"""The metric by which somebody asks to be told when a product is there again."""

PRODUCT: Final = "product_id"
PLACES: Final = (PRODUCT, f"items[].{PRODUCT}")
"""Where an event names the products it is about."""


def is_of_the_catalogue(event: Event) -> bool:
    """Is it no fact about a profile, but what a store says of a product?"""
    return event.metric == CATALOG_ITEM_UPDATED and event.trust == "server"


def interested(who: Interested) -> c.AnyOf:
    """What must hold of the profile, compared with the product of the trigger."""
    wanted = [(metric, who.in_last) for metric in who.of]
    if who.asked:
        wanted.append((ASKED, who.asked))
    return c.AnyOf(tuple(leaf for metric, span in wanted for leaf in _did(metric, span)))


def _did(metric: str, span: Millis) -> Iterator[c.Did]:
    for path in PLACES:
        same = c.Filter(path, (c.SameAsTrigger(PRODUCT),))
        at_least_once = c.Compare(">=", Decimal(1))
        yield c.Did(c.EventFilter(metric, (same,)), at_least_once, c.InLast(span))
