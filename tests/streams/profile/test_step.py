"""The laws of the profile step: a repeat is no change, rows survive, time moves on."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import Event
from schemas.records import ConsentChanged, DefinitionsPublished, EventResolved, Forget
from schemas.rows import ProfileRow
from schemas.values import Instant
from streams.consent.state import denied
from streams.core import Output
from streams.definitions.switch import in_force
from streams.ids import REPLAY_SECRET, Ids
from streams.instants import HOUR
from streams.profile.step import ProfileCore
from streams.visits import AT_ONCE
from tests.scenarios.play import documents_of, event_of

DEFINITIONS = """
store: main
zone: Europe/Berlin
address: Somewhere 1
frequency_cap: [{channels: [email, sms], at_most: 4, in_last: 2d}]
---
list: newsletter
---
segment: buyers
where: {did: Placed Order, times: ">= 2", in_last: 3d}
---
segment: quiet
where: {all: [{did: Placed Order}, {did_not: Placed Order, in_last: 20h}, {can_receive: email}]}
---
flow: cart
trigger: {did: Started Checkout}
filter: {none: [{did: Placed Order, since: flow_start}]}
goal: {did: Placed Order}
re_entry: {after: 12h}
steps:
  - wait: 4h
  - {send: cart-1, channel: email, template: t, variants: {a: {weight: 1}, b: {weight: 2}}}
  - wait_for: {did: Opened Email, where: {message: cart-1}}
    at_most: 24h
    met: [{set: {opened: now}}, {exit: opened}]
    missed: [{send: cart-2, channel: sms, template: t}]
  - wait: {days: 1, until: "15:00", zone: profile}
  - split: {where: {in_segment: buyers}, then: [{join: newsletter}], else: [{wait: 1h}]}
  - {send: cart-3, channel: sms, template: t, transactional: true}
---
flow: back
trigger: {enters: quiet}
re_entry: always
steps:
  - {send: back, channel: sms, template: t, patience: 6h}
  - split: {random: {a: 1, b: 1}, a: [{wait: 2h}], b: [{start: cart}]}
  - {send: back-2, channel: email, template: t}
