"""Random people with their devices, what happens to them, and what must be true in the end.

A history is a list of store events; a world puts each of them into some partition at some instant.
What happened stays the same whatever the order in which it arrives: `time` is fixed beforehand.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from schemas.records import DefinitionsPublished
from schemas.rows import IdentityRow, ProfileRow
from schemas.topics import TIMELINE
from schemas.values import Instant, ProfileId
from streams.consent.state import state_of
from streams.definitions.switch import in_force
from streams.identity.erasure import is_veiled
from streams.identity.step import IdentityCore
from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.control import HEADER, erasure, tick
from streams.ingest.read import EventReader
from streams.instants import SECOND, to_timestamp
from streams.intake import Write
from streams.profile.step import ProfileCore
from streams.replay import MemoryRecord
from tests.scenarios.play import documents_of
from tests.streams.simulation import Path

BEGIN: Instant = 1_774_000_000_000
TICK = 5 * SECOND
SPAN = 120 * SECOND
CLOSING = 60
"""Ticks after the last event: every merge comes to its end."""

DEFINITIONS = """
store: main
address: Somewhere 1
---
list: newsletter
opt_in: single
---
segment: everything
where: {did: Happened, total: {of: weight, is: "> 0"}, in_last: 3000d}
---
segment: twice
where: {did: Placed Order, times: ">= 2"}
---
segment: large
where: {did: Placed Order, total: {of: value, is: "> 60"}, in_last: 3000d}
---
segment: dear
where: {did: Placed Order, max: {of: value, is: "> 25"}}
---
segment: reachable
where: {can_receive: email}
---
segment: berlin
where: {all: [{trait: city, is: Berlin}, {in_segment: twice}]}
---
flow: thanks
trigger: {enters: twice}
steps:
  - {send: thanks, channel: email, template: t}
---
flow: checkout
trigger: {did: Started Checkout}
steps:
  - wait: 20s
  - {send: cart, channel: email, template: t}
