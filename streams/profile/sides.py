"""The sides of splits that a row remembers: whom it is never merged with, and what is not its own.

A side is a name, like an external id: merging carries it on, and no profile may hold both of one
split. So the protocol that keeps two external ids apart keeps the two sides apart.
"""

from collections.abc import Iterable, Set
from typing import Final

from schemas.events import Event
from schemas.records import Erased
from schemas.rows import ProfileRow, Side
from schemas.values import Identifier, ProfileId
from streams.core import PEER, Output
from streams.identity.links import SPLIT
from streams.profile.conflicts import TWO_EXTERNAL_IDS
from streams.sends.outcome import OUTCOMES

MARK: Final = "\x1f"
"""In front of the name of a side: no external id has a control character."""

STAYS, GOES = "/stays", "/goes"

AGAIN: Final = "\x1e"
"""In front of an external id that names somebody again, though others know it as retired."""


def sides_of(row: ProfileRow) -> list[str]:
    """The names of the sides that this profile is on, and the external ids that came back so."""
    names = [f"{MARK}{side.split}{STAYS if side.stays else GOES}" for side in row.sides]
    return names + [AGAIN + side.again for side in row.sides if side.again]


def external_in(names: Iterable[str]) -> frozenset[str]:
    """The external ids among names."""
    return frozenset(name for name in names if not name.startswith((MARK, AGAIN)))


def again_in(names: Iterable[str]) -> frozenset[str]:
    """The external ids that are not retired any more, among names."""
    return frozenset(name.removeprefix(AGAIN) for name in names if name.startswith(AGAIN))


def clash(names: Set[str]) -> str | None:
    """Why no profile may hold all of these names; None: it may."""
    if len(external_in(names)) > 1:
        return TWO_EXTERNAL_IDS
    staying = (name for name in names if name.startswith(MARK) and name.endswith(STAYS))
    if any(name.removesuffix(STAYS) + GOES in names for name in staying):
        return SPLIT
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


def awaits_history(row: ProfileRow) -> bool:
    """Is history of a side, any that this profile was part of, still to come?"""
    return any(side.next is not None for side in row.sides)


def forget_stranger(row: ProfileRow, body: Erased) -> list[Output]:
    """Somebody whom a split set apart from this profile was erased: forget what named them. Who was
    split off from here later has heard of it, and is told.
    """
    known = [side for side in row.sides if body.identifier in side.identifiers]
    for side in known:
        side.identifiers.remove(body.identifier)
    return [Output(PEER, side.other, body) for side in row.sides if known and side.stays]


def is_quiet(row: ProfileRow) -> bool:
    """Is all that is known of this profile still to come, for it begins at a split? Until then no
    segment is asked, no flow starts or goes on.
    """
    return bool(row.sides) and any(
        side.next is not None and side.is_alone and not side.stays for side in row.sides
    )
