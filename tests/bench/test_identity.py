"""What identity costs: its share of the path's CPU on the demo's mix, and a million identifiers."""

import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import islice
from time import perf_counter

import pytest

from agents.demo.log import UNTIL_QUICK, Round
from agents.demo.making import make
from agents.rows import MemoryRows
from agents.settings import Settings
from schemas.records import EventArrived
from schemas.topics import IDENTITY_ROWS
from streams.identity.keys import key_of
from streams.identity.step import IdentityCore
from streams.ids import REPLAY_SECRET, Ids
from streams.published import InForce, kept
from tests.bench.conftest import Results
from tests.bench.load import START, STORE, published
from tests.bench.test_recovery import KINDS, identifier, identity_rows, recovered, write_rows
from tests.bench.timed import TimedReplay
from tests.integration.path.running import deployed
from tests.integration.path.shop import play
from tests.scenarios.play import event_of

PARTITIONS = 4
SHARE_MAX = 1 / 3
IDENTIFIERS = 1_000_000
LOOKUPS = 100_000
RUNS = 3


def spent(rounds: list[Round]) -> Counter[str]:
    replay = TimedReplay(PARTITIONS)
    for piece in rounds:
        play(replay, piece.partitions)
        replay.run()
    return replay.seconds


@pytest.mark.bench
def test_identity_takes_less_than_a_third_of_the_path_on_the_demos_mix(results: Results) -> None:
    """A month of the demo. What is said to the outside is thrown away."""
    rounds = list(make(UNTIL_QUICK, partitions=PARTITIONS, secret=REPLAY_SECRET).rounds)
    events = sum(not one.headers for piece in rounds for part in piece.partitions for one in part)
    best = min((spent(rounds) for _ in range(RUNS)), key=lambda found: found.total())
    share = best["identity"] / best.total()
    results.note(
        "identity in the path, the demo's mix, in memory",
        events=events,
        share=share,
        **{f"{stage}_us": seconds / events * 1e6 for stage, seconds in best.items()},
    )
    assert share < SHARE_MAX


MEMORY = """
import os
from itertools import islice
from agents.rows import MemoryRows
from tests.bench.path import usage_of
from tests.bench.timed import TimedReplay
from tests.bench.test_recovery import identity_rows
rows = MemoryRows()
before = usage_of(os.getpid()).memory
rows.keep(islice(identity_rows(), {count}), None)
print(usage_of(os.getpid()).memory - before)
"""
"""A process of its own: memory that another benchmark gave back is not counted as free."""


@pytest.mark.bench
def test_a_million_identifiers_are_looked_up(results: Results) -> None:
    """An event of somebody known, its row decoded, stepped and encoded; rows in memory."""
    memory = subprocess.run(
        [sys.executable, "-c", MEMORY.format(count=IDENTIFIERS)],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = MemoryRows()
    rows.keep(islice(identity_rows(), IDENTIFIERS), None)
    core = IdentityCore(Ids(REPLAY_SECRET))
    chance = random.Random(1)
    people = IDENTIFIERS // len(KINDS)
    asked = [("email", identifier("email", chance.randrange(people))) for _ in range(LOOKUPS)]
    bodies = [
        (key_of(STORE, who), EventArrived(event_of("Viewed", f"e{number}", START, (who,), {})))
        for number, who in enumerate(asked)
    ]
    began = perf_counter()
    found = sum(rows.get(key.encode()) is not None for key, _ in bodies)
    looked = perf_counter() - began
    assert found == LOOKUPS
    began = perf_counter()
    for key, body in bodies:
        row, _ = core.step(core.decode(rows[key.encode()]), key, body, START, (START, 0, 0))
        assert row is not None
        core.encode(row)
    stepped = perf_counter() - began
    results.note(
        f"{IDENTIFIERS:,} identifiers, rows in memory",
        lookup_us=looked / LOOKUPS * 1e6,
        decode_step_encode_us=stepped / LOOKUPS * 1e6,
        memory_per_identifier_bytes=int(memory.stdout) / IDENTIFIERS,
    )


@pytest.mark.bench
async def test_a_million_identifiers_are_recovered(settings: Settings, results: Results) -> None:
    """From the start of a worker to its first round: its three stages, rows of one of them."""
    settings = replace(settings, partitions=PARTITIONS)
    async with deployed(settings) as path:
        in_force = [kept(InForce().take(published(), (START, 0, 0)))] * PARTITIONS
        await write_rows(settings, IDENTITY_ROWS, iter(in_force), spread=True)
        rows = islice(identity_rows(), IDENTIFIERS)
        size = await write_rows(settings, IDENTITY_ROWS, rows)
        took, memory = await recovered(path)
    results.note(
        f"recovery of {IDENTIFIERS:,} identifiers, in memory",
        seconds=took,
        memory_bytes=memory,
        row_bytes=size / IDENTIFIERS,
    )
