"""The load of the benchmarks of the whole path: people of a shop, 20 segments, 5 flows.

In: how many events at which rate. Out: rounds of `store-events` with their ticks, the same for the
same arguments. The mix is that of the demo's log: views and visits mostly, a fifth of them of
browsers that nobody has named yet, some carts, orders, and answers to e-mails.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

import msgspec

from agents.demo.log import LogRecord, Round
from schemas.records import DefinitionsPublished
from schemas.values import Instant, Millis
from streams.ingest.control import definitions, tick
from streams.instants import to_instant, to_timestamp
from tests.bench.bench_profile_step import definitions as twenty_segments_and_five_flows
from tests.scenarios.play import documents_of

STORE = "main"
START: Instant = to_instant("2026-03-02T08:00:00Z")
TICK: Millis = 250
PEOPLE = 20_000
METRICS = (
    *("Viewed Product",) * 40,
    *("Active on Site",) * 25,
    *("Added to Cart",) * 10,
    *("Received Email",) * 8,
    *("Opened Email",) * 6,
    *("Clicked Email",) * 3,
    *("Started Checkout",) * 4,
    *("Placed Order",) * 4,
)
_to_json = msgspec.json.Encoder().encode


class Load(NamedTuple):
    """Rounds of a log, the definitions in the first one.

    end: when the last tick was received.
    """

    rounds: list[Round]
    end: Instant

    def events_after(self, instant: Instant) -> int:
        """How many events the rounds hold that end after `instant`."""
        pieces = (piece for one in self.rounds if one.end > instant for piece in one.partitions)
        return sum(len(piece) - 1 for piece in pieces)  # less the tick


def published(more: str = "") -> DefinitionsPublished:
    """Twenty segments and five flows, and more documents."""
    documents = documents_of(twenty_segments_and_five_flows() + more)
    return DefinitionsPublished(STORE, "v1", "bench", documents)


def load(
    events: int, *, partitions: int, per_second: int, secret: bytes, people: int = PEOPLE
) -> Load:
    """Make `events` events of `people` people, received at `per_second` of simulated time."""
    opening = LogRecord(START, b"", *definitions(published(), secret))
    return in_rounds(_events(events, per_second, people), partitions=partitions, opening=[opening])


def in_rounds(
    records: Iterable[LogRecord], *, partitions: int, opening: Sequence[LogRecord] = ()
) -> Load:
    """Lay records out over partitions and close every round with a tick.

    records: in the order of their `received_at`, from `START` on. opening: goes first everywhere.
    """
    rounds = []
    pieces: list[list[LogRecord]] = [[*opening] for _ in range(partitions)]
    end = START + TICK
    for record in records:
        while record.received_at >= end:
            rounds.append(_closed(pieces, end))
            pieces = [[] for _ in range(partitions)]
            end += TICK
        pieces[crc32(record.key) % partitions].append(record)
    rounds.append(_closed(pieces, end))
    empty: list[list[LogRecord]] = [[] for _ in range(partitions)]
    rounds += [_closed(empty, end + TICK * n) for n in range(1, 5)]  # late messages arrive
    return Load(rounds, end + TICK * 4)


def _closed(pieces: list[list[LogRecord]], end: Instant) -> Round:
    value, headers = tick()
    closing = LogRecord(end, b"", value, headers)
    return Round(end, tuple([*piece, closing] for piece in pieces), [])


def some_events(
    first: int, count: int, *, partitions: int, asked_every: int, now: Instant
) -> list[list[LogRecord]]:
    """`count` events that happen now, by partition; each so-manieth of somebody new who asks for
    a password, and says when.
    """
    pieces: list[list[LogRecord]] = [[] for _ in range(partitions)]
    for number in range(first, first + count):
        person, event = number % PEOPLE, _event(_metric(number), number, number % PEOPLE, now)
        if number % asked_every == 0:
            event |= {
                "metric": "Asked for Password",
                "profile": {"email": f"asks-{number}@example.com"},
                "properties": {"pushed_at": now},
            }
        pieces[person % partitions].append(LogRecord(now, b"%d" % person, _to_json(event), ()))
    return pieces


def _metric(number: int) -> str:
    return METRICS[crc32(b"%d" % number) // PEOPLE % len(METRICS)]


def _events(events: int, per_second: int, people: int) -> Iterator[LogRecord]:
    for number in range(events):
        person, metric = crc32(b"%d" % number) % people, _metric(number)
        if number < people // 4:
            person, metric = number, "Subscribed"
        at = START + number * 1000 // per_second
        yield LogRecord(at, b"%d" % person, _to_json(_event(metric, number, person, at)), ())


def _event(metric: str, number: int, person: int, at: Instant) -> dict[str, object]:
    item = {"product_id": f"p{number % 300}", "price": "39.80", "quantity": 1}
    profile = {"anonymous_id": f"browser-{person}"}
    if number % 5 or not metric.startswith(("Viewed", "Active")):
        profile |= {"external_id": f"c-{person}", "email": f"p{person}@example.com"}
    event: dict[str, object] = {
        "id": f"e-{number}",
        "metric": metric,
        "store": STORE,
        "time": to_timestamp(at - 40),
        "profile": profile,
        "properties": {
            "category": f"c{number % 6}",
            "product_id": f"p{number % 300}",
            "title": "A hanging heart of a holder",
            "items": [item, item],
        },
    }
    if metric == "Subscribed":
        event["properties"] = {"channel": "email"}
    if metric in ("Placed Order", "Started Checkout"):
        event |= {"value": "79.60", "currency": "EUR"}
    return event
