"""The identifiers a profile holds: kind -> value -> when it was first named."""

from typing import Final

from schemas.rows import ProfileRow
from schemas.values import Identifier

EXTERNAL_ID: Final = "external_id"
"""The store's own name of a person. A profile never holds two."""


def newest(row: ProfileRow, kind: str) -> str | None:
    """The identifier of this kind that was named last for the first time; None: there is none."""
    values = row.identifiers.get(kind)
    if not values:
        return None
    return max(values, key=lambda value: (values[value], value))


def in_order(row: ProfileRow, kind: str) -> tuple[str, ...]:
    """All of this kind, oldest first."""
    values = row.identifiers.get(kind, {})
    return tuple(sorted(values, key=lambda value: (values[value], value)))


def pointing_to(row: ProfileRow) -> list[Identifier]:
    """All identifiers that may point to this profile, as far as it remembers them."""
    found = [(kind, value) for kind in sorted(row.identifiers) for value in row.identifiers[kind]]
    found += row.claimed
    found += [(EXTERNAL_ID, value) for value in row.retired]
    return found


def external_ids(row: ProfileRow) -> frozenset[str]:
    """The external id, if there is one: a set, as merging compares them."""
    return frozenset(row.identifiers.get(EXTERNAL_ID, ()))
