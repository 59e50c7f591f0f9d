"""The log of the toy job: some of it comes twice, some of it is not valid."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from agents.demo.log import LogRecord
from tests.bench.load import METRICS, START, Load, in_rounds
from tests.bench.toy_job.rules import DAY_MS, Change, ToyEvent, changes_in

BROWSERS = 5_000
PER_SECOND = 10_000
DAYS = 20
"""Over so many days the events happened; they are received at `PER_SECOND`."""
CLOSING = 200
"""So many browsers come last, each with an event that changes a membership: when all changes can be
read, all events before them are done in every partition of every stage."""
TWICE_EVERY, BAD_EVERY = 40, 100

_to_json = msgspec.json.Encoder().encode


class ToyLog(NamedTuple):
    """records: with the repeated and bad ones. changes: what must be said of it, in no order."""

    log: Load
    records: int
    changes: list[Change]


def toy_log(events: int, *, partitions: int, browsers: int = BROWSERS) -> ToyLog:
    """Make a log of about `events` records, the same for the same arguments."""
    records = list(_records(events, browsers))
    valid = [msgspec.json.decode(value, type=ToyEvent) for _, value in records if b'"id"' in value]
    once = list({event.id: event for event in valid}.values())
    laid_out = (
        LogRecord(START + number * 1000 // PER_SECOND, key, value, ())
        for number, (key, value) in enumerate(records)
    )
    log = in_rounds(laid_out, partitions=partitions)
    return ToyLog(log, len(records), changes_in(once))


def _records(events: int, browsers: int) -> Iterator[tuple[bytes, bytes]]:
    for number in range(events):
        browser, at = crc32(b"%d" % number) % browsers, START + number * DAYS * DAY_MS // events
        key, event = b"b%d" % browser, _event(number, browser, at)
        if number % BAD_EVERY == 7:
            del event["id"]
        yield key, _to_json(event)
        if number % TWICE_EVERY == 3:
            yield key, _to_json(event)
    for number in range(events, events + CLOSING):
        event = _event(number, number + browsers, START)
        event["properties"]["price"] = 200
        yield event["browser"].encode(), _to_json(event)


def _event(number: int, browser: int, at: int) -> dict[str, Any]:
    chance = crc32(b"chance %d" % number)
    metric = METRICS[chance % len(METRICS)]
    properties = {
        "product_id": f"p{number % 300}",
        "category": f"c{number % 6}",
        "title": "A hanging heart of a holder",
        "url": f"https://shop.example/products/p{number % 300}",
        "quantity": 1,
    }
    if metric in ("Started Checkout", "Placed Order"):
        properties |= {"price": chance % 200, "currency": "EUR"}
    return {
        "id": f"e{number}",
        "metric": metric,
        "browser": f"b{browser}",
        "customer": f"c{browser}",
        "at": at,
        "properties": properties,
        "context": {"ip": "10.0.0.1", "locale": "de-DE", "library": {"name": "js", "version": "3"}},
    }
