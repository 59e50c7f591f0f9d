"""What flows cost: an event with 5 and with 50 of them loaded; a million waits due in a minute."""

import time
from collections.abc import Iterator

import pytest

from schemas.records import DefinitionsPublished, EventResolved
from schemas.rows import ProfileRow
from streams.apply import Timers
from streams.definitions.switch import in_force
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import HOUR, MINUTE, SECOND
from streams.profile.step import ProfileCore
from tests.scenarios.play import documents_of, event_of

START = 1_774_000_000_000
PROFILES, EVENTS = 300, 30
WAITING = 1_000_000
METRICS = ("Viewed Product", "Added to Cart", "Started Checkout", "Placed Order", "Opened Email")
STORE = "store: main\naddress: Somewhere 1\n"


def flows(count: int) -> str:
    """Flows of the usual kinds; those beyond the fifth wait for metrics of their own."""
    parts = [STORE]
    for number in range(count):
        metric = METRICS[number] if number < 5 else f"Metric {number}"
        parts.append(
            f"flow: f{number}\ntrigger: {{did: {metric}}}\nre_entry: {{after: 3d}}\n"
            "filter: {none: [{did: Placed Order, since: flow_start}]}\n"
            "steps:\n  - wait: 4h\n"
            f"  - {{send: m{number}, channel: email, template: t}}\n"
            "  - wait_for: {did: Opened Email}\n    at_most: 24h\n"
            "  - {set: {reminded: now}}\n"
        )
    return "\n---\n".join(parts)


def core_of(text: str) -> ProfileCore:
    published = DefinitionsPublished("main", "v1", "bench", documents_of(text))
    return ProfileCore(Ids(REPLAY_SECRET)).adopt(in_force(None, published, ()))


def arrivals() -> Iterator[tuple[int, EventResolved, int]]:
    for index in range(EVENTS):
        for person in range(PROFILES):
            at = START + index * 5 * HOUR + person
            metric = METRICS[(index * 3 + person) % len(METRICS)] if index else "Subscribed"
            who = (("external_id", f"c-{person}"), ("email", f"p{person}@example.com"))
            event = event_of(metric, f"e{index}-{person}", at, who, {"channel": "email"})
            yield person, EventResolved(event, who[0]), at


def micros_per_event(core: ProfileCore) -> float:
    """Steps and the timers between them."""
    rows: list[ProfileRow | None] = [None] * PROFILES
    work = list(arrivals())
    began = time.perf_counter()
    for person, body, at in work:
        row = rows[person]
        while row is not None and (due := core.wake_at(row)) is not None and due <= at:
            row, _ = core.wake(row, row.id, due, due)
        rows[person], _ = core.step(row, f"i{person}", body, at, (at, 0, 1))
    return (time.perf_counter() - began) / len(work) * 1e6


@pytest.mark.bench
def test_what_an_event_costs_with_five_flows_and_with_fifty() -> None:
    few, many = core_of(flows(5)), core_of(flows(50))
    costs = {5: 1e9, 50: 1e9}
    for _ in range(3):
        costs = {
            5: min(costs[5], micros_per_event(few)),
            50: min(costs[50], micros_per_event(many)),
        }
    print(f"\nflows: {costs[5]:.0f} µs/event with 5 flows, {costs[50]:.0f} µs with 50")
    assert costs[50] < 1.5 * costs[5], "a flow that an event does not touch costs nothing"


@pytest.mark.bench
def test_a_million_waits_due_in_the_same_minute_while_live_events_come() -> None:
    """A live event of somebody else comes between each thousand of them."""
    core = core_of(
        STORE + "---\nflow: f\ntrigger: {did: Started}\n"
        "steps: [{wait: 1h}, {send: m, channel: email, template: t}]\n"
    )
    waiting = core.encode(waiting_row(core))
    timers, due_from = Timers(), START + HOUR
    began = time.perf_counter()
    for number in range(WAITING):
        timers.set(f"i{number}", due_from + number * MINUTE // WAITING)
    filled = time.perf_counter() - began
    latencies = []
    woken = 0
    began = time.perf_counter()
    while (head := timers.peek()) is not None:
        due, key = timers.pop()
        assert head == (due, key)
        row, said = core.wake(core.decode(waiting), "i-1", due, max(due, START + HOUR + MINUTE))
        core.encode(row)
        woken += any(one.to == "send-commands" for one in said)
        if woken % 1000 == 0:
            latencies.append(live_event(core, woken))
    seconds = time.perf_counter() - began
    latencies.sort()
    median, late = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    print(
        f"\nwaits: {WAITING:,} timers set in {filled:.1f} s, worked off in {seconds:.0f} s "
        f"({seconds / WAITING * 1e6:.0f} µs each, decode and encode included); "
        f"a live event between them: median {median:.0f} µs, p99 {late:.0f} µs"
    )
    assert woken == WAITING
    assert len(timers) == 0


def waiting_row(core: ProfileCore) -> ProfileRow:
    who = (("email", "ann@example.com"),)
    row: ProfileRow | None = None
    for number, metric in enumerate(("Subscribed", "Started")):
        at = START + number * SECOND - SECOND
        event = event_of(metric, metric, at, who, {"channel": "email"})
        row, _ = core.step(row, "i-1", EventResolved(event, who[0]), at, (at, 0, 1))
    assert row is not None
    return row


def live_event(core: ProfileCore, number: int) -> float:
    who = (("email", f"p{number}@example.com"),)
    at = START + HOUR + MINUTE
    event = event_of("Viewed Product", f"v{number}", at, who, {"product_id": "p"})
    began = time.perf_counter()
    core.step(None, f"i-{number}", EventResolved(event, who[0]), at, (at, 0, 1))
    return (time.perf_counter() - began) * 1e6
