"""What a browser can make the store send, and to whom: nothing to anybody but whom it is about."""

import pytest

from schemas.outputs import SendCommand
from schemas.records import EventResolved
from streams.instants import to_instant
from tests.scenarios.play import START, Stage, event_of

DEFINITIONS = """
store: main
address: Somewhere 1
---
flow: mail
trigger: {did: Viewed Product}
steps:
  - {send: news, channel: email, template: t}
  - {send: receipt, channel: email, template: t, transactional: true}
  - {send: text, channel: sms, template: t, transactional: true}
  - {send: push, channel: push, template: t, transactional: true}
"""
VICTIM = ("external_id", "c-1")
EVIL = (
    ("email", "attacker@evil.com"),
    ("phone", "+4930666"),
    ("device_id", "evil"),
)
AT = to_instant(f"{START}T10:00:00Z")


def written_to(stage: Stage) -> list[str]:
    return [one.record.address for one in stage.outputs if isinstance(one.record, SendCommand)]


def victim(*more: tuple[str, str]) -> Stage:
    stage = Stage(DEFINITIONS)
    who = (VICTIM, *more)
    stage.happen(event_of("Identify", "v", AT, who, {}, traits={"iban": "DE02"}))
    return stage


@pytest.mark.parametrize("metric", ["Subscribed", "Viewed Product"])
def test_a_browser_does_not_have_a_persons_traits_mailed_to_itself(metric: str) -> None:
    stage = victim()
    stage.happen(event_of("Subscribed", "e1", AT + 1, (VICTIM, *EVIL), {}, trust="client"))
    stage.happen(event_of(metric, "e2", AT + 2, (VICTIM, *EVIL), {}, trust="client"))
    stage.happen(event_of("Viewed Product", "e3", AT + 3, (VICTIM,), {}))
    assert written_to(stage) == []
    assert stage.row is not None
    assert {kind: [*values] for kind, values in stage.row.identifiers.items()} == {
        "external_id": ["c-1"]
    }
    assert not any(stage.row.consent.values())


def test_a_browsers_event_writes_to_the_profiles_own_address() -> None:
    stage = victim(("email", "ann@example.com"))
    stage.happen(event_of("Viewed Product", "e", AT + 1, (VICTIM, *EVIL), {}, trust="client"))
    assert written_to(stage) == ["ann@example.com"]


def test_a_device_that_a_browser_has_pointed_at_a_person_gets_no_push() -> None:
    stage = victim()
    device = ("device_id", "evil")
    event = event_of("Viewed Product", "e", AT + 1, (device,), {}, trust="client")
    assert stage.row is not None
    body = EventResolved(event, device)
    _, outputs = stage.core.step(stage.row, stage.key, body, AT + 1, (1,))
    assert not [one for one in outputs if isinstance(one.record, SendCommand)]


def test_who_is_known_by_an_address_alone_is_written_to_there() -> None:
    stage = Stage(DEFINITIONS)
    own = (("email", "ann@example.com"), ("phone", "+4930666"))
    stage.happen(event_of("Viewed Product", "e", AT, own, {}, trust="client"))
    assert written_to(stage) == ["ann@example.com"]
    stage.happen(event_of("Viewed Product", "f", AT + 1, own, {}))
    assert written_to(stage)[1:] == ["ann@example.com", "+4930666"]


def test_a_device_of_nobody_known_is_its_own_address() -> None:
    stage = Stage(DEFINITIONS, profile="n-1")
    stage.happen(event_of("Viewed Product", "e", AT, (("device_id", "d"),), {}, trust="client"))
    assert written_to(stage) == ["d"]


def test_a_browser_says_of_no_send_that_it_expired() -> None:
    stage = victim(("email", "ann@example.com"))
    stage.happen(event_of("Viewed Product", "e", AT + 1, (VICTIM,), {}))
    sent = [one.record for one in stage.outputs if isinstance(one.record, SendCommand)]
    told = {"send_id": sent[0].id}
    for trust, writes in (("client", 1), ("server", 2)):
        event = event_of("Send Expired", trust, AT + 2, (VICTIM,), told, trust=trust)
        stage.happen(event)
        assert len(written_to(stage)) == writes
