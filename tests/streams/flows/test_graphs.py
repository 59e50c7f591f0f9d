"""Random graphs of steps: every run ends or waits, no step is taken twice, the row is bounded."""

import json
import random
from collections import Counter
from typing import Any

import pytest

from streams.flows import run as running
from streams.flows.moment import Moment
from streams.flows.plan import FlowPlan, Place
from streams.instants import DAY, HOUR, to_instant
from tests.scenarios.play import WHO, Stage, event_of

START = to_instant("2026-03-27T10:00:00Z")
END = START + 400 * DAY
ROW_BYTES_MAX = 256_000
METRICS = ("Started", "Opened", "Placed Order", "Viewed")
LISTS = ("fans", "staff")
TRAITS = ("plan", "city")
Taken = Counter[tuple[str, tuple[int | str, ...]]]


def random_flows(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Flows that start, join, set and wait for each other; `start` leads to later flows alone."""
    return [flow(rng, number, count) for number in range(count)]


def flow(rng: random.Random, number: int, count: int) -> dict[str, Any]:
    triggers: list[dict[str, Any]] = [
        {"did": rng.choice(METRICS)},
        {"joins": rng.choice(LISTS)},
        {"enters": "gold"},
        {"date": "due", "at": "10:00"},
    ]
    made: dict[str, Any] = {
        "flow": f"f{number}",
        "trigger": triggers[0] if number == 0 else rng.choice(triggers),
        "re_entry": rng.choice(["always", "never", {"after": "3d"}]),
        "steps": steps(rng, f"f{number}", [f"f{n}" for n in range(number + 1, count)], 3),
    }
    if rng.random() < 0.3:
        made["goal"] = {"did": rng.choice(METRICS)}
    if rng.random() < 0.3:
        made["filter"] = {"none": [{"did": "Placed Order", "since": "flow_start"}]}
    return made


def steps(rng: random.Random, name: str, later: list[str], depth: int) -> list[dict[str, Any]]:
    found = []
    for _ in range(rng.randint(0, 4)):
        kind = rng.choice("wwssccjlnxtgh" if depth else "wwssjlnxt")
        found.append(step(rng, kind, name, later, depth))
    return found


MESSAGES = iter(range(10**9))


def step(rng: random.Random, kind: str, name: str, later: list[str], depth: int) -> dict[str, Any]:
    def inside() -> list[dict[str, Any]]:
        return steps(rng, name, later, depth - 1)

    match kind:
        case "w":
            waits: list[Any] = [
                "1s",
                "30m",
                "26h",
                {"until": "02:30", "zone": "America/New_York"},
                {"days": rng.randint(0, 40), "until": "23:59", "weekdays": ["sun"]},
            ]
            return {"wait": rng.choice(waits)}
        case "s":
            send: dict[str, Any] = {
                "send": f"m{next(MESSAGES)}",
                "channel": rng.choice(["email", "sms"]),
                "template": "t",
                "priority": rng.choice(["low", "normal", "high"]),
                "smart_sending": rng.random() < 0.5,
            }
            if rng.random() < 0.3:
                send["window"] = {"from": "09:00", "until": "11:00", "weekdays": ["mon", "sat"]}
            return send
        case "c":
            where = {"any": [{"did": rng.choice(METRICS)}, {"in_list": rng.choice(LISTS)}]}
            return {"split": {"where": where, "then": inside(), "else": inside()}}
        case "g":
            return {"split": {"trigger": {"x": "> 1"}, "then": inside(), "else": inside()}}
        case "h":
            weights = {"a": rng.randint(0, 3), "b": 1}
            return {"split": {"random": weights, "a": inside(), "b": inside()}}
        case "t":
            return {"set": {rng.choice(TRAITS): rng.choice(["gold", "now", "x"])}}
        case "j":
            return {"join": rng.choice(LISTS)}
        case "l":
            return {"leave": rng.choice(LISTS)}
        case "n":
            return {"notify": {"to": "support", "message": "m"}}
        case "x":
            return {"start": rng.choice(later)} if later else {"wait": "1h"}
        case _:
            raise AssertionError(kind)


def with_waits_for(rng: random.Random, flows: list[dict[str, Any]]) -> None:
    """Some flows end in a `wait_for`."""
    for one in flows:
        if rng.random() < 0.5:
            one["steps"].append(
                {
                    "wait_for": {"did": rng.choice(METRICS)},
                    "at_most": "2d",
                    "met": [{"notify": {"to": "a", "message": "met"}}],
                    "missed": [{"set": {"plan": "gold"}}],
                }
            )


OTHERS = [
    {"list": "fans", "opt_in": "single"},
    {"list": "staff", "opt_in": "none"},
    {"segment": "gold", "where": {"trait": "plan", "is": "gold"}},
    {
        "store": "main",
        "address": "Somewhere 1",
        "frequency_cap": [{"channels": ["email", "sms"], "at_most": 3, "in_last": "2d"}],
    },
]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Taken:
    """How often each step of each run was begun and left."""
    counted: Taken = Counter()
    for kind, take in list(running._TAKE.items()):

        def counting(
            moment: Moment, plan: FlowPlan, run: Any, place: Place, take: Any = take
        ) -> bool:
            path = run.step
            goes_on: bool = take(moment, plan, run, place)
            if goes_on or run.held_since is None:  # what is held is taken when it is let go
                counted[run.id, path] += 1
            return goes_on

        monkeypatch.setitem(running._TAKE, kind, counting)
    return counted


def lives(seed: int, taken: Taken) -> None:
    """A profile lives through random flows for more than a year, over changes of clocks."""
    rng = random.Random(seed)
    flows = random_flows(rng, rng.randint(1, 6))
    with_waits_for(rng, flows)
    stage = Stage("\n---\n".join(map(json.dumps, [*OTHERS, *flows])))
    identifiers = tuple(WHO.items())
    at = START
    for number in range(rng.randint(5, 40)):
        at += rng.choice([0, 1, HOUR, 7 * HOUR, 3 * DAY, 30 * DAY])
        traits = {"due": f"2026-{rng.randint(4, 12):02}-{rng.randint(1, 28):02}"}
        event = event_of(
            rng.choice((*METRICS, "Subscribed")),
            f"e{number}",
            at,
            identifiers,
            {"x": rng.randint(0, 3), "channel": rng.choice(["email", "sms"])},
            traits=traits if rng.random() < 0.3 else {},
        )
        stage.happen(event)
    stage.wake_until(max(END, at))
    assert stage.row is not None
    check_row(stage)
    assert all(count == 1 for count in taken.values()), (seed, taken.most_common(1))


def check_row(stage: Stage) -> None:
    """Whoever is in a flow yet waits for a time to come; nothing was started or sent twice."""
    row, said = stage.row, stage.outputs
    assert row is not None
    assert all(run.wake_at is not None and run.wake_at > stage.now for run in row.runs)
    for topic in ("send-commands", "flow-triggers"):
        ids = [getattr(output.record, "id", "") for output in said if output.to == topic]
        assert len(set(ids)) == len(ids)
    assert len(stage.core.encode(row)) <= ROW_BYTES_MAX


@pytest.mark.parametrize("seed", range(15))
def test_every_run_ends_takes_no_step_twice_and_the_row_is_bounded(seed: int, taken: Taken) -> None:
    lives(seed, taken)


@pytest.mark.prove
def test_so_does_every_run_of_thousands_of_graphs(taken: Taken) -> None:
    for seed in range(15, 3000):
        lives(seed, taken)
        taken.clear()
