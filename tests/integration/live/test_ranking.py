"""Ranks on a live path: `up` measures, the log carries the cut, the command measures again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.live.running import end_up
from tests.integration.live.selling import Shop, assert_live_equals_replay

pytestmark = [pytest.mark.prove, pytest.mark.integration, pytest.mark.timeout(600)]

STORE = "store: main\ncurrency: EUR\naddress: Somewhere 1\n"
BUYERS = "segment: buyers\nwhere: {did: Placed Order}\n"
DEFINITIONS = {
    "before": {"store": STORE, "buyers": BUYERS},
    "after": {
        "store": STORE,
        "buyers": BUYERS,
        "customers": "segment: customers\nwhere: {did: Placed Order, total: {is: '> 0'}}\n",
        "misspelt": "segment: misspelt\nwhere: {did: Placed Ordre}\n",
        "best": "segment: best\nwhere: {top: 10%, by: {did: Placed Order, total: value}}\n",
        "thanks": "flow: thanks\ntrigger: {enters: best}\nsteps: [{exit: done}]\n",
    },
}
PEOPLE = 20
"""Customer n orders for 10 n: the second, where the cut is, has 190."""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    try:
        yield Shop(tmp_path, DEFINITIONS)
    finally:
        end_up(tmp_path / "data")


def test_up_and_the_command_rank_the_profiles_and_live_equals_replay(shop: Shop) -> None:
    everybody = {"buyers": PEOPLE, "customers": PEOPLE}
    for up in shop.up():
        shop.says(f"definitions apply {shop.folder / 'before'}")
        shop.order(*((who, f"o-{who}", 10 * who) for who in range(1, PEOPLE + 1)))
        shop.comes_to({"buyers": PEOPLE}, up)
        shop.says(f"definitions apply {shop.folder / 'after'}")
        shop.comes_to({**everybody, "best": 2}, up)
        assert "the profiles of store main are ranked anew" in up.output()
        assert shop.triggered() == {}, "a cut alone starts no flow"
        assert note_of(shop, "c-20").startswith("the cut is 190.00, of 20 profiles at ")

        shop.order((1, "o-1b", 490))
        shop.comes_to({**everybody, "best": 3}, up)
        assert shop.triggered() == {"thanks": 1}
        assert note_of(shop, "c-1") == note_of(shop, "c-20"), "the cut is that of the measurement"

        computed = json.loads(shop.says("population compute --json"))
        (ranking,) = computed["rankings"]
        assert (ranking["was"], ranking["cut"], ranking["profiles"]) == ("190.00", "200.00", PEOPLE)
        shop.comes_to({**everybody, "best": 2}, up)
        assert note_of(shop, "c-19").startswith("the cut is 200.00, of 20 profiles at ")
        days = json.loads(shop.says("segment history best --json"))
        assert [sum(day[name] for day in days) for name in ("joined", "left", "net")] == [3, 1, 2]
        assert_checked_with_the_timeline(shop)
        assert up.interrupt() == 0
    assert_live_equals_replay(shop)


def note_of(shop: Shop, who: str) -> str:
    """Of the newest change of `best`: what it says of the cut."""
    shown: dict[str, Any] = json.loads(shop.says(f"profile show external_id/{who} --json"))
    changes = [one for one in shown["story"]["rows"] if one["name"] == "best"]
    note: str = changes[-1]["details"][-1]["note"]
    return note


def assert_checked_with_the_timeline(shop: Shop) -> None:
    said = shop.says(f"definitions check {shop.folder / 'after'} --timeline")
    assert "Placed Ordre" in said
    assert "did you mean 'Placed Order'?" in said
