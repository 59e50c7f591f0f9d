"""The long run of the differential test: `make differential N=1000000`.

    python -m tests.streams.segments.differential --checks 1000000 [--seed 7]

A check is one answer compared with brute force at one instant. Conditions of the whole language,
histories with late events, and people who were two until they merged. The same seed makes the same
run; a failure names the seed of its round, with which that round alone is run again.
"""

import argparse
import random
import sys
import time
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from schemas.events import Event
from schemas.rows import ProfileRow, Trigger
from streams.definitions.program import compile_program
from streams.instants import HOUR
from streams.profile.united import unite_traits
from streams.segments.person import Person
from streams.segments.united import unite_features
from tests.streams.segments import brute
from tests.streams.segments.invented import (
    BASE,
    CONDITIONS,
    DID,
    HELD,
    MEASURED,
    NEWEST,
    PEOPLE,
    SEQUENCES,
    TRIGGERS,
    histories,
)
from tests.streams.segments.test_differential import differ, hear

ROUND = 100
"""Examples of one seed."""

ANY = st.one_of(DID, MEASURED, SEQUENCES, NEWEST, HELD, CONDITIONS)
OF_EVENTS = st.one_of(DID, MEASURED, SEQUENCES, HELD)
SIDES = st.lists(st.booleans(), min_size=9, max_size=9)


def differ_merged(
    condition: dict[str, Any],
    history: list[Event],
    sides: list[bool],
    united_hour: int,
    trigger: Trigger | None,
) -> int:
    """Two profiles keep their events apart until they merge; from then on they are one person.

    Returns: how many answers were compared.
    """
    program = compile_program(
        [
            {"flow": "f", "trigger": {"did": "A"}, "filter": condition, "steps": []},
            {"list": "news"},
            {"store": "main", "currency": "EUR"},
        ],
        version="v1",
    )
    where = program.flows["f"].filter
    assert where is not None
    ask = program.condition(where).ask
    winner, loser = ProfileRow(definitions="v1"), ProfileRow(definitions="v1")
    united_at = BASE + united_hour * HOUR
    before = [event for event in history if event.received_at <= united_at]
    for event, to_loser in zip(before, sides, strict=False):
        hear(program, loser if to_loser else winner, event)
    unite_features(winner, loser, program, united_at)
    winner.traits = unite_traits(winner, loser.traits)
    came = list(before)
    person = Person(winner, program, trigger)
    checks = 0
    later = [event for event in history if event.received_at > united_at]
    for start in (united_at, *sorted({event.received_at for event in later})):
        for event in later:
            if event.received_at == start:
                came.append(event)
                hear(program, winner, event)
        for moment in (start, start + HOUR - 1, start + HOUR, start + 7 * HOUR):
            if any(start < event.received_at <= moment for event in later):
                break
            wanted = brute.holds(condition, came, moment, row=winner, trigger=trigger)
            assert ask(person, moment)[0] is wanted, (condition, moment - BASE)
            checks += 1
    return checks


def round_of(number: int, examples: int = ROUND) -> int:
    """Run the examples of one seed. Returns: how many answers were compared."""
    checks = 0

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        condition=ANY,
        of_events=OF_EVENTS,
        history=histories(),
        row=PEOPLE,
        trigger=TRIGGERS,
        sides=SIDES,
        united_hour=st.integers(0, 20),
    )
    def trial(
        condition: dict[str, Any],
        of_events: dict[str, Any],
        history: list[Event],
        row: ProfileRow,
        trigger: Trigger | None,
        sides: list[bool],
        united_hour: int,
    ) -> None:
        nonlocal checks
        checks += differ(condition, history, row, trigger)
        checks += differ_merged(of_events, history, sides, united_hour, trigger)

    trial()
    return checks


def main() -> int:
    parser = argparse.ArgumentParser(description="The differential test at length.")
    parser.add_argument("--checks", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, help="this round alone (default: new rounds)")
    options = parser.parse_args()
    if options.seed is not None:
        sys.stdout.write(f"{round_of(options.seed):,} checks, 0 differences\n")
        return 0
    done, rounds, began = 0, 0, time.monotonic()
    while done < options.checks:
        number = random.SystemRandom().randrange(1 << 32)
        try:
            done += round_of(number)
        except BaseException:
            again = f"python -m tests.streams.segments.differential --seed {number}"
            sys.stderr.write(f"after {done:,} checks; this round again: {again}\n")
            raise
        rounds += 1
    took = time.monotonic() - began
    sys.stdout.write(f"{done:,} checks in {rounds:,} rounds, 0 differences, {took:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
