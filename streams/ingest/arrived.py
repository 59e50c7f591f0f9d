"""To whom an event goes: the row of its strongest identifier, and the addresses it may be about."""

from collections.abc import Iterator

from schemas.events import Event
from schemas.records import ConsentClaimed, EventArrived
from schemas.values import Origin
from streams.consent.statements import addresses_meant
from streams.identity.keys import key_of


def arrived(key: str, event: Event) -> Iterator[tuple[str, EventArrived | ConsentClaimed, Origin]]:
    """(key of the row, what it is told, what is appended to the origin), the event itself first."""
    yield key, EventArrived(event), ()
    for number, address in enumerate(addresses_meant(event)):
        yield key_of(event.store, address), ConsentClaimed(event, address), (number,)
