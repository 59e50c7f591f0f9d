"""Profiles that are connected and must not be one: reported, with what connects them."""

from collections.abc import Iterable
from typing import Final

from schemas.outputs import IdentityConflict
from schemas.rows import ProfileRow
from schemas.topics import IDENTITY_CONFLICTS
from schemas.values import Identifier, Instant, ProfileId
from streams.core import Output
from streams.ids import Ids
from streams.instants import to_timestamp

TWO_EXTERNAL_IDS: Final = "two-external-ids"
SHARED_BY_TOO_MANY: Final = "shared-by-too-many"


def conflict(
    row: ProfileRow,
    profiles: tuple[ProfileId, ...],
    external_ids: Iterable[str],
    reason: str,
    because: Identifier | None,
    now: Instant,
    ids: Ids,
) -> Output:
    """Say it; what is said again has the same id."""
    named = tuple(sorted(external_ids))
    record = IdentityConflict(
        id="x" + ids.derive("conflict", row.store, reason, *profiles, *named, *(because or ())),
        store=row.store,
        profiles=profiles,
        external_ids=named,
        reason=reason,
        decided_at=to_timestamp(now),
        because=because,
    )
    return Output(IDENTITY_CONFLICTS.name, row.id, record)
