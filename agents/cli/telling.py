"""How a row of a story reads: one line, and the evidence below it."""

from collections.abc import Mapping
from typing import Any

from agents.reports.stories import StoryRow

VALUE_WIDTH = 60


def line_of(row: StoryRow) -> str:
    """`2011-03-01 10:15:00  dropped    winback/winback-last (smart-sending)`."""
    why = f" ({row.reason})" if row.reason else ""
    return f"{row.at[:19].replace('T', ' ')}  {row.kind:<10} {row.name}{why}"


def leaf_of(leaf: Mapping[str, Any]) -> str:
    """`yes: did Placed Order in_last 30d (3), until 2011-03-01 10:15:00`, `no: ...`."""
    value = f" ({str(leaf['value'])[:VALUE_WIDTH]})" if leaf.get("value") is not None else ""
    answer = "yes" if leaf["holds"] else "no"
    flip = leaf.get("next_flip")
    until = f", until {flip[:19].replace('T', ' ')}" if flip else ""
    return f"{answer}: {leaf['leaf']}{value}{until}"
