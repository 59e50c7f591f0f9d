"""Eight months of a small shop in which every flow of the library has something to do.

Everything is drawn from the seed. The log is made with the core in the loop: seeded recipients
receive, open and click what is sent (`agents.demo.recipients`).
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from agents.definitions import load
from agents.demo.log import LogRecord, Round, rounds
from agents.demo.recipients import Recipients
from agents.demo.shop import Line
from schemas.records import DefinitionsPublished
from schemas.values import Instant
from streams.identity.step import IdentityCore
from streams.ids import Ids
from streams.ingest.control import definitions, tick
from streams.ingest.read import EventReader
from streams.instants import DAY, HOUR, MINUTE, SECOND, to_instant, to_timestamp
from streams.intake import Write
from streams.profile.step import ProfileCore
from streams.replay import Replay
from tests.scenarios.library import LIBRARY

SINCE: Instant = to_instant("2026-01-05T00:00:00Z")
DAYS = 240
SPAN = 12 * HOUR
PARTITIONS = 2
PRODUCTS = tuple(Line(f"p{number}", f"Product {number}", 1, "12.50") for number in range(5))

Said = tuple[Instant, dict[str, Any]]


def documents() -> tuple[dict[str, Any], ...]:
    return tuple(load(LIBRARY).documents)


def arrivals(people: int, seed: int) -> list[LogRecord]:
    """What the shop tells, in order of arrival."""
    said = [one for number in range(people) for one in _Person(number, seed).life()]
    records = []
    for number, (at, event) in enumerate(said):
        event["id"] = f"e{number}"
        profile = event["profile"]
        key = f"{profile.get('external_id') or profile.get('anonymous_id')}"
        records.append(LogRecord(at, key.encode(), msgspec.json.encode(event)))
    return sorted(record for record in records if record.received_at < SINCE + DAYS * DAY)


def library_rounds(core: Replay, secret: bytes, *, people: int, seed: int = 1) -> list[Round]:
    """The log, and what the core said while it was made."""
    published = DefinitionsPublished("main", "library", "test", documents())
    value, headers = definitions(published, secret)
    tick_value, tick_headers = tick()
    return list(
        rounds(
            core,
            Recipients({}, PRODUCTS),
            arrivals(people, seed),
            partitions=PARTITIONS,
            since=SINCE,
            until=SINCE + DAYS * DAY,
            tick=LogRecord(0, b"", tick_value, tick_headers),
            published=[LogRecord(SINCE, b"", value, headers)],
            span=SPAN,
        )
    )


class _Person:
    """One customer. Every third lapses after a month, every fourth keeps ordering coffee."""

    def __init__(self, number: int, seed: int) -> None:
        self._number = number
        self._chance = random.Random(f"{seed}/{number}")
        self._orders = 0
        self._who = {"external_id": f"c{number}", "email": f"c{number}@example.com"}
        if number % 2:
            self._who["phone"] = f"+4930{123000 + number}"

    def life(self) -> Iterator[Said]:
        at = SINCE + self._chance.randrange(20 * DAY) + MINUTE
        yield from self._arrive(at)
        until = SINCE + (30 if self._number % 3 == 0 else DAYS) * DAY
        while at < until:
            at += self._chance.randrange(2 * DAY, 24 * DAY)
            yield from self._visit(at)
        for week in range(0, DAYS, 21):
            sent = SINCE + week * DAY + self._chance.randrange(DAY)
            yield self._say(sent, "Received Email", {"campaign": f"news-{week}"})

    def _arrive(self, at: Instant) -> Iterator[Said]:
        nobody = {"anonymous_id": f"a{self._number}"}
        yield self._say(at, "Viewed Product", {"product_id": "p1"}, profile=nobody, trust="client")
        traits = {"first_name": f"Name {self._number}", "birthday": self._birthday()}
        known = {**self._who, **nobody, "traits": traits}
        yield self._say(at + MINUTE, "Identify", {}, profile=known)
        yield self._say(at + 2 * MINUTE, "Subscribed", {"list": "newsletter", "channel": "email"})
        if self._number % 5:
            confirmed = {"list": "newsletter", "channel": "email"}
            yield self._say(at + 3 * HOUR, "Confirmed Subscription", confirmed)
        if "phone" in self._who:
            yield self._say(at + 5 * MINUTE, "Subscribed", {"channel": "sms"})

    def _birthday(self) -> str:
        return f"1990-{self._chance.randrange(1, 9):02}-{self._chance.randrange(1, 29):02}"

    def _visit(self, at: Instant) -> Iterator[Said]:
        chance = self._chance
        product = f"p{chance.randrange(5)}"
        yield self._say(at, "Viewed Product", {"product_id": product})
        if chance.random() < 0.2:
            changed = {"product_id": product, "price": 60, "was": {"price": 80}}
            yield self._say(at + 3 * DAY, "Catalog Triggered", changed)
        if chance.random() < 0.2:
            changed = {"product_id": product, "inventory": 9, "was": {"inventory": 0}}
            yield self._say(at + 5 * DAY, "Catalog Triggered", changed)
        if chance.random() < 0.4:
            return
        yield self._say(at + 5 * MINUTE, "Added to Cart", {"product_id": product})
        yield self._say(at + 9 * MINUTE, "Started Checkout", {"product_id": product}, value="45")
        if chance.random() < 0.4:
            return
        yield from self._order(at + (10 * MINUTE if chance.random() < 0.7 else 6 * HOUR), product)

    def _order(self, at: Instant, product: str) -> Iterator[Said]:
        chance = self._chance
        self._orders += 1
        order = {"order_id": f"{self._number}-{self._orders}"}
        category = "coffee" if self._number % 4 == 0 else "mugs"
        items = [{"product_id": product, "category": category}]
        price = str(chance.randrange(40, 400))
        yield self._say(at, "Placed Order", {**order, "items": items}, value=price)
        if chance.random() < 0.1:
            yield self._say(at + HOUR, "Cancelled Order", order)
            return
        if chance.random() < 0.9:
            yield self._say(at + chance.randrange(DAY, 3 * DAY), "Fulfilled Order", order)
        if chance.random() < 0.4:
            rating = {"rating": chance.choice((1, 2, 4, 5, 5))}
            yield self._say(at + 12 * DAY, "Submitted Review", rating)

    def _say(
        self,
        at: Instant,
        metric: str,
        properties: dict[str, Any],
        *,
        profile: dict[str, Any] | None = None,
        **more: Any,
    ) -> Said:
        event = {
            "metric": metric,
            "time": to_timestamp(at),
            "profile": self._who if profile is None else profile,
            "properties": properties,
            "source": "shop",
            **({"currency": "EUR"} if "value" in more else {}),
            **more,
        }
        return at + self._chance.randrange(SECOND), event


def core(secret: bytes, **bounds: int) -> Replay:
    """The path in memory, with the ids of a deployment."""
    ids = Ids(secret)
    return Replay(
        PARTITIONS,
        reader=lambda: EventReader(ids),
        identity=IdentityCore(ids),
        profile=ProfileCore(ids),
        **bounds,
    )


def fed(replay: Replay, pieces: Sequence[Round], *, at_once: int) -> list[Write]:
    """All that is said when so many rounds are read at a time."""
    said: list[Write] = []
    for first in range(0, len(pieces), at_once):
        for piece in pieces[first : first + at_once]:
            for partition, records in enumerate(piece.partitions):
                for record in records:
                    replay.append(
                        partition,
                        record.value,
                        record.received_at,
                        key=record.key,
                        headers=record.headers,
                    )
        said += replay.run()
    return said
