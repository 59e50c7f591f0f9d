"""The gates one by one: their order, what they skip, how long they hold."""

from typing import Any

import pytest

from schemas.definitions import Hours, Send
from streams.flows.zones import zone_named
from streams.instants import DAY, HOUR, MINUTE, to_instant, to_timestamp
from streams.sends.gates import Deliver, Drop, Hold, PlannedSend, Standing, decide

ZONE = zone_named("UTC")
assert ZONE is not None
NOON = to_instant("2026-01-02T12:00:00Z")
OPEN = Standing(
    erased=False,
    stopped=False,
    suppressed=False,
    consented=True,
    cart_text=None,
    has_postal_address=True,
    passes_flow=True,
    passes_send=True,
    held_out=False,
    sent_before=False,
    smart_until=NOON,
    across_until=NOON,
    capped=False,
    quiet=None,
    quiet_in=(ZONE,),
    zone=ZONE,
)
NEWS = Send("news", "email", "t")
NEVER = Hours(0, 60, weekdays=())


def planned(
    step: Send = NEWS, address: str | None = "a@x.de", held: int | None = None
) -> PlannedSend:
    return PlannedSend("s1", "f", "r1", step, address, 0, held)


CLOSED: dict[str, dict[str, Any]] = {
    "profile-erased": {"erased": True},
    "stopped": {"stopped": True},
    "suppressed": {"suppressed": True},
    "no-consent": {"consented": False},
    "cart-text-late": {"cart_text": "cart-text-late"},
    "no-postal-address": {"has_postal_address": False},
    "flow-filter": {"passes_flow": False},
    "send-filter": {"passes_send": False},
    "holdout": {"held_out": True},
    "duplicate": {"sent_before": True},
    "smart-sending": {"smart_until": NOON + 1},
    "smart-sending-across": {"across_until": NOON + 1},
    "frequency-cap": {"capped": True},
}


@pytest.mark.parametrize(("reason", "closed"), CLOSED.items())
def test_each_gate_names_its_reason(reason: str, closed: dict[str, Any]) -> None:
    assert decide(planned(), OPEN._replace(**closed), now=NOON) == Drop((reason,))


def test_all_closed_gates_are_named_in_their_order() -> None:
    shut = OPEN
    for closed in CLOSED.values():
        shut = shut._replace(**closed)
    shut = shut._replace(quiet=Hours(0, 1439))
    order = list(CLOSED)
    order.insert(2, "no-address")
    step = Send("news", "email", "t", window=Hours(60, 120))
    expected = Drop((*order, "quiet-hours", "send-window"))
    assert decide(planned(step, None), shut, now=NOON) == expected


def test_transactional_skips_what_it_may_and_nothing_else() -> None:
    shut = OPEN
    for reason, closed in CLOSED.items():
        shut = shut if reason.startswith("cart-text") else shut._replace(**closed)
    receipt = Send("receipt", "email", "t", transactional=True)
    assert decide(planned(receipt, None), shut._replace(quiet=Hours(0, 1439)), now=NOON) == Drop(
        (
            "profile-erased",
            "stopped",
            "no-address",
            "suppressed",
            "no-consent",
            "flow-filter",
            "send-filter",
            "duplicate",
        )
    )


def test_smart_sending_may_be_switched_off_by_the_step() -> None:
    step = Send("news", "email", "t", smart_sending=False)
    busy = OPEN._replace(smart_until=NOON + 1, across_until=NOON + 1)
    assert isinstance(decide(planned(step), busy, now=NOON), Deliver)


def test_a_command_is_valid_until_quiet_begins_the_window_ends_or_ten_minutes_passed() -> None:
    assert decide(planned(), OPEN, now=NOON) == Deliver(NOON + 10 * MINUTE)
    quiet = OPEN._replace(quiet=Hours(12 * 60 + 4, 13 * 60))
    assert decide(planned(), quiet, now=NOON) == Deliver(NOON + 4 * MINUTE)
    step = Send("news", "email", "t", window=Hours(9 * 60, 12 * 60 + 3), patience=HOUR)
    assert decide(planned(step), quiet, now=NOON) == Deliver(NOON + 3 * MINUTE)
    patient = Send("news", "email", "t", patience=2 * HOUR)
    assert decide(planned(patient), OPEN, now=NOON) == Deliver(NOON + 2 * HOUR)


def test_quiet_hours_and_window_together_hold_until_both_allow() -> None:
    step = Send("news", "email", "t", window=Hours(13 * 60, 15 * 60))
    quiet = OPEN._replace(quiet=Hours(11 * 60, 14 * 60))
    held = Hold(NOON + 2 * HOUR, ("quiet-hours", "send-window"))
    assert decide(planned(step), quiet, now=NOON) == held
    quiet = OPEN._replace(quiet=Hours(13 * 60, 14 * 60))
    held = Hold(NOON + 2 * HOUR, ("send-window",))
    assert decide(planned(step), quiet, now=NOON) == held


def test_what_never_opens_is_held_as_long_as_patience_lasts() -> None:
    step = Send("news", "email", "t", window=NEVER, patience=HOUR)
    assert decide(planned(step), OPEN, now=NOON) == Hold(NOON + HOUR, ("send-window",))
    over = decide(planned(step, held=NOON - HOUR), OPEN, now=NOON)
    assert over == Drop(("send-window", "patience"))
    step = Send("news", "email", "t", window=Hours(13 * 60, 14 * 60))
    crossed = OPEN._replace(quiet=Hours(13 * 60, 14 * 60))
    assert decide(planned(step), crossed, now=NOON) == Hold(NOON + DAY, ("send-window",))


PERTH, SYDNEY = zone_named("Australia/Perth"), zone_named("Australia/Sydney")
NIGHT = Hours(21 * 60, 8 * 60)


@pytest.mark.parametrize(
    ("utc", "decided"),
    [
        ("09:59", "valid until 10:00"),  # 20:59 in Sydney
        ("10:00", "hold until 00:00"),  # 21:00 in Sydney; 08:00 in Perth ends it
        ("22:00", "hold until 00:00"),  # 09:00 in Sydney, 06:00 in Perth
        ("00:00", "valid until 00:10"),
    ],
)
def test_it_is_quiet_as_long_as_it_is_in_any_of_the_zones(utc: str, decided: str) -> None:
    assert PERTH is not None
    assert SYDNEY is not None
    standing = OPEN._replace(quiet=NIGHT, quiet_in=(PERTH, SYDNEY))
    decision = decide(
        planned(Send("news", "sms", "t", smart_sending=False)),
        standing,
        now=to_instant(f"2026-01-02T{utc}:00Z"),
    )
    match decision:
        case Hold(until, reasons):
            assert reasons == ("quiet-hours",)
            assert decided == f"hold until {to_timestamp(until)[11:16]}"
        case Deliver(valid_until):
            assert decided == f"valid until {to_timestamp(valid_until)[11:16]}"
        case other:
            raise AssertionError(other)


def test_where_it_is_always_night_somewhere_a_send_waits_for_its_patience_only() -> None:
    zones = [zone_named(name) for name in ("Asia/Tokyo", "Europe/Berlin", "America/Los_Angeles")]
    standing = OPEN._replace(quiet=NIGHT, quiet_in=tuple(zone for zone in zones if zone))
    step = Send("news", "sms", "t", smart_sending=False, patience=2 * DAY)
    assert decide(planned(step), standing, now=NOON) == Hold(NOON + 2 * DAY, ("quiet-hours",))
    late = decide(planned(step, held=NOON), standing, now=NOON + 2 * DAY)
    assert late == Drop(("quiet-hours", "patience"))
