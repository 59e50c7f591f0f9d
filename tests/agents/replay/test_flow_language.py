"""Every trigger, step and setting of flows, as a user meets it: files, check, replay."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.cli.main import main
from schemas.definitions import StoreSettings
from streams.definitions.parse import parse
from tests.agents.replay.doing import Door, definitions_in, event
from tests.scenarios.play import documents_of

SETTINGS = """\
store: main
currency: EUR
zone: Europe/Berlin
address: "Beispielgasse 1, 10115 Berlin"
smart_sending: {email: 16h, sms: 24h, push: 24h, whatsapp: 24h, across: null}
frequency_cap: [{channels: [email, sms], at_most: 6, in_last: 7d}]
quiet_hours: {sms: {from: "21:00", until: "08:00"}}
consent: {email: explicit, sms: explicit, push: explicit}
sms_keywords:
  stop: [STOP, END, CANCEL, QUIT, UNSUBSCRIBE]
  start: [START, UNSTOP]
  help: [HELP, INFO]
  match: {stop: word, start: exact, help: exact}
identifiers: {kinds: {loyalty_card: strong, ios_id: weak}, junk: ["-1"], named_per_weak_max: 5}
attribution:
  {models: [last], starts: touch, email_click: 5d, email_open: 5d, sms_click: 5d, sms_open: 1d,
   sms_delivered: 12h, push_open: 24h, whatsapp_click: 5d, whatsapp_open: 12h}
deduplicate_for: 7d
"""

EVERY_STEP = """\
flow: abandoned-cart
trigger: {did: Started Checkout, where: {value: "> 0"}}
trigger_max_age: 1h
filter: {none: [{did: Placed Order, since: flow_start}]}
re_entry: {after: 7d}
key: order_id
stay: true
holdout: 0%
goal: {did: Placed Order}
state: live
steps:
  - wait: 4h
  - send: cart-1
    channel: email
    template: cart-reminder
    smart_sending: true
    quiet_hours: hold
    transactional: false
    priority: normal
    patience: 72h
    window: {from: "15:00", until: "18:00", weekdays: [tue, wed, thu, fri]}
    variants:
      a: {weight: 50, subject: You left something}
      b: {weight: 50, subject: "{{ first_name }}, still thinking?"}
  - wait_for: {did: Opened Email, where: {message: cart-1}}
    at_most: 24h
    met: [{exit: opened}]
    missed:
      - send: cart-2
        channel: sms
        template: cart-reminder-sms
  - wait: {days: 1, until: "15:00", weekdays: [mon, tue, wed, thu, fri], zone: profile}
  - wait: {until: "15:00"}
  - wait: {for: {trigger: appointment_at}, before: 1d}
  - split: {where: {in_segment: vip}, then: [{exit: vip}], else: [{set: {seen: now}}]}
  - split: {trigger: {value: "> 100"}, then: [{exit: large}], else: [{add: {tags: [cart]}}]}
  - split: {random: {a: 50, b: 50}, a: [{set: {branch: a}}], b: [{set: {branch: b}}]}
  - {join: newsletter}
  - {leave: staff}
  - {notify: {to: support, message: A cart was left}}
  - {start: other-flow}
  - {exit: done}
