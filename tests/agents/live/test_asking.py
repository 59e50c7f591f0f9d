"""What a command says of a cluster, and of the records in it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents.cli import status
from agents.cli.events_find import STATES
from agents.cli.printing import Printer
from agents.demo.place import demo_settings
from agents.live.asking import _missing
from agents.live.finding import Topics
from agents.settings import Settings
from agents.standing import Standing
from streams.ingest.control import HEADER

SETTINGS = Settings(data=Path("/"), secret="sixteen characters", kafka=("nowhere:9092",))


def test_a_topic_that_is_missing_is_made_by_up_and_one_of_the_demo_by_the_demo() -> None:
    there = {"shop-store-events"}
    told = _missing(SETTINGS, "definitions", there)
    assert "`tillstream up` makes it. Namespaces with topics here: shop" in told
    of_demo = replace(demo_settings(SETTINGS), kafka=SETTINGS.kafka)
    assert _missing(of_demo, "demo-definitions", there).endswith(
        "`tillstream demo` makes the demo anew"
    )


@pytest.mark.parametrize(
    ("demo", "line"), [(True, "The demo has come to its end"), (False, "start the path with")]
)
def test_where_no_worker_answers_status_says_why(
    demo: bool, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status._tell(Printer(), Standing(workers=[], stages=[], set_aside={}), demo=demo)
    assert line in capsys.readouterr().out


async def test_a_tick_is_no_event_that_waits() -> None:
    tick = SimpleNamespace(
        partition=1, offset=7, timestamp=0, key=None, value=b"{}", headers=((HEADER, b"tick"),)
    )
    found = await Topics(SETTINGS, within=1)._judged(tick, {}, [])
    assert (found.state, found.why) == ("ours", "tick")
    assert STATES[found.state].startswith("no event")
