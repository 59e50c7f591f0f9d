"""A product is there again: from what the store says of it to the command, through `up`."""

import json
import time
from pathlib import Path

import pytest

from tests.integration.live.running import (
    DEADLINE_SECONDS,
    end_up,
    environ_of,
    ran,
    terminal,
    until,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

TILLSTREAM = ".venv/bin/tillstream"
FILES = {
    "main.yaml": "store: main\naddress: Somewhere 1\n",
    "again.yaml": """
flow: again
trigger: {back_in_stock: {}}
key: product_id
steps:
  - {send: again, channel: email, template: again}
""",
}
WHO = {"email": "ann@example.com"}
EVENTS = [
    {"id": "s-1", "metric": "Subscribed", "profile": WHO, "properties": {"channel": "email"}},
    {"id": "v-1", "metric": "Viewed Product", "profile": WHO, "properties": {"product_id": "p1"}},
    *(
        {
            "id": f"c-{number}",
            "metric": "Catalog Item Updated",
            "properties": {"product_id": "p1", "title": "Shoe", "inventory": stock},
        }
        for number, stock in enumerate((0, 7, 9))
    ),
]


@pytest.mark.prove
def test_who_viewed_a_product_is_written_to_when_it_is_there_again(tmp_path: Path) -> None:
    data, definitions = tmp_path / "data", tmp_path / "definitions"
    definitions.mkdir()
    for name, text in FILES.items():
        (definitions / name).write_text(text)
    environ = environ_of(data, TILLSTREAM_PARTITIONS="2")
    up = f"{TILLSTREAM} up --definitions {definitions}"
    tail = f"{TILLSTREAM} events tail send-commands --from-beginning --json"
    try:
        with terminal(up, environ, tmp_path / "up.log") as opened:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while "Tillstream is up" not in opened.output():
                until(deadline, opened.output())
            for event in EVENTS:
                code, output = ran(f"{TILLSTREAM} events push - <<<'{json.dumps(event)}'", environ)
                assert code == 0, output
            with terminal(tail, environ, tmp_path / "commands.log") as commands:
                deadline = time.monotonic() + DEADLINE_SECONDS
                while '"again"' not in commands.output():
                    until(deadline, f"{commands.output()}\n{opened.output()}")
                (line,) = [one for one in commands.output().splitlines() if '"again"' in one]
    finally:
        end_up(data)
    context = json.loads(line)["value"]["context"]
    assert context["trigger"]["title"] == "Shoe"
    assert context["trigger"]["was"] == {"inventory": 0}
