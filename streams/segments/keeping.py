"""How a feature's entries are kept: one updater for each kind. All change the state in place."""

from collections.abc import Callable
from typing import TypeAlias

from schemas.rows import Entry, FeatureState
from schemas.values import Instant, Millis
from streams.instants import HOUR

Update: TypeAlias = Callable[[FeatureState, Entry, Instant], None]
"""(state, new entry, now): count and total are already those with the new entry."""

ENTRIES_MAX = 500
"""Entries kept one by one; older ones go into buckets of an hour."""

BUCKETS_MAX = 500


def place(entries: list[Entry], entry: Entry) -> int:
    """Where the entry belongs: newest first, by (occurred_at, event id)."""
    occurred_at = entry.occurred_at
    if not entries or occurred_at > entries[0].occurred_at:
        return 0
    event_id = entry.event_id
    low, high = 0, len(entries)
    while low < high:
        middle = (low + high) // 2
        other = entries[middle]
        if (other.occurred_at, other.event_id) > (occurred_at, event_id):
            low = middle + 1
        else:
            high = middle
    return low


def keep_newest(keep: int, horizon: Millis | None) -> Update:
    del horizon

    def update(state: FeatureState, entry: Entry, now: Instant) -> None:
        del now
        entries = state.entries
        at = place(entries, entry)
        if at < keep:
            entries.insert(at, entry)
            if len(entries) > keep:
                del entries[keep:]

    return update


def keep_recent(keep: int, horizon: Millis | None) -> Update:
    """The newest `keep` that are younger than the horizon."""
    update_newest = keep_newest(keep, None)

    def update(state: FeatureState, entry: Entry, now: Instant) -> None:
        entries = state.entries
        if horizon is not None:
            while entries and entries[-1].occurred_at <= now - horizon:
                entries.pop()
            if entry.occurred_at <= now - horizon:
                return
        update_newest(state, entry, now)

    return update


def keep_each(keep: int, horizon: Millis | None) -> Update:
    """The newest of each value: an entry takes the place of an older one with the same `kept`.

    Entries without a value (the first of `kept`) are all different.
    """
    update_newest = keep_newest(keep, horizon)

    def update(state: FeatureState, entry: Entry, now: Instant) -> None:
        entries = state.entries
        if entry.kept[0] is not None:
            for i, other in enumerate(entries):
                if other.kept == entry.kept:
                    if place(entries, entry) > i:
                        return
                    del entries[i]
                    break
        update_newest(state, entry, now)

    return update


def keep_oldest(keep: int, horizon: Millis | None) -> Update:
    del horizon

    def update(state: FeatureState, entry: Entry, now: Instant) -> None:
        del now
        entries = state.entries
        entries.insert(place(entries, entry), entry)
        if len(entries) > keep:
            del entries[: len(entries) - keep]

    return update


def keep_span(keep: int, horizon: Millis | None) -> Update:
    """All that is younger than the horizon (None: of any age), beyond the cap by the hour."""
    del keep

    def update(state: FeatureState, entry: Entry, now: Instant) -> None:
        entries = state.entries
        edge = None if horizon is None else now - horizon
        if edge is not None:
            if entries and entries[-1].occurred_at <= edge:
                state.coarse = None  # the buckets are older than every entry
                while entries and entries[-1].occurred_at <= edge:
                    entries.pop()
            if entry.occurred_at <= edge:
                return
        if state.coarse and entries and entry.occurred_at < entries[-1].occurred_at:
            put(state.coarse, entry)
            return
        entries.insert(place(entries, entry), entry)
        if len(entries) > ENTRIES_MAX:
            if state.coarse is None:
                state.coarse = {}
            put(state.coarse, entries.pop())
            if edge is not None:
                expire(state.coarse, edge)

    return update


def put(coarse: dict[int, tuple[int, int]], entry: Entry) -> None:
    """Add the entry to the bucket of its hour; the oldest buckets are joined over the cap."""
    hour = entry.occurred_at // HOUR
    count, total = coarse.get(hour, (0, 0))
    coarse[hour] = (count + entry.times, total + (entry.amount or 0))
    join_oldest(coarse, BUCKETS_MAX)


def join_oldest(coarse: dict[int, tuple[int, int]], most: int) -> None:
    """Join the oldest buckets over so many with the next one."""
    if len(coarse) <= most:
        return
    hours = sorted(coarse)
    joined = hours[: len(hours) - most + 1]
    counts, totals = zip(*(coarse.pop(hour) for hour in joined), strict=True)
    coarse[joined[-1]] = sum(counts), sum(totals)


def shorten(state: FeatureState, kind: str, keep: int) -> None:
    """Keep `keep` entries (at least one) and as many buckets; of any age, what is over goes into
    buckets of an hour. It is as if the cap of the feature were lower.
    """
    entries = state.entries
    if kind == "oldest":
        del entries[: max(0, len(entries) - keep)]
    elif kind.startswith("span"):
        while len(entries) > keep:
            state.coarse = state.coarse or {}
            put(state.coarse, entries.pop())
    else:
        del entries[keep:]
    if state.coarse is not None:
        join_oldest(state.coarse, keep)


def expire(coarse: dict[int, tuple[int, int]], edge: Instant) -> None:
    for hour in [hour for hour in coarse if bucket_at(hour) <= edge]:
        del coarse[hour]


def bucket_at(hour: int) -> Instant:
    """The instant that stands for all entries of a bucket: the start of its hour."""
    return hour * HOUR


def keep_peaks(sign: int) -> Callable[[int, Millis | None], Update]:
    """Those that no newer one outdoes: amounts (times `sign`) grow towards the older ones."""

    def make(keep: int, horizon: Millis | None) -> Update:
        del keep

        def update(state: FeatureState, entry: Entry, now: Instant) -> None:
            entries = state.entries
            if horizon is not None:
                while entries and entries[-1].occurred_at <= now - horizon:
                    entries.pop()
                if entry.occurred_at <= now - horizon:
                    return
            at = place(entries, entry)
            amount = sign * (entry.amount or 0)
            if at and sign * (entries[at - 1].amount or 0) >= amount:
                return
            end = at
            while end < len(entries) and sign * (entries[end].amount or 0) <= amount:
                end += 1
            entries[at:end] = [entry]
            del entries[ENTRIES_MAX:]

        return update

    return make


def keep_records(sign: int) -> Callable[[int, Millis | None], Update]:
    """Those that no older one outdoes: amounts (times `sign`) grow towards the newer ones.

    keep: 1 where only the greatest of all counts; else as many as are kept of anything.
    """

    def make(keep: int, horizon: Millis | None) -> Update:
        del horizon

        def update(state: FeatureState, entry: Entry, now: Instant) -> None:
            del now
            entries = state.entries
            at = place(entries, entry)
            amount = sign * (entry.amount or 0)
            if at < len(entries) and sign * (entries[at].amount or 0) >= amount:
                return
            start = at
            while start and sign * (entries[start - 1].amount or 0) <= amount:
                start -= 1
            entries[start:at] = [entry]
            del entries[keep:]

        return update

    return make


UPDATES: dict[str, Callable[[int, Millis | None], Update]] = {
    "newest": keep_newest,
    "oldest": keep_oldest,
    "recent": keep_recent,
    "each": keep_each,
    "span": keep_span,
    "span-max": keep_span,
    "span-min": keep_span,
    "max": keep_peaks(1),
    "min": keep_peaks(-1),
    "max-old": keep_records(1),
    "min-old": keep_records(-1),
}
