"""What an event costs in segments: note + evaluate, by number of segments and of those touched.

Run: python -m tests.bench.bench_segments
"""

from time import process_time
from typing import Any, NamedTuple

import msgspec

from schemas.events import Event
from schemas.rows import ProfileRow
from streams.definitions.program import Program, compile_program
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import HOUR
from streams.segments.features import note
from streams.segments.membership import evaluate, next_flip

METRICS = ("Placed Order", "Viewed Product", "Opened Email", "Started Checkout")
IDS = Ids(REPLAY_SECRET)
START = 1_700_000_000_000


def segments(count: int) -> list[dict[str, Any]]:
    """Twenty different ones; beyond those, others whose metric no event has."""
    shapes = [
        lambda i, m: {"did": m, "times": f">= {i % 5 + 1}", "in_last": f"{7 * (i % 6 + 1)}d"},
        lambda i, m: {
            "all": [
                {"did": m, "times": ">= 2"},
                {"did_not": m, "in_last": f"{10 * (i % 6 + 1)}d"},
                {"trait": "city", "is": ["Berlin", "Boston"]},
            ]
        },
        lambda i, m: {"did": m, "total": {"of": "value", "is": f"> {50 * i}"}, "in_last": "90d"},
        lambda i, m: {"did": m, "where": {"category": f"c{i % 7}"}, "in_last": "30d"},
        lambda _, m: {"any": [{"did": m, "times": "= 0"}, {"sample": "10%"}]},
    ]
    return [
        {
            "segment": f"s{i}",
            "where": shapes[i % 5](i, METRICS[i % 4] if i < 20 else f"Never {i}"),
        }
        for i in range(count)
    ]


def events(count: int) -> list[Event]:
    return [
        Event(
            1, f"e{i}", METRICS[i % 4], START + i * HOUR, START + i * HOUR, "main", "server", (),
            {}, {}, {"category": f"c{i % 9}"}, 10_000_000 * (i % 5), "EUR", "shop", False,
        )
        for i in range(count)
    ]  # fmt: skip


class Cost(NamedTuple):
    """first_us: of the first event of a profile, for which every segment is asked; event_us: of
    all later ones. row_bytes: at the end.
    """

    first_us: float
    event_us: float
    changes: int
    row_bytes: int


def measure(loaded: Program, history: list[Event], profiles: int) -> Cost:
    """Let the profiles take turns."""
    rows = [ProfileRow(id=f"i{i}", store="main") for i in range(profiles)]
    changes = 0
    began = process_time()
    firsts = 0.0
    for number, event in enumerate(history):
        if number == profiles:
            firsts = process_time() - began
        row = rows[int(event.id[1:]) % profiles]
        now = event.received_at
        while (due := next_flip(row)) is not None and due <= now:
            changes += len(evaluate(row, loaded, (), due, due=due, ids=IDS))
        touched = note(loaded, row, event)
        asked = loaded.segments_for(features=touched)
        changes += len(evaluate(row, loaded, asked, now, due=None, ids=IDS))
    took = process_time() - began
    size = sum(len(msgspec.msgpack.encode(row)) for row in rows) // profiles
    later = (took - firsts) / (len(history) - profiles) * 1e6
    return Cost(firsts / profiles * 1e6, later, changes, size)


def main() -> None:
    history = events(40_000)
    for count in (1, 20, 200, 1000):
        loaded = compile_program(segments(count), version="v1")
        cost = measure(loaded, history, 40)
        print(
            f"{count:5} segments: {cost.event_us:6.1f} us/event ({cost.first_us:,.0f} the first), "
            f"{cost.changes:7,} changes, {cost.row_bytes:6,} bytes/row"
        )


if __name__ == "__main__":
    main()
