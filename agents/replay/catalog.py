"""The catalogue's watcher of a replay: whom a change of a product concerns, kept in memory.

In: what the path says. Out: the triggers that `agents/catalog.py` finds in the timeline's tables, a
second later. Only the source differs; what a change is and whom it concerns are the same functions.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

import msgspec

from agents.catalog import ProductUpdate, on_products, update_in
from agents.replay.published import Edition
from schemas.definitions import Flow, Interested
from schemas.outputs import IdentityMerged, TimelineEntry
from schemas.topics import IDENTITY_MERGES, TIMELINE
from schemas.values import Identifier, Instant, ProfileId, StoreId
from streams.definitions.products import ASKED
from streams.flows.catalog import ItemUpdate, catalog_trigger, change_of, concerned, products_of
from streams.grid import GRID, Answer
from streams.ids import Ids
from streams.instants import to_instant
from streams.intake import Write


class Seen(NamedTuple):
    """Somebody did something with a product: when, by which event, and who."""

    occurred_at: Instant
    event_id: str
    identifier: Identifier


class CatalogInMemory:
    """`hear` what is said; returns the triggers to be appended.

    until: nothing is appended that would be received later.
    """

    def __init__(self, editions: Sequence[Edition], ids: Ids, until: Instant) -> None:
        self._flows = [
            (
                one.since or 0,
                one.published.store,
                on_products(one.published.documents, one.published.version),
            )
            for one in editions
        ]
        self._watches = any(flows for _, _, flows in self._flows)
        self._ids, self._until = ids, until
        self._history: dict[tuple[StoreId, ProfileId], list[ItemUpdate]] = defaultdict(list)
        self._seen: dict[tuple[StoreId, str, str], dict[ProfileId, Seen]] = defaultdict(dict)
        self._joined: dict[ProfileId, ProfileId] = {}

    def hear(self, writes: Iterable[Write]) -> list[Answer]:
        """Take what was said in a round."""
        if not self._watches:
            return []
        entries: list[TimelineEntry] = []
        for write in writes:
            if write.value is None:
                continue
            if write.topic == IDENTITY_MERGES.name:
                merged = _decode_merge(write.value)
                self._joined[merged.loser] = merged.winner
            elif write.topic == TIMELINE.name and not write.key.startswith(b"definitions/"):
                entries.append(_decode(write.value))
        entries.sort(key=attrgetter("origin"))
        return [answer for entry in entries for answer in self._take(entry)]

    def _take(self, entry: TimelineEntry) -> Iterable[Answer]:
        self._note(entry)
        update = update_in(entry)
        if update is None:
            return ()
        self._history[update.update.store, update.product].append(update.update)
        return self._triggers(update)

    def _note(self, entry: TimelineEntry) -> None:
        if not entry.identifiers:
            return
        seen = Seen(to_instant(entry.occurred_at), entry.event_id, entry.identifiers[0])
        for product in products_of(entry.properties):
            people = self._seen[entry.store, entry.metric, product]
            people[entry.profile_id] = max(seen, people.get(entry.profile_id, seen))

    def _triggers(self, watched: ProductUpdate) -> list[Answer]:
        update = watched.update
        appended_at = update.origin[0] // GRID * GRID + GRID
        change = change_of(update, self._history[update.store, watched.product])
        who = [] if change is None else concerned(change, self._in_force(update))
        if change is None or not who or appended_at > self._until:
            return []
        events = [catalog_trigger(change, one, self._ids) for one in self._interested(update, who)]
        return [(msgspec.json.encode(event), ()) for event in events]

    def _in_force(self, update: ItemUpdate) -> Sequence[Flow]:
        """The newest edition of the store's definitions when this was received."""
        flows: Sequence[Flow] = ()
        for since, store, found in self._flows:
            if store == update.store and since <= update.origin[0]:
                flows = found
        return flows

    def _interested(self, update: ItemUpdate, who: Sequence[Interested]) -> list[Identifier]:
        product = str(update.properties["product_id"])
        wanted = [(metric, one.in_last) for one in who for metric in one.of]
        wanted += [(ASKED, one.asked) for one in who if one.asked]
        newest: dict[ProfileId, Seen] = {}
        for metric, span in wanted:
            for profile, seen in self._seen.get((update.store, metric, product), {}).items():
                person = self._now(profile)
                if seen.occurred_at > update.occurred_at - span:
                    newest[person] = max(seen, newest.get(person, seen))
        return sorted(seen.identifier for seen in newest.values())

    def _now(self, profile: ProfileId) -> ProfileId:
        while profile in self._joined:
            profile = self._joined[profile]
        return profile


_decode = msgspec.json.Decoder(TimelineEntry).decode
_decode_merge = msgspec.json.Decoder(IdentityMerged).decode
