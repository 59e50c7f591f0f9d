"""What a change of a product starts: the price fell, little is left, it is there again.

In: the event `Catalog Triggered`, one for each profile that a change of a product may concern. It
has all that the store said of the product (`Catalog Item Updated`), and in `was` what was said the
time before. The flow looks itself whether the change is one of its kind; whether the profile is
interested, it looks at the entry.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

from schemas.definitions import OnBackInStock, OnLowStock, OnPriceDrop
from schemas.events import Event
from schemas.values import Properties
from streams.definitions.comparisons import to_number
from streams.segments.values import EventTest

WAS: Final = "was"
PRICE: Final = "price"
INVENTORY: Final = "inventory"
MILLION: Final = 1_000_000

OnProduct: TypeAlias = OnPriceDrop | OnLowStock | OnBackInStock
Changed: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]
"""(what was said of a product the time before, what is said now) -> does it start the flow?"""


def changed_by(trigger: OnProduct) -> Changed:
    """The test of a trigger. What was not known before has not changed."""
    match trigger:
        case OnPriceDrop(by):
            return lambda was, item: _fell(_number(was, PRICE), _number(item, PRICE), by)
        case OnLowStock(below):
            return lambda was, item: _ran_low(
                _number(was, INVENTORY), _number(item, INVENTORY), below
            )
        case OnBackInStock():
            return lambda was, item: _came_back(_number(was, INVENTORY), _number(item, INVENTORY))


def triggered_by(trigger: OnProduct) -> EventTest:
    """The test of a `Catalog Triggered`, which only a server can give."""
    changed = changed_by(trigger)

    def passes(event: Any, _trigger: object) -> bool:
        assert isinstance(event, Event)
        was = event.properties.get(WAS)
        return event.trust == "server" and isinstance(was, dict) and changed(was, event.properties)

    return passes


def _number(item: Properties | Mapping[str, Any], name: str) -> Decimal | None:
    return to_number(item.get(name))


def _fell(was: Decimal | None, now: Decimal | None, by: int) -> bool:
    if was is None or now is None or not was > 0:
        return False
    return now < was and now * MILLION <= was * (MILLION - by)


def _ran_low(was: Decimal | None, now: Decimal | None, below: int) -> bool:
    return was is not None and now is not None and was >= below > now > 0


def _came_back(was: Decimal | None, now: Decimal | None) -> bool:
    return was is not None and now is not None and now > 0 >= was
