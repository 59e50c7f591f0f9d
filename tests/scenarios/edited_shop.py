"""The demo's first days while its people add a segment and a flow, edit them, and remove them."""

from collections.abc import Sequence
from typing import Any, Final

from agents.demo.log import SINCE
from streams.instants import DAY, HOUR
from tests.integration.path.shop import Shop, open_shop, the_definitions

DAYS: Final = 4
ADDED_AT: Final = SINCE + DAY + 9 * HOUR
EDITED_AT: Final = SINCE + 2 * DAY + 10 * HOUR
REMOVED_AT: Final = SINCE + 3 * DAY + 11 * HOUR


def _lookers(times: str) -> Sequence[dict[str, Any]]:
    looked = {"did": "Viewed Product", "times": times, "in_last": "2d"}
    return (
        {"segment": "lookers", "where": looked},
        {"flow": "looked", "trigger": {"enters": "lookers"}, "steps": [{"wait": "6h"}]},
    )


def open_edited_shop(secret: bytes) -> Shop:
    """The log, and what the path in memory makes of it."""
    edits = [
        the_definitions(secret, ADDED_AT, "added", _lookers(">= 3")),
        the_definitions(secret, EDITED_AT, "edited", _lookers(">= 2")),
        the_definitions(secret, REMOVED_AT, "removed"),
    ]
    return open_shop(secret, edits, DAYS)
