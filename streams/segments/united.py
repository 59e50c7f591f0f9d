"""Features and memberships of two profiles that become one."""

from collections.abc import Mapping

import msgspec

from schemas.outputs import Evidence
from schemas.rows import Entry, FeatureState, Membership, ProfileRow
from schemas.values import Instant, ProfileId, SegmentId
from streams.definitions.program import Program
from streams.ids import Ids
from streams.segments.features import Feature, saturated
from streams.segments.keeping import BUCKETS_MAX, expire, put
from streams.segments.membership import Change, change_of, evaluate
from streams.segments.person import Person

MERGED = "merged"
"""The leaf of the evidence that names whom the profile has absorbed."""


# --- features ------------------------------------------------------------------------------------


def unite_features(row: ProfileRow, lost: ProfileRow, program: Program, now: Instant) -> None:
    """Entries unite by event, counts and totals add; what both kept of one event counts once."""
    for key, theirs in lost.features.items():
        feature = program.features.get(key.rstrip("~"))
        ours = row.features.get(key)
        if ours is None:
            row.features[key] = theirs
        elif feature is not None:
            row.features[key] = _unite(feature, ours, theirs, now)


def _unite(feature: Feature, one: FeatureState, other: FeatureState, now: Instant) -> FeatureState:
    entries = {_place(entry): entry for entry in one.entries}
    twice = [entry for entry in other.entries if _place(entry) in entries]
    entries.update((_place(entry), entry) for entry in other.entries)
    united = FeatureState(
        one.count + other.count - len(twice),
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
    while len(united.coarse) > BUCKETS_MAX:
        oldest, second = sorted(united.coarse)[:2]
        count, total = united.coarse.pop(oldest)
        more, sum_of_more = united.coarse[second]
        united.coarse[second] = (more + count, saturated(sum_of_more + total))
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
    own = {name for name, one in row.segments.items() if one.since is not None}
    for memberships in losers.values():
        for name, theirs in memberships.items():
            if theirs.since is not None and name in program.segments:
                ours = row.segments.setdefault(name, Membership())
                ours.since = min(theirs.since, ours.since or theirs.since)
    changes = evaluate(row, program, program.segments, now, due=None, ids=ids)
    changed = {change.segment for change in changes}
    for name, segment in program.segments.items():
        membership = row.segments.get(name)
        since = None if membership is None else membership.since
        if membership is None or since is None or name in changed:
            continue
        left = any(_said_to_have_left(theirs.get(name)) for theirs in losers.values())
        if name not in own or left:
            evidence = segment.condition.explain(Person(row, program), now)
            again = change_of(row, segment, membership, True, now, now, True, evidence, ids)
            membership.since = since
            changes.append(again)
    merged = Evidence(leaf=MERGED, holds=True, value=", ".join(losers))
    return [_because(change, merged) for change in changes]


def _said_to_have_left(membership: Membership | None) -> bool:
    """Was an exit announced, and no entry since?"""
    return membership is not None and membership.since is None and membership.changes > 0


def _because(change: Change, merged: Evidence) -> Change:
    output = change.output
    explained = msgspec.structs.replace(output, evidence=(merged, *output.evidence))
    return change._replace(output=explained)
