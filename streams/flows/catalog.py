"""What a change of a product starts: the price fell, little is left, it is there again.

In: what a store says of a product (`Catalog Item Updated`). Out: the event `Catalog Triggered`, one
for each profile that the change may concern; who looked at the product is asked of the timeline. It
has all that was said of the product, and in `was` what was known before. The flow looks itself
whether the change is one of its kind; whether the profile is interested, it looks at the entry.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeAlias

from schemas.definitions import Flow, Interested, OnBackInStock, OnLowStock, OnPriceDrop
from schemas.events import Event
from schemas.values import EventId, Identifier, Instant, Origin, Properties, StoreId
from streams.definitions.comparisons import to_number
from streams.definitions.products import CATALOG_TRIGGERED, PRODUCT
from streams.ids import Ids
from streams.instants import to_timestamp
from streams.segments.values import EventTest

WAS: Final = "was"
PRICE: Final = "price"
INVENTORY: Final = "inventory"
KNOWN: Final = (PRICE, INVENTORY)
VARIANT: Final = "variant_id"
MILLION: Final = 1_000_000

OnProduct: TypeAlias = OnPriceDrop | OnLowStock | OnBackInStock
Changed: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]
"""(what was said of a product the time before, what is said now) -> does it start the flow?"""


class ItemUpdate(NamedTuple):
    """What a store said of a product, by a `Catalog Item Updated`."""

    store: StoreId
    event_id: EventId
    occurred_at: Instant
    origin: Origin
    properties: Properties


class Change(NamedTuple):
    """update: the newest of a product when it was received.

    was: `price` and `inventory` before, where known.
    """

    update: ItemUpdate
    was: Properties


def change_of(update: ItemUpdate, history: Sequence[ItemUpdate]) -> Change | None:
    """What an update changed; None: one that is newer was received before it, or none older.

    history: updates of this product, of whatever variant, in any order. What was received after
    this one does not count, however early it is known: the answer is the same whenever it is asked.
    """
    variant = update.properties.get(VARIANT)
    others = [
        one
        for one in history
        if one.origin < update.origin and one.properties.get(VARIANT) == variant
    ]
    if any(_place(one) > _place(update) for one in others):
        return None
    was: Properties = {}
    for one in sorted(others, key=_place):
        if _place(one) < _place(update):
            was |= {name: one.properties[name] for name in KNOWN if name in one.properties}
    return Change(update, was) if was else None


def _place(update: ItemUpdate) -> tuple[Instant, Origin]:
    return update.occurred_at, update.origin


def products_of(properties: Properties) -> set[str]:
    """The products that an event names, in itself or in its items."""
    items = properties.get("items")
    bearers = [properties, *(items if isinstance(items, list) else ())]
    named = (one.get(PRODUCT) for one in bearers if isinstance(one, dict))
    return {str(one) for one in named if isinstance(one, str | int) and not isinstance(one, bool)}


def concerned(change: Change, flows: Iterable[Flow]) -> list[Interested]:
    """Whom the flows that the change starts want to tell."""
    return [
        flow.trigger.who
        for flow in flows
        if isinstance(flow.trigger, OnProduct)
        and flow.state == "live"
        and changed_by(flow.trigger)(change.was, change.update.properties)
    ]


def catalog_trigger(change: Change, identifier: Identifier, ids: Ids) -> Properties:
    """The store event that tells a profile of the change.

    Its id comes from the change alone: said again, also to a profile that has become part of
    another one, it is recognised as a repeat.
    """
    update = change.update
    return {
        "id": "p" + ids.derive("catalog", update.store, update.event_id, update.occurred_at),
        "metric": CATALOG_TRIGGERED,
        "time": to_timestamp(update.occurred_at),
        "store": update.store,
        "profile": {identifier[0]: identifier[1]},
        "properties": {**update.properties, WAS: change.was, "catalog_event_id": update.event_id},
        "source": "tillstream",
    }


def changed_by(trigger: OnProduct) -> Changed:
    """The test of a trigger. What was not known before has not changed."""
    match trigger:
        case OnPriceDrop(by, _, amount):
            return lambda was, item: _fell(_number(was, PRICE), _number(item, PRICE), by, amount)
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


def _fell(was: Decimal | None, now: Decimal | None, by: int, amount: int) -> bool:
    """by: millionths of the price; amount: in millionths of a unit of its currency."""
    if was is None or now is None or not now < was or not was > 0:
        return False
    fell = (was - now) * MILLION
    return fell >= was * by and fell >= amount


def _ran_low(was: Decimal | None, now: Decimal | None, below: int) -> bool:
    return was is not None and now is not None and was >= below > now > 0


def _came_back(was: Decimal | None, now: Decimal | None) -> bool:
    return was is not None and now is not None and now > 0 >= was
