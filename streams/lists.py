"""Whether a profile is on a list, and since when.

Joining and leaving are words with an instant; the order in which they came makes no difference, but
where the instant of a joining that was neither the first nor the last would be needed.
"""

from collections.abc import Sequence
from copy import copy

from schemas.rows import ListMembership
from schemas.values import Instant


def is_member(membership: ListMembership | None) -> bool:
    """Joined after having left; at the same instant, leaving counts."""
    return membership is not None and membership.joined_at > membership.left_at


def on_it_since(membership: ListMembership) -> Instant:
    """Of a member: the first joining after the last leaving. Old rows know the last joining."""
    return membership.since or membership.joined_at


def join(membership: ListMembership, at: Instant, asked_at: Instant = 0) -> None:
    """asked_at: of a joining by confirmation, when it had been asked for."""
    _apart(membership)
    if asked_at:
        known = membership.asked_at, membership.answered_at
        membership.asked_at, membership.answered_at = max(known, (asked_at, at))
    else:
        membership.told_at = max(membership.told_at, at)
    _follow(membership, (at,))


def leave(membership: ListMembership, at: Instant) -> None:
    """A request that was made before is taken back, also where its confirmation came first."""
    _apart(membership)
    membership.left_at = max(membership.left_at, at)
    _follow(membership)


def was_taken_back(membership: ListMembership, at: Instant) -> bool:
    """Was nobody on the list yet at `at`, but had asked to be?"""
    return membership.asked_at <= at < membership.answered_at and not membership.told_at


def unite(one: ListMembership, other: ListMembership) -> ListMembership:
    """What it is where both were one person's all the time."""
    one, other = copy(one), copy(other)
    for each in (one, other):
        _apart(each)
    united = ListMembership(left_at=max(one.left_at, other.left_at))
    united.pending_at, united.pending_received_at = max(
        (each.pending_at, each.pending_received_at) for each in (one, other)
    )
    united.asked_at, united.answered_at = max(
        (each.asked_at, each.answered_at) for each in (one, other)
    )
    united.told_at = max(one.told_at, other.told_at)
    _follow(united, [at for each in (one, other) for at in (each.since, each.joined_at)])
    return united


def _apart(membership: ListMembership) -> None:
    """Rows of an earlier version know a joining, not how it came about."""
    if not membership.told_at and not membership.answered_at:
        membership.told_at = membership.joined_at


def _follow(membership: ListMembership, more: Sequence[Instant] = ()) -> None:
    """What follows: the newest joining, and the first that is known after the last leaving."""
    left_at, answered_at = membership.left_at, membership.answered_at
    counts = membership.asked_at > left_at
    known = {membership.since, membership.joined_at, *more}
    if not counts and answered_at != membership.told_at:
        known.discard(answered_at)
    membership.joined_at = max(membership.told_at, answered_at if counts else 0)
    membership.since = min((at for at in {*known, membership.joined_at} if at > left_at), default=0)
