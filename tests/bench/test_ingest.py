"""What reading one store event costs."""

from pathlib import Path
from time import process_time
from timeit import repeat

import pytest

from streams.ids import REPLAY_SECRET, Ids
from streams.ingest.read import read
from streams.ingest.settings import IngestSettings
from streams.instants import to_instant

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
ROUNDS = 20_000


@pytest.mark.bench
@pytest.mark.parametrize(
    ("example", "micros_max"),
    [
        ("store-event", 25),
        ("store-event-smallest", 15),
        ("klaviyo-event", 70),
        ("segment-call-track", 70),
        ("segment-call-identify", 60),
        ("segment-call-page", 60),
    ],
)
def test_reading_a_store_event(example: str, micros_max: float) -> None:
    value = (EXAMPLES / f"{example}.1.json").read_bytes()
    settings, ids = IngestSettings(), Ids(REPLAY_SECRET)
    received_at = to_instant("2026-11-22T12:00:00Z")

    def once() -> None:
        read(value, (), received_at=received_at, settings=settings, ids=ids)

    micros = min(repeat(once, timer=process_time, number=ROUNDS, repeat=5)) / ROUNDS * 1e6
    print(f"\ningest: {example} ({len(value)} bytes): {micros:.1f} µs")
    assert micros < micros_max, "far slower than it was (docs/event-shapes.md)"
