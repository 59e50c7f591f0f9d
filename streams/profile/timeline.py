"""An event as it was accepted, for the timeline."""

from schemas.events import Event
from schemas.outputs import TimelineEntry
from schemas.topics import TIMELINE
from schemas.values import Origin, ProfileId
from streams.core import Output
from streams.instants import to_timestamp
from streams.money import to_money


def timeline_entry(
    profile_id: ProfileId, event: Event, origin: Origin, moved_from: ProfileId | None = None
) -> Output:
    """moved_from: the profile under which the event stood before a split."""
    value = event.value
    entry = TimelineEntry(
        event_id=event.id,
        store=event.store,
        profile_id=profile_id,
        metric=event.metric,
        occurred_at=to_timestamp(event.occurred_at),
        received_at=to_timestamp(event.received_at),
        origin=origin,
        trust=event.trust,
        source=event.source,
        backfill=event.backfill,
        identifiers=event.identifiers,
        traits=event.traits,
        traits_once=event.traits_once,
        properties=event.properties,
        value=None if value is None else to_money(value),
        currency=event.currency,
        moved_from=moved_from,
    )
    return Output(TIMELINE.name, profile_id, entry)
