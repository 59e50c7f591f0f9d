"""An event arrives at a profile: whether it is new, and whose device it came from."""

from schemas.events import Event
from schemas.records import Linked
from schemas.rows import ProfileRow
from schemas.values import Instant
from streams.core import BACK, Output
from streams.flows.moment import Moment
from streams.identity.keys import key_of
from streams.ids import is_named
from streams.profile.facts import is_strong
from streams.profile.recent import remembered


def claim_devices(moment: Moment, event: Event) -> list[Output]:
    """Whoever answers a send is whom it was sent to: so is the device on which it is answered."""
    row = moment.row
    return [
        Output(
            BACK,
            key_of(row.store, identifier),
            Linked(row.store, identifier, row.id, None, strong=is_named(row.id), by_server=True),
        )
        for identifier in event.identifiers
        if not is_strong(moment, identifier[0])
    ]


def is_repeat(row: ProfileRow, event: Event, now: Instant, within: Instant) -> bool:
    """Has this metric and id been seen within the time? If not, it has now."""
    recent = remembered(row.recent, name_of(event), now, within)
    if recent is not None:
        row.recent = recent
    return recent is None


def name_of(event: Event) -> str:
    """What tells an event from others."""
    return f"{event.metric}/{event.id}"
