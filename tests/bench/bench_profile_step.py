"""What the profile step costs: microseconds per event, with 20 segments and 5 flows.

    python tests/bench/bench_profile_step.py [--profile]

Rows are kept in memory: decode and encode are measured by themselves.
"""

import cProfile
import pstats
import sys
import time

from schemas.records import DefinitionsPublished, EventResolved
from schemas.rows import ProfileRow
from streams.definitions.switch import in_force
from streams.ids import REPLAY_SECRET, Ids
from streams.profile.step import ProfileCore
from tests.scenarios.play import documents_of, event_of

PROFILES = 400
EVENTS = 40
HOUR = 3_600_000
START = 1_774_000_000_000

METRICS = ["Viewed Product"] * 10 + ["Added to Cart"] * 4 + ["Active on Site"] * 12
METRICS += ["Started Checkout", "Placed Order", "Received Email", "Opened Email", "Clicked Email"]


def definitions() -> str:
    """Twenty segments over the usual metrics, five flows of the usual kinds."""
    parts = ["store: main\nzone: Europe/Berlin\naddress: Somewhere 1"]
    for number in range(4):
        days = 7 + 20 * number
        parts += [
            (
                f"segment: buyers-{number}\n"
                f'where: {{did: Placed Order, times: ">= {number + 1}", in_last: {days}d}}'
            ),
            (
                f"segment: viewers-{number}\n"
                f"where: {{did: Viewed Product, where: {{category: c{number}}}, in_last: {days}d}}"
            ),
            (
                f"segment: spenders-{number}\n"
                f'where: {{did: Placed Order, total: {{of: value, is: "> {number + 1}00"}}, '
                f"in_last: {days}d}}"
            ),
            (
                f"segment: engaged-{number}\n"
                f"where: {{any: [{{did: Opened Email, in_last: {days}d}}, "
                f"{{did: Clicked Email, in_last: {days}d}}, "
                f"{{did: Active on Site, in_last: {days}d}}]}}"
            ),
            (
                f"segment: lapsed-{number}\n"
                f'where: {{all: [{{did: Placed Order, times: ">= 1"}}, '
                f"{{did_not: Placed Order, in_last: {days}d}}, {{can_receive: email}}]}}"
            ),
        ]
    send = "{send: %s, channel: email, template: t}"
    parts += [
        (
            "flow: cart\ntrigger: {did: Started Checkout}\n"
            "filter: {none: [{did: Placed Order, since: flow_start}]}\nre_entry: {after: 7d}\n"
            f"steps: [{{wait: 4h}}, {send % 'cart-1'}, {{wait: 24h}}, {send % 'cart-2'}]"
        ),
        (
            "flow: browse\ntrigger: {did: Viewed Product, where: {category: c1}}\n"
            f"re_entry: {{after: 3d}}\nsteps: [{{wait: 2h}}, {send % 'browse'}]"
        ),
        f"flow: thanks\ntrigger: {{did: Placed Order}}\nsteps: [{{wait: 1d}}, {send % 'thanks'}]",
        f"flow: winback\ntrigger: {{enters: lapsed-3}}\nsteps: [{send % 'winback'}]",
        (
            "flow: open\ntrigger: {did: Clicked Email}\nre_entry: {after: 30d}\nsteps:\n"
            "  - wait_for: {did: Placed Order}\n    at_most: 2d\n    met: []\n"
            f"    missed: [{send % 'nudge'}]"
        ),
    ]
    return "\n---\n".join(parts)


def main() -> None:
    core = ProfileCore(Ids(REPLAY_SECRET)).adopt(
        in_force(None, DefinitionsPublished("main", "v1", "bench", documents_of(definitions())), ())
    )
    rows: list[ProfileRow | None] = [None] * PROFILES
    work = []
    for index in range(EVENTS):
        for person in range(PROFILES):
            at = START + index * 7 * HOUR + person * 1000
            metric = METRICS[(index * 7 + person * 13) % len(METRICS)]
            who = (("external_id", f"c-{person}"), ("email", f"p{person}@example.com"))
            properties = {
                "category": f"c{(index + person) % 6}",
                "product_id": f"p{index}",
                "items": [{"product_id": f"p{index}", "price": "39.80", "quantity": 1}] * 2,
            }
            if index == 0:
                metric, properties = "Subscribed", {"channel": "email"}
            money = "39.80" if metric in ("Placed Order", "Started Checkout") else None
            event = event_of(metric, f"e{index}-{person}", at, who, properties, money=money)
            work.append((person, EventResolved(event, who[0]), at))
    profiler = cProfile.Profile() if "--profile" in sys.argv else None
    step, wakes, outputs = 0.0, 0, 0
    waking = 0.0
    clock = time.perf_counter
    for person, body, at in work:
        row = rows[person]
        began = clock()
        while row is not None and (due := core.wake_at(row)) is not None and due <= at:
            row, said = core.wake(row, row.id, due, due)
            wakes += 1
            outputs += len(said)
        middle = clock()
        if profiler is not None:
            profiler.enable()
        row, said = core.step(row, f"i{person}", body, at, (at, 0, 1))
        if profiler is not None:
            profiler.disable()
        step += clock() - middle
        waking += middle - began
        outputs += len(said)
        rows[person] = row
    kept = [row for row in rows if row is not None]
    began = clock()
    blobs = [core.encode(row) for row in kept]
    encoded = clock()
    for blob in blobs:
        core.decode(blob)
    decoded = clock()
    print(f"step    {step / len(work) * 1e6:6.1f} us/event over {len(work)} events")
    print(f"wake    {waking / max(wakes, 1) * 1e6:6.1f} us each, {wakes} of them")
    print(
        f"encode  {(encoded - began) / len(kept) * 1e6:6.1f} us/row of "
        f"{sum(map(len, blobs)) // len(blobs)} bytes"
    )
    print(f"decode  {(decoded - encoded) / len(kept) * 1e6:6.1f} us/row")
    print(f"outputs {outputs / len(work):6.2f} per event")
    if profiler is not None:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(28)


if __name__ == "__main__":
    main()
