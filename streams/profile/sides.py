"""The sides of splits that a row remembers: whom it is never merged with, and what is not its own.

A side is a name, like an external id: merging carries it on, and no profile may hold both of one
split. So the protocol that keeps two external ids apart keeps the two sides apart.
"""

from collections.abc import Iterable, Set
from typing import Final

from schemas.events import Event
from schemas.rows import ProfileRow, Side
from schemas.values import Identifier, ProfileId
from streams.profile.conflicts import SPLIT_APART, TWO_EXTERNAL_IDS
from streams.sends.outcome import OUTCOMES

MARK: Final = "\x1f"
"""In front of the name of a side: no external id has a control character."""

STAYS, GOES = "/stays", "/goes"


def sides_of(row: ProfileRow) -> list[str]:
    """The names of the sides that this profile is on."""
    return [f"{MARK}{side.split}{STAYS if side.stays else GOES}" for side in row.sides]


def external_in(names: Iterable[str]) -> frozenset[str]:
    """The external ids among names."""
    return frozenset(name for name in names if not name.startswith(MARK))


def clash(names: Set[str]) -> str | None:
    """Why no profile may hold all of these names; None: it may."""
    if len(external_in(names)) > 1:
        return TWO_EXTERNAL_IDS
    staying = (name for name in names if name.startswith(MARK) and name.endswith(STAYS))
    if any(name.removesuffix(STAYS) + GOES in names for name in staying):
        return SPLIT_APART
    return None


def stranger(row: ProfileRow, identifier: Identifier) -> Side | None:
    """The split whose other side this identifier names; None: it may be claimed here."""
    return next((side for side in row.sides if identifier in side.identifiers), None)


def belongs(event: Event, split_off: Iterable[Identifier]) -> bool:
    """Is an event of whom these identifiers were split off to? Its strongest one says so.

    The answer to a send stays with the profile that made the send.
    """
    answers = event.metric in OUTCOMES and "send_id" in event.properties
    return not answers and event.identifiers[0] in split_off


def goes_to(row: ProfileRow, event: Event) -> ProfileId | None:
    """The profile that an event belongs to which was on its way here at a split."""
    for side in row.sides:
        if side.stays and belongs(event, side.identifiers):
            return side.other
    return None


def went_to(row: ProfileRow, identifier: Identifier) -> ProfileId | None:
    """The profile that has an identifier since a split; None: it is not known to have gone."""
    kind, value = identifier
    if value in row.identifiers.get(kind, ()):
        return None
    sides = (side for side in row.sides if side.stays and identifier in side.identifiers)
    return next((side.other for side in sides), None)


def is_quiet(row: ProfileRow) -> bool:
    """Is the history of who was split off still to come? Until then no segment is asked, no flow
    starts or goes on.
    """
    return bool(row.sides) and any(side.next is not None and not side.stays for side in row.sides)
