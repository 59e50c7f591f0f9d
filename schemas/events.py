"""A store event after ingest: validated, normalised, in one shape whatever shape it came in."""

import msgspec

from schemas.values import (
    EventId,
    Identifier,
    Inner,
    Instant,
    Micros,
    Properties,
    StoreId,
    Trust,
)


class RefusedIdentifier(Inner, frozen=True):
    """An identifier that was not usable; the event went on because another one was."""

    kind: str
    reason: str


class Event(Inner, frozen=True):
    """A fact about a profile, named by its metric.

    id:          the store's, else derived from the whole content.
    occurred_at: when it happened, as the store says; never after `received_at`.
    received_at: the broker's timestamp in `store-events`; the `now` of all that follows from it.
    identifiers: normalised, strongest first, at least one.
    traits:      to set; a value of None removes the trait. `traits_once`: to set if not yet set.
    value:       the amount in `currency`, millionths.
    backfill:    counts for segments and reports, starts no flow.
    claimed_at:  the claimed time where that was after `received_at`, else None.
    previous:    of an `Alias`: identifiers that are the same person's; an external id among them is
                 retired, and that of `identifiers` takes its place.
    """

    schema: int
    id: EventId
    metric: str
    occurred_at: Instant
    received_at: Instant
    store: StoreId
    trust: Trust
    identifiers: tuple[Identifier, ...]
    traits: Properties
    traits_once: Properties
    properties: Properties
    value: Micros | None
    currency: str | None
    source: str
    backfill: bool
    claimed_at: Instant | None = None
    refused: tuple[RefusedIdentifier, ...] = ()
    previous: tuple[Identifier, ...] = ()


EVENT_SCHEMA = 1


class RejectedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Why a record of `store-events` was not accepted. Its bytes go on unchanged.

    reason: one of the written-out reasons of `streams/ingest` (`not-json`, `wrong-type`, ...).
    detail: what is wrong, for a person; never holds the value of an identifier.
    field:  where, as a path (`$.profile.email`), or None where the bytes are no JSON.
    position: the byte at which it is wrong, where that is known.
    """

    reason: str
    detail: str
    field: str | None = None
    position: int | None = None
