"""The real data against their own sums."""

from decimal import Decimal
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import orjson
import pytest

from agents.demo.countries import COUNTRIES
from agents.demo.shop import DATA, Invoice, read_invoices, reconcile, to_event
from streams.instants import to_instant

JANUARY = to_instant("2011-01-01T00:00:00Z")


@cache
def year() -> list[Invoice]:
    return read_invoices()


def named(number: str) -> Invoice:
    return next(invoice for invoice in year() if invoice.number == number)


def test_the_events_of_the_year_add_up_to_the_datas_own_sums_to_the_penny() -> None:
    totals = reconcile(map(to_event, year()))
    assert {metric: (of.events, of.total) for metric, of in totals.items()} == {
        "Placed Order": (19_959, Decimal("10655622.484")),
        "Cancelled Order": (3_836, Decimal("-896812.49")),
        "Bad Debt Adjusted": (3, Decimal("-11062.06")),
        "Stock Adjusted": (2_102, Decimal(0)),
    }
    assert sum(of.events for of in totals.values()) == 25_900
    assert sum(of.total for of in totals.values()) == Decimal("9747747.934")


def test_an_event_that_is_changed_no_longer_reconciles() -> None:
    event = to_event(year()[0])
    event["properties"]["items"].pop()
    with pytest.raises(AssertionError, match="do not add up"):
        reconcile([event])


def test_an_invoice_is_one_event_in_order_of_time() -> None:
    instants = [invoice.placed_at for invoice in year()]
    assert instants == sorted(instants)
    assert len({invoice.number for invoice in year()}) == 25_900
    assert sum(len(invoice.lines) for invoice in year()) == 541_909


def test_of_two_timestamps_the_first_counts() -> None:
    assert named("541809").placed_at == to_instant("2011-01-21T14:58:00Z")


def test_the_datas_time_is_local_british_time() -> None:
    assert named("536365").placed_at == to_instant("2010-12-01T08:26:00Z")
    last = year()[-1]
    assert last.placed_at == to_instant("2011-12-09T12:50:00Z")
    summer = next(one for one in year() if one.placed_at > to_instant("2011-06-01T00:00:00Z"))
    # The first invoice of that day is of 07:37 on the shop's clock.
    assert to_event(summer)["time"] == "2011-06-01T06:37:00.000Z"


def test_each_guest_invoice_has_a_cart_token_of_its_own() -> None:
    guests = [invoice for invoice in year() if invoice.customer is None]
    assert len(guests) == 3_710
    assert len({invoice.identifier for invoice in guests}) == 3_710
    assert all(invoice.identifier[0] == "cart_token" for invoice in guests)
    assert len({invoice.customer for invoice in year()} - {None}) == 4_372


def test_a_cancellation_names_no_order() -> None:
    cancelled = to_event(named("C536379"))
    assert cancelled["metric"] == "Cancelled Order"
    assert cancelled["value"] == "-27.50"
    assert cancelled["properties"]["items"] == [
        {"product_id": "D", "name": "Discount", "quantity": -1, "price": "27.50"}
    ]


def test_every_country_of_the_data_has_a_zone_that_exists() -> None:
    assert {invoice.country for invoice in year()} == COUNTRIES.keys()
    assert {country.zone for country in COUNTRIES.values()} <= available_timezones()
    for word in ("European Community", "Unspecified"):
        assert COUNTRIES[word] == (None, "Europe/London")
    assert ZoneInfo(COUNTRIES["EIRE"].zone)


def test_reading_a_part_is_the_beginning_of_reading_all() -> None:
    part = read_invoices(DATA, until=JANUARY)
    assert part == [invoice for invoice in year() if invoice.placed_at < JANUARY]


def test_events_are_plain_json_with_exact_money() -> None:
    event = to_event(named("536365"))
    assert orjson.loads(orjson.dumps(event)) == event
    assert event["value"] == "139.12"
    assert event["profile"] == {
        "external_id": "17850",
        "traits": {"timezone": "Europe/London", "country": "GB"},
    }