---
flow: hello
trigger: {joins: newsletter}
steps: [{send: hello, channel: email, template: t}, {leave: newsletter}]
"""
START = 1_774_000_000_000
WHO = (("external_id", "c-1"), ("email", "a@example.com"), ("phone", "+4930123456"))
METRICS: list[tuple[str, dict[str, Any]]] = [
    ("Placed Order", {}),
    ("Started Checkout", {}),
    ("Opened Email", {"flow": "cart", "message": "cart-1"}),
    ("Subscribed", {"channel": "email"}),
    ("Subscribed", {"channel": "sms"}),
    ("Subscribed", {"channel": "email", "list": "newsletter"}),
    ("Confirmed Subscription", {"list": "newsletter"}),
    ("Unsubscribed", {"channel": "email"}),
    ("Received SMS Reply", {"body": "stop"}),
    ("Bounced Email", {"bounce": "soft"}),
    ("Send Expired", {"flow": "cart", "message": "cart-1"}),
]

CORE = ProfileCore(Ids(REPLAY_SECRET)).adopt(
    in_force(None, DefinitionsPublished("main", "v1", "ann", documents_of(DEFINITIONS)), ())
)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Events in order of arrival, up to two days apart, some of them old when they arrive."""
    events = []
    at = START
    for number in range(draw(st.integers(1, 14))):
        at += draw(st.integers(0, 48)) * HOUR + draw(st.sampled_from([0, 1, 1799]))
        metric, properties = draw(st.sampled_from(METRICS))
        late = draw(st.sampled_from([0, 0, 0, HOUR // 2, 5 * HOUR]))
        who = draw(st.sampled_from([WHO, WHO[:1], WHO[:2]]))
        traits = draw(st.sampled_from([{}, {"timezone": "America/New_York"}, {"timezone": None}]))
        events.append(event_of(metric, f"e{number}", at, who, properties, late=late, traits=traits))
    return events


def played(
    history: list[Event], row: ProfileRow | None = None, *, recode: bool = False, after: int = 0
) -> tuple[ProfileRow, list[Output]]:
    """Play a history with its timers, and on until `after` its end."""
    said: list[Output] = []
    for event in history:
        row = woken(row, event.received_at, said, recode)
        row, outputs = CORE.step(
            row, "i-1", EventResolved(event, event.identifiers[0]), event.received_at, (1, 2)
        )
        said += outputs
        row = CORE.decode(CORE.encode(row)) if recode else row
    row = woken(row, history[-1].received_at + after, said, recode)
    assert row is not None
    return row, said


def woken(
    row: ProfileRow | None, until: Instant, said: list[Output], recode: bool
) -> ProfileRow | None:
    while row is not None and (due := CORE.wake_at(row)) is not None and due <= until:
        row, outputs = CORE.wake(row, "i-1", due, due)
        later = CORE.wake_at(row)
        assert later is None or later > due
        said += outputs
        row = CORE.decode(CORE.encode(row)) if recode else row
    return row


def as_bytes(outputs: list[Output]) -> list[tuple[str, str, bytes]]:
    return [(one.to, one.key, msgspec.json.encode(one.record)) for one in outputs]


@given(histories())
@settings(max_examples=60, deadline=None)
def test_a_row_may_be_encoded_and_decoded_between_any_two_records(history: list[Event]) -> None:
    row, said = played(history, after=200 * HOUR)
    again, said_again = played(history, recode=True, after=200 * HOUR)
    assert as_bytes(said) == as_bytes(said_again)
    assert CORE.encode(row) == CORE.encode(again)


@given(histories(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_repeated_event_changes_and_says_nothing(
    history: list[Event], data: st.DataObject
) -> None:
    row, _ = played(history)
    before = CORE.encode(row)
    event = data.draw(st.sampled_from(history))
    now = history[-1].received_at
    if now - event.received_at >= 7 * 24 * HOUR:
        return
    row, said = CORE.step(row, "i-1", EventResolved(event, event.identifiers[0]), now, (9,))
    assert said == []
    assert CORE.encode(row) == before


@given(histories())
@settings(max_examples=60, deadline=None)
def test_no_id_is_said_twice_and_every_command_has_its_decision(history: list[Event]) -> None:
    _, said = played(history, after=400 * HOUR)
    ids = [one.record.id for one in said if hasattr(one.record, "id")]
    assert len(ids) == len(set(ids))
    commands = {one.record.id for one in said if one.to == "send-commands"}
    sent = {
        one.record.send_id
        for one in said
        if one.to == "send-decisions" and one.record.outcome == "sent"
    }
    assert commands == sent


@given(histories())
@settings(max_examples=60, deadline=None)
def test_nothing_is_sent_after_a_denial_was_received(history: list[Event]) -> None:
    stop = event_of("Unsubscribed", "stop", history[-1].received_at, WHO, {})
    _, said = played([*history, stop], after=0)
    commands = len([one for one in said if one.to == "send-commands"])
    _, said = played([*history, stop], after=400 * HOUR)
    later = [one.record for one in said if one.to == "send-commands"][commands:]
    assert all(command.transactional for command in later)


@given(histories())
@settings(max_examples=40, deadline=None)
def test_a_late_worker_does_all_that_is_due_in_order(history: list[Event]) -> None:
    """Several instants worked off in one wake end where one after the other does."""
    row, _ = played(history)
    copy = CORE.decode(CORE.encode(row))
    due = CORE.wake_at(copy)
    if due is None:
        return
    row, _ = CORE.wake(copy, "i-1", due + 100 * HOUR, due + 100 * HOUR)
    later = CORE.wake_at(row)
    assert later is None or later > due + 100 * HOUR


def test_consent_from_another_event_reaches_the_copy_and_its_segments() -> None:
    history = [
        event_of("Subscribed", "e0", START, WHO, {"channel": "email"}),
        event_of("Placed Order", "e1", START + 1, WHO, {}),
    ]
    row, _ = played(history, after=20 * HOUR)
    assert row.segments["quiet"].since is not None
    state = denied((START + 2, START + 2, 9), "link", "shop")
    body = ConsentChanged("main", WHO[1], "email", state, "e9")
    now = START + 30 * HOUR
    row, said = CORE.step(row, "i-1", body, now, (1,))
    assert [(one.to, one.record.change) for one in said if one.to == "segment-changes"] == [
        ("segment-changes", "exited")
    ]
    row, said = CORE.step(row, "i-1", body, now, (1,))
    assert said == []
    row, _ = CORE.step(None, "i-2", body, now, (1,))
    assert row.consent["email"]["a@example.com"] == state


def test_a_record_that_is_not_for_profile_is_refused() -> None:
    with pytest.raises(AssertionError, match="no record for profile: Forget"):
        CORE.step(ProfileRow(), "i-1", Forget("main", WHO[0], WHO[1]), START, (1,))


def test_an_event_of_a_store_without_definitions_is_kept() -> None:
    event = msgspec.structs.replace(event_of("Placed Order", "e", START, WHO, {}), store="other")
    row, said = CORE.step(None, "i-1", EventResolved(event, WHO[0]), START, (1,))
    assert [one.to for one in said] == ["timeline"]
    assert (row.figures.orders, row.wake_at) == (1, None)


def test_a_row_that_raised_sleeps_until_its_next_record() -> None:
    granted = event_of("Subscribed", "s", START, WHO, {"channel": "email"})
    row, _ = played([granted, event_of("Placed Order", "e", START, WHO, {})])
    assert CORE.wake_at(row) is not None
    assert CORE.wake_at(CORE.asleep(row)) is None
    row, _ = played([event_of("Viewed Product", "f", START + 1, WHO, {})], row)
    assert CORE.wake_at(row) is not None


def test_the_ring_of_recent_events_forgets_the_oldest() -> None:
    events = [event_of("Viewed Product", f"v{n}", START + n, WHO, {}) for n in range(600)]
    row, _ = played(events)
    assert len(row.recent) == 16 * 512
    assert row.events == 600
    repeated = EventResolved(events[-1], WHO[0])
    _, said = CORE.step(row, "i-1", repeated, START + 600, (1,))
    assert said == []
    _, said = CORE.step(row, "i-1", repeated, START + 8 * 24 * HOUR, (1,))
    assert said != []


def test_what_new_definitions_change_starts_no_flow_and_runs_go_on() -> None:
    row, _ = played(
        [
            event_of("Subscribed", "e0", START, WHO, {"channel": "email"}),
            event_of("Started Checkout", "e1", START + 1, WHO, {}),
        ]
    )
    text = DEFINITIONS.replace("- wait: 1h", "- wait: 2h").replace("template: t", "template: new")
    core = CORE.adopt(
        in_force(
            None, DefinitionsPublished("main", "v2", "ann", documents_of(text + NEW_SEGMENT)), ()
        )
    )
    at_once = core.wake_at(row)
    assert at_once == AT_ONCE, "a row under other definitions is due before everything else"
    row, said = core.wake(row, "i-1", at_once, START + 2)
    assert row.definitions == "v2"
    assert not [one for one in said if one.to == "flow-triggers"]
    changes = [one.record for one in said if one.to == "segment-changes"]
    assert [(one.segment, one.change) for one in changes] == [("mailable", "entered")]
    due = core.wake_at(row)
    assert due is not None
    row, said = core.wake(row, "i-1", due, due)
    commands = [one.record for one in said if one.to == "send-commands"]
    assert [(one.message, one.template) for one in commands] == [("cart-1", "new")]
    assert not [one for one in said if one.to == "flow-triggers"]
    gone = CORE.adopt(
        in_force(None, DefinitionsPublished("main", "v3", "ann", documents_of("store: main")), ())
    )
    due = core.wake_at(row)
    assert due is not None
    row, said = gone.wake(row, "i-1", due, due)
    assert row.runs == []
    assert [one.record.reason for one in said if one.to == "send-decisions"] == ["flow-gone"]


NEW_SEGMENT = """
---
segment: mailable
where: {can_receive: email}
---
flow: new
trigger: {enters: mailable}
steps: [{send: new, channel: email, template: t}]
"""


def test_what_is_said_of_a_product_stands_in_the_timeline_and_makes_no_profile() -> None:
    product = (("$product", "p1"),)
    event = event_of("Catalog Item Updated", "u1", START, product, {"product_id": "p1"})
    row, said = CORE.step(None, "n-1", EventResolved(event, product[0]), START, (START, 0, 0))
    assert row is None
    (entry,) = said
    assert entry.to == "timeline"
    assert (entry.record.profile_id, entry.record.event_id) == ("n-1", "u1")
