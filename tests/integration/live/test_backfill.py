"""New definitions over a live past: filled in from the timeline, once, also after a crash."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.live.running import end_up
from tests.integration.live.selling import Shop, assert_live_equals_replay

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(600)]

STORE = "store: main\ncurrency: EUR\naddress: Somewhere 1\n"
BEFORE = {
    "store": STORE,
    "buyers": "segment: buyers\nwhere: {did: Placed Order}\n",
    "edited": 'segment: edited\nwhere: {did: Placed Order, times: ">= 3"}\n',
    "gone": "segment: gone\nwhere: {did: Placed Order}\n",
}
AFTER = {
    "store": STORE,
    "buyers": BEFORE["buyers"],
    "edited": (
        "segment: edited\nwhere: {all: [{did: Placed Order, times: '>= 5'}, {did_not: Returned}]}\n"
    ),
    "added": 'segment: added\nwhere: {did: Placed Order, total: {of: value, is: "> 100"}}\n',
    "welcome": "flow: welcome\ntrigger: {enters: added}\nsteps: [{exit: done}]\n",
}
PEOPLE = 40
ORDERS = 5


def orders_of(people: range) -> list[tuple[int, str, int]]:
    return [(who, f"o-{who}-{number}", 30) for number in range(ORDERS) for who in people]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    try:
        yield Shop(tmp_path, {"before": BEFORE, "after": AFTER})
    finally:
        end_up(tmp_path / "data")


def test_the_past_is_filled_in_once_though_up_is_killed_and_live_equals_replay(shop: Shop) -> None:
    for up in shop.up():
        shop.says(f"definitions apply {shop.folder / 'before'}")
        shop.order(*orders_of(range(PEOPLE)))
        shop.comes_to({"buyers": PEOPLE, "edited": PEOPLE, "gone": PEOPLE}, up)
        told = shop.says(f"definitions apply {shop.folder / 'after'}")
        assert "ask about the past: added, edited." in told
        assert up.id is not None
        up.id.send(signal.SIGKILL)
    for up in shop.up():
        shop.comes_to({"buyers": PEOPLE, "edited": PEOPLE, "gone": 0, "added": PEOPLE}, up)
        shop.order(*orders_of(range(PEOPLE, PEOPLE + 3)))
        now = PEOPLE + 3
        shop.comes_to({"buyers": now, "edited": now, "gone": 0, "added": now}, up)
        assert shop.triggered() == {"welcome": 3}
        assert up.interrupt() == 0
    assert_live_equals_replay(shop)
