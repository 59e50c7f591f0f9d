"""The real shop: lines of invoices in, store events out, in the order of time.

Comes in: `online-retail.parquet` (deploy/demo/SOURCES.md). Goes out: one `Invoice` per invoice and
the store event it becomes. Nothing is added to what the data hold but the zone of the country.

Rules: an invoice whose number starts with C is a `Cancelled Order` (it names no order), one that
starts with A `Bad Debt Adjusted`; of all others those with a positive total are `Placed Order`, the
rest `Stock Adjusted`. Where an invoice has two timestamps the first counts. A guest's invoice has a
cart token of its own: the data do not say which guest invoices belong together.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyarrow import compute, parquet

from agents.demo.countries import COUNTRIES, STORE_ZONE
from schemas.values import Instant, Micros, Money
from streams.instants import to_timestamp
from streams.money import to_micros, to_money

PLACED_ORDER = "Placed Order"
CANCELLED_ORDER = "Cancelled Order"
BAD_DEBT_ADJUSTED = "Bad Debt Adjusted"
STOCK_ADJUSTED = "Stock Adjusted"

CURRENCY = "GBP"
SOURCE = "shop"
DATA = Path(__file__).parents[2] / "deploy" / "demo" / "online-retail.parquet"

StoreEvent: TypeAlias = dict[str, Any]
"""A store event as the outside writes it: docs/topics.md, `store-events`."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (the data's timestamps carry no zone)
_MILLISECOND = timedelta(milliseconds=1)


class Line(NamedTuple):
    """quantity: negative where goods came back. price: of one, as the data have it."""

    product_id: str
    name: str | None
    quantity: int
    price: Money


class Invoice(NamedTuple):
    """One invoice. customer: None for a guest. total: of all its lines, exact."""

    number: str
    metric: str
    placed_at: Instant
    customer: str | None
    country: str
    lines: tuple[Line, ...]
    total: Micros

    @property
    def identifier(self) -> tuple[str, str]:
        """The strongest identifier: the customer, else the cart token of this invoice alone."""
        if self.customer is None:
            return "cart_token", f"cart-{self.number}"
        return "external_id", self.customer


class Totals(NamedTuple):
    """What the events of a metric add up to."""

    events: int
    total: Decimal


def read_invoices(path: Path = DATA, *, until: Instant | None = None) -> list[Invoice]:
    """Read the invoices, oldest first (ties: by number). until: those before this instant only."""
    table = parquet.read_table(path)
    if until is not None:
        # A zone is at most a day from UTC: a rough cut here, the exact one below.
        edge = _EPOCH + timedelta(milliseconds=until, days=1)
        table = table.filter(compute.less(table["InvoiceDate"], pa.scalar(edge)))
    invoices = sorted(_invoices(table), key=lambda invoice: (invoice.placed_at, invoice.number))
    if until is None:
        return invoices
    return [invoice for invoice in invoices if invoice.placed_at < until]


def _invoices(table: Any) -> Iterator[Invoice]:
    """Group the lines by invoice, whatever their order."""
    zone = _store_zone()
    columns = zip(
        _texts(table["InvoiceNo"]),
        _texts(table["StockCode"]),
        _texts(table["Description"]),
        table["Quantity"].to_pylist(),
        table["InvoiceDate"].to_pylist(),
        table["UnitPrice"].to_pylist(),
        table["CustomerID"].to_pylist(),
        _texts(table["Country"]),
        strict=True,
    )
    heads: dict[str, tuple[datetime, int | None, str]] = {}
    lines: dict[str, list[Line]] = {}
    totals: dict[str, Micros] = {}
    prices: dict[float, tuple[Micros, Money]] = {}
    for number, product_id, name, quantity, local, price, customer, country in columns:
        if price not in prices:
            micros = to_micros(price)
            prices[price] = micros, to_money(micros)
        micros, money = prices[price]
        line = Line(product_id, name, quantity, money)
        head = heads.get(number)
        if head is None:
            heads[number] = (local, customer, country)
            lines[number] = [line]
            totals[number] = micros * quantity
        else:
            if local < head[0]:
                heads[number] = (local, *head[1:])
            lines[number].append(line)
            totals[number] += micros * quantity
    for number, (local, customer, country) in heads.items():
        yield Invoice(
            number=number,
            metric=_metric(number, totals[number]),
            placed_at=_to_instant(local, zone),
            customer=None if customer is None else str(customer),
            country=country,
            lines=tuple(lines[number]),
            total=totals[number],
        )


def _texts(column: Any) -> list[Any]:
    """The column with each distinct text once in memory."""
    encoded = column.combine_chunks().dictionary_encode()
    words = encoded.dictionary.to_pylist()
    return [None if at is None else words[at] for at in encoded.indices.to_pylist()]


def _metric(number: str, total: Micros) -> str:
    if number.startswith("C"):
        return CANCELLED_ORDER
    if number.startswith("A"):
        return BAD_DEBT_ADJUSTED
    return PLACED_ORDER if total > 0 else STOCK_ADJUSTED


def _store_zone() -> ZoneInfo:
    """The store's zone from the pinned `tzdata`, never from the system's files."""
    with files("tzdata.zoneinfo").joinpath(*STORE_ZONE.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=STORE_ZONE)


def _to_instant(local: datetime, zone: ZoneInfo) -> Instant:
    offset = zone.utcoffset(local)
    assert offset is not None, "the store's zone knows every instant"
    return (local - offset - _EPOCH) // _MILLISECOND


def to_event(invoice: Invoice) -> StoreEvent:
    """The store event an invoice becomes: its lines as items, its exact total as the value."""
    kind, value = invoice.identifier
    country = COUNTRIES[invoice.country]
    traits = {"timezone": country.zone}
    if country.code is not None:
        traits["country"] = country.code
    return {
        "id": f"invoice-{invoice.number}",
        "metric": invoice.metric,
        "time": to_timestamp(invoice.placed_at),
        "profile": {kind: value, "traits": traits},
        "properties": {"order_id": invoice.number, "items": [to_item(x) for x in invoice.lines]},
        "value": to_money(invoice.total),
        "currency": CURRENCY,
        "source": SOURCE,
    }


def to_item(line: Line) -> dict[str, Any]:
    """A line as an item of an event; a name only where the data have one."""
    item: dict[str, Any] = {"product_id": line.product_id}
    if line.name is not None:
        item["name"] = line.name
    item["quantity"] = line.quantity
    item["price"] = line.price
    return item


def reconcile(events: Iterable[StoreEvent]) -> Mapping[str, Totals]:
    """Add the shop's events up again, by metric, from their items alone.

    Over the whole year (exact, in GBP): Placed Order 10,655,622.484 (19,959 events), Cancelled
    Order -896,812.49 (3,836), Bad Debt Adjusted -11,062.06 (3), Stock Adjusted 0 (2,102: each of
    them is zero, all its lines having the price 0); together 9,747,747.934, the data's own sum.
    Raises: AssertionError where an event's value is not what its items add up to.
    """
    totals: dict[str, Totals] = {}
    for event in events:
        if event.get("source") != SOURCE:
            continue
        items = event["properties"]["items"]
        total = sum((Decimal(item["price"]) * item["quantity"] for item in items), Decimal(0))
        assert total == Decimal(event["value"]), f"{event['id']}: items do not add up"
        before = totals.get(event["metric"], Totals(0, Decimal(0)))
        totals[event["metric"]] = Totals(before.events + 1, before.total + total)
    return totals
