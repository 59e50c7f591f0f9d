"""Back-fill: what new features would have kept of events that came before they were defined.

In: the definitions whose past is to be filled in, the events of one profile in the order in which
they were applied to it. Out: a `Backfilled` for that profile. The code that notes them is the one
that notes live events (`streams/segments/features.py`).
"""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from schemas.events import EVENT_SCHEMA, Event
from schemas.outputs import DefinitionsStated, TimelineEntry
from schemas.records import Backfilled, DefinitionsFilled, DefinitionsPublished
from schemas.rows import DEFINITIONS_ROW_SCHEMA, DefinitionsRow, ProfileRow
from schemas.values import ProfileId
from streams.definitions.products import is_of_the_catalogue
from streams.definitions.switch import program_of
from streams.instants import to_instant
from streams.money import to_micros
from streams.segments.features import index_features, note

_pack = msgspec.msgpack.Encoder(order="deterministic").encode


class Backfill:
    """What is filled in at one switch. metrics: of the events that it takes."""

    def __init__(self, definitions: DefinitionsRow) -> None:
        assert definitions.filling, "nothing is to be filled in"
        self.store = definitions.published.store
        self.switch = definitions.switch
        self.features_by_metric = index_features(program_of(definitions).past.shadow)
        self.metrics = frozenset(self.features_by_metric)

    def of(self, profile_id: ProfileId, events: Iterable[Event]) -> Backfilled | None:
        """What the features would have kept of these events; None: nothing.

        events: of that profile, as they stand before the switch in its partition of `timeline`.
        """
        row = ProfileRow(store=self.store, id=profile_id)
        for event in events:
            if event.store == self.store and not is_of_the_catalogue(event):
                note(self, row, event)
        if not row.features:
            return None
        return Backfilled(self.store, profile_id, self.switch, _pack(row.features))

    def end(self) -> DefinitionsFilled:
        """All has been said."""
        return DefinitionsFilled(self.store, self.switch)


def state_in(stated: DefinitionsStated) -> DefinitionsRow:
    """The definitions in force as the topic `definitions` tells them."""
    published = DefinitionsPublished(
        stated.store, stated.version, stated.author, stated.documents, stated.filling
    )
    return DefinitionsRow(DEFINITIONS_ROW_SCHEMA, published, stated.switch, live=stated.live)


def event_of(entry: TimelineEntry) -> Event:
    """The event as it was applied."""
    return Event(
        schema=EVENT_SCHEMA,
        id=entry.event_id,
        metric=entry.metric,
        occurred_at=to_instant(entry.occurred_at),
        received_at=to_instant(entry.received_at),
        store=entry.store,
        trust=entry.trust,  # type: ignore[arg-type]
        identifiers=entry.identifiers,
        traits=entry.traits,
        traits_once=entry.traits_once,
        properties=entry.properties,
        value=None if entry.value is None else to_micros(Decimal(entry.value)),
        currency=entry.currency,
        source=entry.source,
        backfill=entry.backfill,
    )
