"""One person to whom everything happens: the row stays below its cap."""

import pytest

from schemas.events import Event
from schemas.records import Absorb, DefinitionsPublished, EventResolved
from schemas.rows import ProfileRow
from streams.apply import Timers
from streams.core import ROW_BYTES_MAX, Core
from streams.instants import MINUTE
from tests.streams.profile.test_facts import (
    ANN,
    CORE,
    HOSTILE,
    START,
    documents_of,
    event_of,
    in_force,
)

pytestmark = [pytest.mark.prove, pytest.mark.timeout(900)]

EVENTS, LINKS, ABSORBS = 100_000, 10_000, 10_000
BETWEEN_LOOKS = 5_000
METRICS = ("Viewed Product", "Placed Order", "Subscribed", "Opened Email", "Added to Cart")


def happening(number: int) -> Event:
    """An event with names of its own; each of the first has an identifier never seen before."""
    fresh = (("email", f"m{number}@x.de"), ("anonymous_id", f"a{number}"))
    return event_of(
        METRICS[number % len(METRICS)],
        f"e{number}",
        START + MINUTE * number,
        (*ANN[:1], *fresh[: 2 * (number < LINKS)]),
        {"product_id": f"p{number}", f"property-{number}": number},
        traits={f"trait-{number}": "x" * 200},
    )


def absorbed(number: int) -> Absorb:
    """Somebody else, with an identifier, a trait and a word of consent."""
    name = f"i9{number:06}"
    lost = ProfileRow(store="main", id=name, identifiers={"device_id": {f"d{number}": number}})
    return Absorb(name, CORE.encode(lost))


def size_of(core: Core[ProfileRow], row: ProfileRow) -> int:
    """Bytes, as it is kept; what is kept is what was there."""
    blob = core.encode(row)
    assert core.encode(core.decode(blob)) == blob
    return len(blob)


def test_a_row_stays_below_its_cap_whatever_happens_to_one_person() -> None:
    core: Core[ProfileRow] = CORE.adopt(
        in_force(None, DefinitionsPublished("main", "v2", "ann", documents_of(HOSTILE)), ())
    )
    row, timers, largest, turns = None, Timers(), 0, 0
    for number in range(EVENTS):
        event = happening(number)
        origin = (event.received_at, 0, number)
        row, _ = core.step(row, "i-1", EventResolved(event, ANN[0]), event.received_at, origin)
        assert row is not None
        timers.set("i-1", core.wake_at(row))
        while (due := timers.peek()) is not None and due[0] <= event.received_at:
            timers.pop()
            row, _ = core.wake(row, "i-1", due[0], due[0])
            timers.set("i-1", core.wake_at(row))
            turns += 1
        assert len(timers) <= 1, "a profile has one entry in the heap"
        if number % BETWEEN_LOOKS == 0:
            largest = max(largest, size_of(core, row))
    for number in range(ABSORBS):
        row, _ = core.step(row, "i-1", absorbed(number), event.received_at + number, ())
        assert row is not None
        if number % BETWEEN_LOOKS == 0:
            largest = max(largest, size_of(core, row))
    largest = max(largest, size_of(core, row))
    assert turns, "time passed, too"
    assert largest < ROW_BYTES_MAX
    print(f"{EVENTS:,} events, {turns:,} timers, {ABSORBS:,} absorbs: at most {largest:,} bytes")
