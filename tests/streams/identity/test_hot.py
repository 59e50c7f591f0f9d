"""Identifiers that everybody uses: their rows stay small, and a step on them stays cheap."""

import time

import pytest

from schemas.events import Event
from schemas.values import Identifier
from streams.identity.links import LINKS_MAX
from streams.identity.rules import NAMED_PER_WEAK_MAX
from tests.streams.identity.test_step import BROWSER, NOW, World, event

CART: Identifier = ("cart_token", "cart-1")
ROW_BYTES_MAX = 4_000
STEP_SECONDS_MAX = 0.001
"""A mean over all events, on a busy machine; measured: 17 microseconds."""


def bot(number: int) -> Event:
    """Somebody else logs in on the same browser."""
    return event(("external_id", f"c-{number}"), BROWSER, at=NOW + number)


def cart(number: int) -> Event:
    """Everybody's browser has the same cart, by a mistake of the shop."""
    return event(("anonymous_id", f"b-{number}"), CART, at=NOW + number, trust="client")


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.bench)])
def test_a_cart_token_that_every_browser_has_stays_a_small_row(count: int) -> None:
    world = World()
    began = time.perf_counter()
    for number in range(count):
        world.arrive(cart(number))
    seconds = time.perf_counter() - began
    print(f"{count:,} events with one cart token: {seconds / count * 1e6:.0f} us each")
    assert max(map(len, world.rows.values())) < ROW_BYTES_MAX
    assert seconds / count < STEP_SECONDS_MAX


@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=pytest.mark.bench)])
def test_a_bot_that_logs_in_as_thousands_from_one_browser_links_nobody(count: int) -> None:
    world = World()
    began = time.perf_counter()
    for number in range(count):
        world.arrive(bot(number))
    seconds = time.perf_counter() - began
    print(f"{count:,} people on one browser: {seconds / count * 1e6:.0f} us each")
    row = world.row(BROWSER)
    assert row.shared_at
    assert len(row.named) == NAMED_PER_WEAK_MAX + 1
    assert len(row.links) <= LINKS_MAX
    assert max(map(len, world.rows.values())) < ROW_BYTES_MAX
    assert seconds / count < STEP_SECONDS_MAX
