"""Rounds on a grid: ticking only where something happens comes to the same as every second."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.replay.run import new_replay
from schemas.records import DefinitionsPublished
from schemas.topics import CONSENT, SEND_COMMANDS, TIMELINE
from schemas.values import Instant
from streams.grid import Arrival, play_on_grid
from streams.ids import REPLAY_SECRET
from streams.ingest.control import definitions
from streams.instants import to_instant, to_timestamp
from streams.intake import Write

START = to_instant("2026-11-22T10:00:00Z")
DOCUMENTS: tuple[dict[str, Any], ...] = (
    {
        "flow": "cart",
        "trigger": {"did": "Started Checkout"},
        "filter": {"none": [{"did": "Placed Order", "since": "flow_start"}]},
        "re_entry": "always",
        "steps": [
            {"wait": "3s"},
            {"send": "cart-1", "channel": "email", "template": "t", "smart_sending": False},
            {"wait_for": {"did": "Placed Order"}, "at_most": "7s", "met": [], "missed": [
                {"send": "cart-2", "channel": "sms", "template": "t", "smart_sending": False,
                 "quiet_hours": "ignore"},
            ]},
        ],
    },
    {"segment": "hot", "where": {"did": "Started Checkout", "in_last": "5s"}},
    {"segment": "reachable", "where": {"can_receive": "sms"}},
)  # fmt: skip
METRICS = (
    ("Subscribed", {"channel": "email"}),
    ("Subscribed", {"channel": "sms"}),
    ("Started Checkout", {}),
    ("Placed Order", {}),
    ("Received SMS Reply", {"body": "STOP"}),
    ("Unsubscribed", {"channel": "email"}),
)
IDENTIFIERS = {
    "external_id": ("c-1", "c-2"),
    "email": ("ann@example.com", "bob@example.com"),
    "phone": ("+4930123456",),
    "anonymous_id": ("a-1", "a-2"),
}

profiles = st.fixed_dictionaries(
    {}, optional={kind: st.sampled_from(values) for kind, values in IDENTIFIERS.items()}
).filter(bool)
arrivals = st.builds(
    lambda at, what, profile, late, trust: (at, what, profile, late, trust),
    st.integers(0, 20_000),
    st.sampled_from(METRICS),
    profiles,
    st.sampled_from((0, 0, 0, 500, 4_000)),
    st.sampled_from(("server", "server", "client")),
)


def to_arrival(
    number: int, what: tuple[int, tuple[str, dict[str, str]], dict[str, str], int, str]
) -> Arrival:
    at, (metric, properties), profile, late, trust = what
    event = {
        "id": str(number),
        "metric": metric,
        "time": to_timestamp(START + at - late),
        "profile": profile,
        "properties": properties,
        "trust": trust,
    }
    return Arrival(START + at, msgspec.json.encode(event))


def played(history: list[Arrival], until: Instant, *, every_tick: bool) -> list[Any]:
    """What is said, without clocks, and the rows at the end."""
    replay = new_replay()
    published = DefinitionsPublished("main", "v1", "ann", DOCUMENTS)
    value, headers = definitions(published, REPLAY_SECRET)
    records = [Arrival(history[0].received_at, value, None, headers), *history]
    said = [
        without_offsets(write)
        for round_ in play_on_grid(replay, records, until=until, every_tick=every_tick)
        for write in round_
        if not write.key.startswith(b"clock/")
    ]
    return [said, *(list(replay.rows(stage)) for stage in ("identity", "profile"))]


def without_offsets(write: Write) -> Any:
    """A timeline entry says from which offset it comes; ticks have offsets too."""
    if write.topic != TIMELINE.name:
        return write
    entry = msgspec.json.decode(write.value)
    del entry["origin"][2]
    return (write.topic, write.key, entry, write.timestamp)


@settings(max_examples=150, deadline=None)
@given(st.lists(arrivals, min_size=1, max_size=10), st.integers(0, 40_000))
def test_ticking_only_where_something_happens_equals_ticking_every_second(
    what: list[Any], until: int
) -> None:
    history = [
        to_arrival(number, one) for number, one in enumerate(sorted(what, key=lambda one: one[0]))
    ]
    sparse = played(history, START + until, every_tick=False)
    assert sparse == played(history, START + until, every_tick=True)


def test_the_histories_that_are_compared_are_not_empty() -> None:
    email, phone = {"email": "ann@example.com"}, {"phone": "+4930123456"}
    history = [
        to_arrival(1, (0, METRICS[0], email, 0, "server")),
        to_arrival(2, (5, METRICS[1], {"external_id": "c-1"} | phone, 0, "server")),
        to_arrival(3, (9, METRICS[2], {"external_id": "c-1"} | email, 0, "server")),
    ]
    said, *_ = played(history, START + 40_000, every_tick=False)
    topics = [write.topic for write in said if isinstance(write, Write)]
    assert topics.count(SEND_COMMANDS.name) >= 1
    assert topics.count(CONSENT.name) >= 2
    assert topics.count("segment-changes") >= 3