"""

TRIGGERS = {
    "enters": "{enters: vip}",
    "joins": "{joins: newsletter}",
    "birthday": '{date: birthday, before: 3d, at: "10:00", every: year}',
    "cheaper": "{price_drop: {of: Viewed Product, by: 10%, in_last: 30d}}",
    "few": "{low_stock: {below: 5, of: Viewed Product}}",
    "again": "{back_in_stock: {}}",
}
FILES = {
    "main.yaml": SETTINGS,
    "abandoned-cart.yaml": EVERY_STEP,
    "other-flow.yaml": "flow: other-flow\ntrigger: {did: Nothing}\nsteps: [{wait: 1h}]\n",
    "vip.yaml": 'segment: vip\nwhere: {did: Placed Order, times: ">= 2"}\n',
    "newsletter.yaml": "list: newsletter\nopt_in: double\n",
    "staff.yaml": "list: staff\nopt_in: none\n",
    **{
        f"{name}.yaml": f"flow: {name}\ntrigger: {trigger}\nsteps: [{{exit: done}}]\n"
        for name, trigger in TRIGGERS.items()
    },
}
WHO = {"email": "ann@example.com", "phone": "+4930123456"}


@pytest.fixture
def door(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Door:
    opened = Door(tmp_path, capsys)
    opened.definitions = definitions_in(tmp_path / "files", FILES)
    return opened


def test_every_file_passes_the_check(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["definitions", "check", str(door.definitions)]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out


def test_the_settings_that_are_written_out_are_the_defaults() -> None:
    said = parse(documents_of(SETTINGS)).settings
    own = {"zone", "address", "frequency_cap", "identifiers", "consent"}
    for name in StoreSettings.__struct_fields__:
        assert (getattr(said, name) == getattr(StoreSettings(), name)) is (name not in own), name


def test_a_run_takes_every_step_at_its_instant(door: Door) -> None:
    """5 January 2026 is a Monday; Berlin is an hour ahead of UTC."""
    lines = [
        event("Subscribed", "2026-01-05T08:00:00Z", profile=WHO, properties={"channel": channel})
        for channel in ("email", "sms")
    ]
    bought = {"order_id": "7", "appointment_at": "2026-01-20T10:00"}
    lines.append(
        event("Started Checkout", "2026-01-05T09:00:00Z", profile=WHO, value=80, properties=bought)
    )
    files = door.replay(lines, "--until", "2026-02-01T00:00:00Z")
    told = [
        (one["decided_at"][:16], one["message"], one["outcome"], *one["reasons"])
        for one in files["send-decisions"]
    ]
    assert told == [
        ("2026-01-05T13:00", "cart-1", "held", "send-window"),
        ("2026-01-06T14:00", "cart-1", "sent"),
        ("2026-01-07T14:00", "cart-2", "sent"),
    ]
    (profile,) = files["profiles"]
    assert profile["traits"]["seen"] == "2026-01-19T09:00:00.000Z"
    assert profile["traits"]["tags"] == ["cart"]
    assert profile["traits"]["branch"] in ("a", "b")
    assert profile["lists"] == ["newsletter"]
    (note,) = files["notifications"]
    assert (note["to"], note["message"], note["decided_at"][:16]) == (
        "support",
        "A cart was left",
        "2026-01-19T09:00",
    )
    assert note["identifiers"] == {kind: [value] for kind, value in WHO.items()}
    assert note["context"]["trigger"] == bought
    assert len(files["profiles"][0]["events"]) == len(lines), "it is no event"
    started = [(one["flow"], one["decided_at"][:16]) for one in files["flow-triggers"]]
    assert started == [
        ("abandoned-cart", "2026-01-05T09:00"),
        ("other-flow", "2026-01-19T09:00"),
        ("joins", "2026-01-19T09:00"),
    ]


def product(time: str, **facts: Any) -> bytes:
    said = {
        "metric": "Catalog Item Updated",
        "time": time,
        "properties": {"product_id": "p", **facts},
    }
    return msgspec.json.encode(said)


def test_every_trigger_starts_its_flow(door: Door) -> None:
    lines = [
        event(
            "Identify",
            "2026-01-01T09:00:00Z",
            profile={**WHO, "traits": {"birthday": "1990-01-10"}},
        ),
        event("Placed Order", "2026-01-02T09:00:00Z", id="o1"),
        event("Placed Order", "2026-01-02T10:00:00Z", id="o2"),
        event("Subscribed", "2026-01-03T09:00:00Z", properties={"list": "newsletter"}),
        event("Confirmed Subscription", "2026-01-03T10:00:00Z"),
        event("Viewed Product", "2026-01-04T09:00:00Z", properties={"product_id": "p"}),
        product("2026-01-05T09:00:00Z", price="80.00", inventory=9),
        product("2026-01-05T10:00:00Z", price="72.00", inventory=4),
        product("2026-01-05T11:00:00Z", inventory=0),
        product("2026-01-05T12:00:00Z", inventory=8),
    ]
    files = door.replay(lines, "--until", "2026-01-08T00:00:00Z")
    started = [(one["flow"], one["decided_at"]) for one in files["flow-triggers"]]
    assert started == [
        ("enters", "2026-01-02T10:00:00.000Z"),
        ("joins", "2026-01-03T10:00:00.000Z"),
        ("cheaper", "2026-01-05T10:00:01.000Z"),
        ("few", "2026-01-05T10:00:01.000Z"),
        ("again", "2026-01-05T12:00:01.000Z"),
        ("birthday", "2026-01-07T09:00:00.000Z"),
    ]
