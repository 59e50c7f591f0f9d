"""A small story, told to the real core: at least one record of everything the path says today.

Ann subscribes, is welcomed, orders twice and falls silent for sixty days; the second time she uses
a browser that was here before. Bob orders and has never been asked; Ann's mother has an account of
her own with Ann's e-mail address; one record is no event; Bob is erased in the end.
docs/topics.md shows what comes out, and the tests beside this file see who writes to which topic.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec

import streams.replay
from schemas.records import DefinitionsPublished
from schemas.splits import SplitAsked
from schemas.values import Instant, Stage
from streams.identity.step import IdentityCore
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.control import definitions, erasure, split, tick
from streams.ingest.read import EventReader
from streams.instants import DAY, HOUR, SECOND, to_instant, to_timestamp
from streams.intake import RoundIntake, Work, Write
from streams.passing import PassIntake
from streams.profile.step import ProfileCore
from streams.replay import Replay

BEGIN: Instant = to_instant("2026-03-02T09:00:00Z")

DEFINITIONS: tuple[dict[str, Any], ...] = (
    {
        "store": "main",
        "currency": "EUR",
        "zone": "Europe/Berlin",
        "address": "Beispielgasse 1, 10115 Berlin",
    },
    {
        "segment": "winback-60d",
        "where": {
            "all": [
                {"did": "Placed Order", "times": ">= 2"},
                {"did_not": "Placed Order", "in_last": "60d"},
            ]
        },
    },
    {
        "flow": "welcome",
        "trigger": {"did": "Subscribed"},
        "steps": [
            {
                "send": "welcome-1",
                "channel": "email",
                "template": "welcome",
                "subject": "Welcome",
            }
        ],
    },
    {
        "flow": "thanks",
        "trigger": {"did": "Placed Order"},
        "steps": [
            {"send": "thanks-1", "channel": "email", "template": "thanks"},
            {"notify": {"to": "packing", "message": "Put a card into the parcel"}},
        ],
    },
)

ANN = {"external_id": "c-17", "email": "ann@example.com", "traits": {"first_name": "Ann"}}
ANN_AT_HOME = {**ANN, "anonymous_id": "a-9"}
SOMEBODY = {"anonymous_id": "a-9"}
MOTHER = {"external_id": "c-18", "email": "ann@example.com"}
BOB = {"email": "bob@example.com"}


class Told(NamedTuple):
    """A record and the stage that wrote it."""

    stage: Stage
    write: Write


def events() -> Iterator[tuple[Instant, dict[str, Any]]]:
    """What the store pushes, and when the broker receives it: 250 ms after it happened."""
    said: list[tuple[Instant, str, str, dict[str, Any], dict[str, Any], str | None]] = [
        (0, "s-1", "Subscribed", ANN, {"channel": "email", "method": "checkout"}, None),
        (1 * DAY, "order-1001", "Placed Order", ANN, {"order_id": "1001"}, "39.80"),
        (1 * DAY + HOUR, "v-1", "Viewed Product", SOMEBODY, {"product_id": "p-3"}, None),
        (2 * DAY, "order-1002", "Placed Order", ANN_AT_HOME, {"order_id": "1002"}, "12.00"),
        (2 * DAY + HOUR, "i-1", "Identify", MOTHER, {}, None),
        (3 * DAY, "order-1003", "Placed Order", BOB, {"order_id": "1003"}, "7.50"),
    ]
    for after, own_id, metric, profile, properties, value in said:
        money = {} if value is None else {"value": value, "currency": "EUR"}
        happened_at = BEGIN + after
        yield (
            happened_at + 250,
            {
                "id": own_id,
                "metric": metric,
                "time": to_timestamp(happened_at),
                "profile": profile,
                "properties": properties,
                "source": "shop",
                **money,
            },
        )
    yield BEGIN + 4 * DAY, {"metric": "Viewed Product", "profile": {"email": 17}}


class _Path(Replay):
    """The path in memory, with a list of who wrote what."""

    def __init__(self, told: list[Told], profile: ProfileCore) -> None:
        ids = Ids(REPLAY_SECRET)

        def noted(stage: Stage, work: Work | None) -> Work | None:
            if work is not None:
                told.extend(Told(stage, write) for write in work.writes)
            return work

        class Passing(PassIntake):
            def next(self) -> Work | None:
                return noted("ingest", super().next())

        class InRounds(RoundIntake[Any]):
            def next(self) -> Work | None:
                return noted(self.core.stage, super().next())

        with (
            patch.object(streams.replay, "PassIntake", Passing),
            patch.object(streams.replay, "RoundIntake", InRounds),
        ):
            super().__init__(
                1,
                reader=lambda: EventReader(ids),
                identity=IdentityCore(ids),
                profile=profile,
            )


class _StumblesOverBob(ProfileCore):
    """A station whose step raises now and then."""

    def step(self, row: Any, key: str, body: Any, now: Any, origin: Any) -> Any:
        if getattr(getattr(body, "event", None), "id", "") == "order-1003":
            raise ZeroDivisionError
        return super().step(row, key, body, now, origin)


@lru_cache
def told(*, stumbles: bool = False) -> tuple[Told, ...]:
    """The whole story; stumbles: Bob's order becomes a dead letter."""
    ids = Ids(REPLAY_SECRET)
    found: list[Told] = []
    path = _Path(found, (_StumblesOverBob if stumbles else ProfileCore)(ids))
    published = DefinitionsPublished("main", "1", "ann@shop.example", DEFINITIONS)
    value, headers = definitions(published, REPLAY_SECRET)
    path.append(0, value, BEGIN - SECOND, headers=headers)
    for received_at, event in events():
        _tick(path, received_at)
        path.append(0, msgspec.json.encode(event), received_at)
        for seconds in range(1, 5):
            _tick(path, received_at + seconds * SECOND)
    asked = SplitAsked("main", (("email", BOB["email"]),), "split-1", "sue", "a mistake")
    value, headers = split(asked, REPLAY_SECRET)
    path.append(0, value, BEGIN + 5 * DAY, headers=headers)
    value, headers = erasure("main", ("email", BOB["email"]), "request-1", REPLAY_SECRET)
    path.append(0, value, BEGIN + 5 * DAY, headers=headers)
    _tick(path, BEGIN + 63 * DAY)
    return tuple(found)


def _tick(path: Replay, at: Instant) -> None:
    value, headers = tick()
    path.append(0, value, at, headers=headers)
    path.run()
