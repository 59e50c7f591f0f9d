"""What benchmarks find: printed as they go, kept in `bench/results.json`.

A run of some of them replaces their figures and leaves the others; ratios are made of figures of
one run only.
"""

import gc
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agents.embedded.kafka import EmbeddedKafka
from agents.worker import GC_THRESHOLDS

RESULTS = Path(__file__).parents[2] / "bench" / "results.json"

Figure = float | int | str


class Results:
    """Figures by benchmark."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Figure]] = {}

    def note(self, benchmark: str, **figures: Figure) -> None:
        """Keep and print figures; the unit is the end of a name (`_us`, `_bytes`, `_per_s`)."""
        rounded = {
            name: float(f"{figure:.4g}") if isinstance(figure, float) else figure
            for name, figure in figures.items()
        }
        self.found.setdefault(benchmark, {}).update(rounded)
        told = ", ".join(
            f"{name} {figure:,g}" if isinstance(figure, float | int) else f"{name} {figure}"
            for name, figure in rounded.items()
        )
        print(f"\n{benchmark}: {told}")


@pytest.fixture(scope="session")
def results() -> Iterator[Results]:
    """Where a benchmark notes what it found."""
    gc.set_threshold(*GC_THRESHOLDS)  # what runs in this process runs as in a worker
    noted = Results()
    noted.note(
        "machine",
        cores=os.cpu_count() or 0,
        python=platform.python_version(),
        busy_before=os.getloadavg()[0],
    )
    yield noted
    kept = msgspec.json.decode(RESULTS.read_bytes()) if RESULTS.exists() else {}
    RESULTS.parent.mkdir(exist_ok=True)
    whole = msgspec.json.encode(kept | noted.found, order="sorted")
    RESULTS.write_bytes(msgspec.json.format(whole, indent=2) + b"\n")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A broker as a shop runs it: its Java compiles well, and is warm after half a minute."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as started:
        yield started