"""

IDS = Ids(REPLAY_SECRET)
PUBLISHED = in_force(None, DefinitionsPublished("main", "v1", "ann", documents_of(DEFINITIONS)), ())
PATH = Path(
    lambda: EventReader(IDS), IdentityCore(IDS).adopt(PUBLISHED), ProfileCore(IDS).adopt(PUBLISHED)
)
CORE = PATH.profile


class _Unranked(Ids):
    """Ids by which an account may have to join an address: the protocol must bear that too."""

    def profile(
        self, store: Any, identifier: Any, *, strong: bool, epoch: int = 0, **_: Any
    ) -> ProfileId:
        return super().profile(store, identifier, strong=strong, epoch=epoch)


UNRANKED = IdentityCore(_Unranked(REPLAY_SECRET)).adopt(PUBLISHED)
EVERYTHING = next(
    feature.key
    for feature in ProfileCore(IDS).adopt(PUBLISHED)._stores["main"].program.features.values()
    if feature.content.event.metric == "Happened"
)
"""The feature that keeps every event of a profile."""

STRENGTH = ("external_id", "email", "phone", "anonymous_id", "device_id", "cart_token")
STRONG = STRENGTH[:3]

Event = dict[str, Any]


class Kind(NamedTuple):
    """What may happen in a history.

    conflicts: somebody uses another's strong identifier. shared: devices are shared. client: some
    events come from browsers. alias: external ids are replaced. dense: a few accounts share many
    addresses, so that merges meet merges. circles: aliases contradict each other.
    """

    conflicts: bool = False
    shared: bool = False
    client: bool = False
    alias: bool = False
    dense: bool = False
    circles: bool = False


def history(rng: random.Random, kind: Kind) -> list[Event]:
    """Some people, each with a pool of identifiers, and what they do."""
    people = rng.randint(1, 5)
    events = [_event(rng, kind, people, number) for number in range(rng.randint(1, 30))]
    if kind == Kind() or kind == Kind(client=True):
        events += [_known(person, other) for person in range(people) for other in range(2)]
    return events


def _known(person: int, other: int) -> Event:
    """The store knows all names of the person: so no device is shared by two."""
    external, first, second, phone = _pool(person)[:4]
    return {
        "id": f"e-known-{person}-{other}",
        "metric": "Happened",
        "time": to_timestamp(BEGIN - 7200 * SECOND),
        "profile": dict((external, phone, second if other else first)),
        "properties": {"weight": 1},
    }


def _pool(person: int) -> list[tuple[str, str]]:
    return [
        ("external_id", f"c-{person}"),
        ("email", f"a{person}@example.com"),
        ("email", f"b{person}@example.com"),
        ("phone", f"+49301234{person:03}"),
        ("anonymous_id", f"browser-{person}"),
        ("anonymous_id", f"tablet-{person}"),
        ("device_id", f"phone-{person}"),
        ("cart_token", f"cart-{person}"),
    ]


def _crowd(rng: random.Random) -> list[tuple[str, str]]:
    account = [("external_id", f"c-{rng.randrange(2)}")] if rng.random() < 0.25 else []
    mails = [("email", f"m{number}@example.com") for number in range(5)]
    phones = [("phone", f"+493012341{number:02}") for number in range(5)]
    return (account + rng.sample(mails, 1) + rng.sample(phones, 1))[:2]


def _event(rng: random.Random, kind: Kind, people: int, number: int) -> Event:
    person = rng.randrange(people)
    pool = _pool(person)
    if kind.conflicts and rng.random() < 0.3:
        pool = pool[:1] * 4 + pool + _pool(rng.randrange(people))[1:4] * 2
    if kind.shared and rng.random() < 0.3:
        pool += _pool(rng.randrange(people))[4:]
    if kind.dense:
        pool = _crowd(rng)
    chosen = dict(
        rng.sample(
            pool, min(len(pool), rng.choice((1, 1, 1, 2, 2, 3) if len(pool) < 12 else (2, 3)))
        )
    )
    at = BEGIN - 3600 * SECOND + 10 * SECOND * number
    event: Event = {
        "id": f"e{number}",
        "metric": "Happened",
        "time": to_timestamp(at),
        "profile": {**chosen, "traits": _traits(rng), "traits_once": {"source": f"s{number % 3}"}},
        "properties": {"weight": 1},
    }
    if kind.client and rng.random() < 0.4:
        event["trust"] = "client"
    if kind.alias and rng.random() < 0.15:
        event["metric"] = "Alias"
        new, old = rng.randrange(people), rng.randrange(people)
        if not kind.circles:
            new, old = max(new, old), min(new, old)
        event["profile"]["external_id"] = f"c-{new}"
        event["properties"]["previous"] = {"external_id": f"c-{old}"}
    return event


def _traits(rng: random.Random) -> dict[str, Any]:
    names = {"city": rng.choice(("Berlin", "Rome", None)), "size": rng.randint(1, 3)}
    return {name: value for name, value in names.items() if rng.random() < 0.3}


def also(rng: random.Random, events: list[Event], *, grants_alone: bool = False) -> list[Event]:
    """More of the same people: orders, checkouts, words about consent. Each `Happened` too.

    grants_alone: nobody denies, and who grants names the address: then the order does not matter.
    """
    more = []
    for number, event in enumerate(events):
        more.append(event)
        if rng.random() < 0.5 and event["metric"] == "Happened":
            metric = rng.choice(("Placed Order", "Started Checkout", "Subscribed", "Unsubscribed"))
            if grants_alone and "scribed" in metric:
                metric = "Subscribed" if "email" in event["profile"] else "Viewed Product"
            told = {**event, "id": f"m{number}", "metric": metric}
            told["properties"] = {"channel": "email"} if "scribed" in metric else {}
            if metric == "Placed Order":
                told |= {"value": rng.randint(1, 40), "currency": "EUR"}
            more.append(told)
    return more


def world(
    rng: random.Random,
    events: Iterable[Event],
    partitions: int,
    *,
    repeats: float = 0.0,
    erasures: int = 0,
) -> list[list[MemoryRecord]]:
    """The logs of `store-events`: the events at random instants, some of them twice, and ticks.

    erasures: how many are asked for, each of somebody whom an event names.
    """
    events = list(events)
    raw: list[list[tuple[Instant, float, bytes, Any]]] = [[] for _ in range(partitions)]
    for event in events:
        for _ in range(2 if rng.random() < repeats else 1):
            at = BEGIN + rng.randint(0, SPAN)
            rng.choice(raw).append((at, rng.random(), msgspec.json.encode(event), ()))
    for number in range(erasures):
        named = [one for one in rng.choice(events)["profile"].items() if one[0] in STRENGTH]
        asked, signed = erasure("main", rng.choice(named), f"r{number}", REPLAY_SECRET)
        rng.choice(raw).append((BEGIN + rng.randint(0, SPAN), rng.random(), asked, signed))
    value, headers = tick()
    logs = []
    for log in raw:
        log += [(BEGIN + TICK * n, 2.0, value, headers) for n in range(SPAN // TICK + CLOSING)]
        log.sort(key=lambda entry: entry[:2])
        logs.append(
            [
                MemoryRecord(offset, at, None, value, headers)
                for offset, (at, _, value, headers) in enumerate(log)
            ]
        )
    return logs


# --- what must be true ---------------------------------------------------------------------------


class Ended(NamedTuple):
    """All rows, when nothing moves any more."""

    profiles: dict[ProfileId, ProfileRow]
    identifiers: dict[str, IdentityRow]

    @property
    def live(self) -> list[ProfileRow]:
        return [row for row in self.profiles.values() if row.to is None and not row.gone_at]

    def find(self, profile_id: ProfileId) -> ProfileRow | None:
        """The live profile behind an id; None where no event has come to it."""
        seen = set()
        while (row := self.profiles.get(profile_id)) is not None and row.to is not None:
            assert profile_id not in seen, "redirects lead in a circle"
            seen.add(profile_id)
            assert row.to < profile_id, "whoever is merged goes to a smaller id"
            profile_id = row.to
        assert row is not None or not seen, "a redirect to nobody"
        return row


def ended(profiles: Mapping[bytes, bytes], identifiers: Mapping[bytes, bytes]) -> Ended:
    identity = IdentityCore(IDS)
    return Ended(
        {key.decode(): CORE.decode(row) for key, row in profiles.items()},
        {key.decode(): identity.decode(row) for key, row in identifiers.items()},
    )


def events_of(row: ProfileRow) -> set[str]:
    state = row.features.get(EVERYTHING)
    return set() if state is None else {entry.event_id for entry in state.entries}


def check(
    end: Ended,
    events: list[Event],
    *,
    once: bool = True,
    at_once: bool = True,
    circles: bool = False,
) -> None:
    """The invariants, whatever happened.

    once: an event that was pushed twice cannot have reached two people who share a device.
    at_once: pointers were repaired at once, not by way of redirects: so it is in rounds.
    circles: the store says of two external ids that each was the other before.
    """
    if once:
        _check_counts(end, events)
    assert {one for row in end.live for one in events_of(row)} == {
        event["id"] for event in events if event["metric"] == "Happened"
    }
    check_rows(end, circles)
    _check_pointers(end, at_once)


SETTLING = 12 * TICK
"""An erasure is over by then: merges under way have come to their end before it."""


def check_erased(end: Ended, source: list[list[MemoryRecord]]) -> None:
    """What is true whatever was erased: what came later is somebody's, and nobody's twice."""
    asked_at = [one.timestamp for log in source for one in log if one.headers and _asks(one)]
    later = {
        str(event["id"])
        for log in source
        for one in log
        if not one.headers and one.timestamp > max(asked_at) + SETTLING
        for event in [msgspec.json.decode(one.value or b"")]
        if event["metric"] == "Happened"
    }
    assert later <= {one for row in end.live for one in events_of(row)}
    check_rows(end, circles=True)
    for row in end.profiles.values():
        if row.gone_at:
            bare = ProfileRow(store=row.store, id=row.id, gone_at=row.gone_at, gone_by=row.gone_by)
            assert row == bare, "nothing is left of who is gone"
    for identifier in end.identifiers.values():
        if is_veiled(identifier):
            assert not identifier.profile_id
            assert not identifier.links


def _asks(record: MemoryRecord) -> bool:
    return dict(record.headers)[HEADER] == b"erasure"


def _check_counts(end: Ended, events: list[Event]) -> None:
    happened = sorted(event["id"] for event in events if event["metric"] == "Happened")
    assert sorted(one for row in end.live for one in events_of(row)) == happened, "one profile each"
    assert sum(row.events for row in end.live) == len(events)
    orders = [event for event in events if event["metric"] == "Placed Order"]
    assert sum(row.figures.orders for row in end.live) == len(orders)
    revenue = sum(row.figures.revenue for row in end.live)
    assert revenue == sum(event["value"] for event in orders) * 1_000_000


def check_rows(end: Ended, circles: bool) -> None:
    owners: dict[str, ProfileId] = {}
    for row in end.live:
        external = row.identifiers.get("external_id", {})
        assert len(external) <= 1, "never two external ids in one"
        assert not set(external) & set(row.retired)
        for one in external:
            owner = owners.setdefault(one, row.id)
            assert circles or owner == row.id, "an external id names one profile"
        assert row.proposal is None
        assert row.erasing is None
        assert not row.to_join, "nothing is pending"
        assert not row.reserved
        assert not row.united
        check_memberships(row)
    for row in end.profiles.values():
        end.find(row.id)
        if row.to is not None:
            bare = ProfileRow(store=row.store, id=row.id, to=row.to)
            assert row == bare, "nothing is left in a redirect"


def _check_pointers(end: Ended, at_once: bool) -> None:
    for identifier in end.identifiers.values():
        for pointer in filter(None, (identifier.profile_id, *identifier.holders)):
            pointed = end.profiles.get(pointer)
            live = end.find(pointer)
            assert pointed is None or live is not None
            assert not at_once or live is pointed, "pointers were repaired at once"


def check_memberships(row: ProfileRow) -> None:
    """What is kept is what the conditions say when they are asked from scratch."""
    program = CORE._stores["main"].program
    from streams.segments.membership import evaluate

    kept = {name for name, one in row.segments.items() if one.since is not None}
    fresh = CORE.decode(CORE.encode(row))
    fresh.segments, fresh.definitions = {}, ""
    evaluate(fresh, program, (), BEGIN + SPAN, due=None, ids=IDS)
    assert kept == {name for name, one in fresh.segments.items() if one.since is not None}


def groups(events: list[Event]) -> dict[str, set[str]]:
    """event -> all events of the same person, as identifiers connect them."""
    parent: dict[str, str] = {}

    def find(one: str) -> str:
        while parent.setdefault(one, one) != one:
            one = parent[one]
        return one

    for event in events:
        named = [(kind, event["profile"][kind]) for kind in STRENGTH if kind in event["profile"]]
        first = "/".join(named[0])
        find(first)
        for kind, value in named[1:]:
            if event.get("trust") != "client" or kind not in STRONG:
                parent[find(f"{kind}/{value}")] = find(first)
    gathered: dict[str, set[str]] = defaultdict(set)
    keys = {}
    for event in events:
        kind = next(kind for kind in STRENGTH if kind in event["profile"])
        keys[event["id"]] = find(f"{kind}/{event['profile'][kind]}")
        gathered[keys[event["id"]]].add(event["id"])
    return {event_id: gathered[key] for event_id, key in keys.items()}


def summary(end: Ended, *, counts: bool = True) -> list[Any]:
    """What must not depend on the order of arrival.

    counts: of features too; where an event reached two profiles before they merged, a feature that
    keeps fewer entries than it counts cannot tell.
    """
    return sorted(
        (
            row.id,
            sorted((k, sorted(v.items())) for k, v in row.identifiers.items() if k != "device_id"),
            sorted({*row.identifiers.get("device_id", ()), *(one[1] for one in row.claimed)}),
            sorted((name, repr(t.value), t.occurred_at, t.once) for name, t in row.traits.items()),
            sorted(events_of(row)),
            sorted(
                (key, counts and (state.count, state.total), list(map(repr, state.entries)))
                for key, state in row.features.items()
            ),
            (row.figures.orders, row.figures.revenue),
            (row.figures.first_order_at, row.figures.last_order_at),
            sorted(name for name, one in row.segments.items() if one.since is not None),
            row.events,
            row.last_seen_at,
            sorted(row.ordered_with.items()),
            sorted((address, state_of(s)) for address, s in row.consent.get("email", {}).items()),
        )
        for row in end.live
        if row.events
    )


def told_events(said: Iterable[Write]) -> list[str]:
    """Ids of the events in the timeline, in order."""
    return sorted(
        msgspec.json.decode(write.value)["event_id"]
        for write in said
        if write.topic == TIMELINE.name
    )
