"""Features and memberships of two profiles that become one."""

from collections.abc import Mapping

from schemas.outputs import Evidence
from schemas.rows import Entry, FeatureState, Membership, ProfileRow
from schemas.values import Instant, Origin, ProfileId, SegmentId
from streams.definitions.program import Program
from streams.ids import Ids, key_number
from streams.segments.features import LEFT_OUT, SHADOW, Feature, FeatureKey, saturate, saturated
from streams.segments.keeping import BUCKETS_MAX, expire, join_oldest, put
from streams.segments.membership import (
    Change,
    because_of,
    carry_features,
    change_of,
    evaluate,
)
from streams.segments.person import Person

MERGED = "merged"
"""The leaf of the evidence that names whom the profile has absorbed."""


# --- features ------------------------------------------------------------------------------------


def unite_features(row: ProfileRow, lost: ProfileRow, program: Program, now: Instant) -> None:
    """Entries unite by event, counts and totals add; what both kept of one event counts once."""
    if lost.definitions != program.mark:
        carry_features(lost, program)
    unite_into(row, lost.features, program, now)
    row.filled += [one for one in lost.filled if one not in row.filled]


def unite_into(
    row: ProfileRow, features: Mapping[FeatureKey, FeatureState], program: Program, now: Instant
) -> None:
    """Add what was kept elsewhere of other events of the same person."""
    for key, theirs in features.items():
        feature = program.features.get(key.rstrip(LEFT_OUT))
        ours = row.features.get(key)
        if feature is None:
            continue
        row.features[key] = theirs if ours is None else _unite(feature, ours, theirs, now)


def take_over_past(
    row: ProfileRow,
    profile_id: ProfileId,
    switch: Origin,
    features: Mapping[FeatureKey, FeatureState],
    program: Program,
    now: Instant,
) -> frozenset[FeatureKey]:
    """Take over what a back-fill says of a profile that is this one now, once.

    In shadow it is kept there; in force already (it came late), it counts at once. What is of a
    back-fill that was overtaken by other definitions counts no more.

    Returns: the features that leaves look at and that may have changed.
    """
    mark = key_number(f"{switch}/{profile_id}")
    if mark in row.filled or switch not in (program.past.switch, program.past.filled):
        return frozenset()
    row.filled.append(mark)
    in_shadow = switch == program.past.switch
    prefix = SHADOW if in_shadow else ""
    there = {prefix + key: state for key, state in features.items()}
    unite_into(row, there, program, now)
    return frozenset() if in_shadow else frozenset(there)


def _unite(feature: Feature, one: FeatureState, other: FeatureState, now: Instant) -> FeatureState:
    entries = {_place(entry): entry for entry in one.entries}
    twice = [entry for entry in other.entries if _place(entry) in entries]
    entries.update((_place(entry), entry) for entry in other.entries)
    united = FeatureState(
        one.count + other.count - sum(entry.times for entry in twice),
        saturated(one.total + other.total - sum(entry.amount or 0 for entry in twice)),
        version=one.version,
    )
    in_order = sorted(entries)
    if one.coarse or other.coarse:
        in_order = _beyond(united, one, other, entries, in_order)
    for place in in_order:
        feature.update(united, entries[place], now)
    if united.coarse is not None and feature.horizon is not None:
        expire(united.coarse, now - feature.horizon)
    return united


def _beyond(
    united: FeatureState,
    one: FeatureState,
    other: FeatureState,
    entries: Mapping[tuple[Instant, str], Entry],
    in_order: list[tuple[Instant, str]],
) -> list[tuple[Instant, str]]:
    """Add the buckets; entries older than what a bucket may hold go there too.

    Returns: the places of the entries that stay.
    """
    united.coarse = {}
    for state in (one, other):
        for hour, (count, total) in (state.coarse or {}).items():
            before = united.coarse.get(hour, (0, 0))
            united.coarse[hour] = (before[0] + count, saturated(before[1] + total))
    edge = max(state.entries[-1].occurred_at for state in (one, other) if state.coarse)
    for place in in_order:
        if place[0] < edge:
            put(united.coarse, entries[place])
    join_oldest(united.coarse, BUCKETS_MAX)
    saturate(united)
    return [place for place in in_order if place[0] >= edge]


def _place(entry: Entry) -> tuple[Instant, str]:
    return entry.occurred_at, entry.event_id


# --- memberships ---------------------------------------------------------------------------------


def unite_memberships(
    row: ProfileRow,
    losers: Mapping[ProfileId, Mapping[SegmentId, Membership]],
    program: Program,
    now: Instant,
    *,
    ids: Ids,
) -> list[Change]:
    """Ask every segment of a profile that has absorbed others.

    Who was in a segment under one of the ids stays in it since then, and starts no flow. Announced
    is every change, and what the last word under one of the ids would contradict: so the newest
    word of a person, under whichever id, is right.
    """
    changes = _leave_what_is_gone(row, losers, program, now, ids)
    own = {name for name, one in row.segments.items() if one.since is not None}
    for memberships in losers.values():
        for name, theirs in memberships.items():
            if theirs.since is not None and name in program.segments:
                ours = row.segments.setdefault(name, Membership())
                ours.since = min(theirs.since, ours.since or theirs.since)
    changes += evaluate(row, program, program.segments, now, due=None, ids=ids)
    changed = {change.segment for change in changes}
    for name, segment in program.segments.items():
        membership = row.segments.get(name)
        since = None if membership is None else membership.since
        if membership is None or since is None or name in changed:
            continue
        left = any(_said_to_have_left(theirs.get(name)) for theirs in losers.values())
        if name not in own or left:
            evidence = segment.condition.explain(Person(row, program), now)
            again = change_of(row, name, membership, True, now, now, True, evidence, ids)
            membership.since = since
            changes.append(again)
    merged = Evidence(leaf=MERGED, holds=True, value=", ".join(losers))
    return [because_of(change, merged) for change in changes]


def _leave_what_is_gone(
    row: ProfileRow,
    losers: Mapping[ProfileId, Mapping[SegmentId, Membership]],
    program: Program,
    now: Instant,
    ids: Ids,
) -> list[Change]:
    """Exit from segments that were removed while somebody who was in them was on the way here."""
    left = {
        name: theirs
        for memberships in losers.values()
        for name, theirs in memberships.items()
        if theirs.since is not None and name not in program.segments
    }
    return [
        change_of(row, name, membership, False, now, now, True, (), ids)
        for name, membership in left.items()
    ]


def _said_to_have_left(membership: Membership | None) -> bool:
    """Was an exit announced, and no entry since?"""
    return membership is not None and membership.since is None and membership.changes > 0
