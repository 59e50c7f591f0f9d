"""Whether a profile is on a list, and since when.

Joining and leaving are words with an instant; the order in which they came makes no difference, but
where the instant of a joining that was neither the first nor the last would be needed.
"""

from schemas.rows import ListMembership
from schemas.values import Instant


def is_member(membership: ListMembership | None) -> bool:
    """Joined after having left; at the same instant, leaving counts."""
    return membership is not None and membership.joined_at > membership.left_at


def on_it_since(membership: ListMembership) -> Instant:
    """Of a member: the first joining after the last leaving. Old rows know the last joining."""
    return membership.since or membership.joined_at


def join(membership: ListMembership, at: Instant) -> None:
    membership.since = _first_after(membership.left_at, membership, at)
    membership.joined_at = max(membership.joined_at, at)


def leave(membership: ListMembership, at: Instant) -> None:
    membership.left_at = max(membership.left_at, at)
    membership.since = _first_after(membership.left_at, membership)


def unite(one: ListMembership, other: ListMembership) -> ListMembership:
    """What it is where both were one person's all the time."""
    left_at = max(one.left_at, other.left_at)
    return ListMembership(
        max(one.joined_at, other.joined_at),
        left_at,
        *max((each.pending_at, each.pending_received_at) for each in (one, other)),
        _first_after(left_at, one, other.since, other.joined_at),
    )


def _first_after(left_at: Instant, known: ListMembership, *more: Instant) -> Instant:
    """The first joining that is known after this leaving; 0: there is none."""
    times = (known.since, known.joined_at, *more)
    return min((at for at in times if at > left_at), default=0)
