"""A record of `store-events` -> an event, a rejection, a tick, or published definitions."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from schemas.events import EVENT_SCHEMA, Event, RefusedIdentifier, RejectedEvent
from schemas.records import DefinitionsPublished
from schemas.values import Identifier, Instant, Micros, Properties
from streams.definitions.parse import parse
from streams.definitions.products import CATALOG_ITEM_UPDATED, PRODUCT
from streams.identity.held import EXTERNAL_ID
from streams.identity.keys import key_of
from streams.ids import Ids
from streams.ingest import fields
from streams.ingest.control import HEADER, read_control
from streams.ingest.identifiers import KINDS, Refusal, normalised, strength_order
from streams.ingest.records import Control, Tick
from streams.ingest.rejection import Reason, Rejection
from streams.ingest.sent import UNKNOWN, Sent, SentEvent, SentProfile, kept_unknown, place_of
from streams.ingest.settings import IngestSettings, settings_of
from streams.ingest.shapes import decode
from streams.ingest.trouble import fields_out_of_range, number_out_of_range, utf8_checked
from streams.intake import LogRecord

ALIAS: Final = "Alias"
"""The metric by which a store says that two of its names are one person's."""

PRODUCT_KIND: Final = "$product"
"""Stands for the kind of identifier where an event is about a product: no store can name one so."""

NOTHING_IN_ITS_PLACE: Final = "nothing-in-its-place"
"""Why the previous external id of an `Alias` is refused that has no external id itself."""

EVENT_BYTES_MAX: Final = 5_000_000
"""5 MB. The topics take 6 MiB: what is larger than this arrives and can be rejected with a word."""

_to_json = msgspec.json.Encoder(order="deterministic").encode
_pack_into = msgspec.msgpack.Encoder().encode_into


def read(
    value: bytes | None,
    headers: Sequence[tuple[str, bytes]],
    *,
    received_at: Instant,
    settings: IngestSettings,
    ids: Ids,
) -> Event | RejectedEvent | Tick | Control:
    """Say what a record of `store-events` is.

    received_at: the broker's timestamp of the record, never before that of an earlier one.
    """
    try:
        if headers:
            named = dict(headers)
            if HEADER in named:
                return read_control(value, named, ids, received_at)
        return read_event(value, received_at, settings, ids)
    except Rejection as rejection:
        return rejection.record


class EventReader:
    """`read`, bound to a deployment's ids and to the settings that are in force."""

    def __init__(self, ids: Ids, settings: IngestSettings | None = None) -> None:
        self._ids = ids
        self.settings = settings or IngestSettings()

    def __call__(
        self, record: LogRecord, received_at: Instant
    ) -> tuple[str, Event] | RejectedEvent | Tick | Control:
        """Say what a record is; an event comes with the key of its strongest identifier."""
        said = read(
            record.value,
            record.headers,
            received_at=received_at,
            settings=self.settings,
            ids=self._ids,
        )
        if isinstance(said, Event):
            return key_of(said.store, said.identifiers[0]), said
        return said

    def adopt(self, published: DefinitionsPublished) -> None:
        """Read what follows by what the store says now about its identifiers."""
        said = settings_of(parse(published.documents).settings, self.settings.default_region)
        self.settings = self.settings.with_store(published.store, said)


def read_event(
    value: bytes | None, received_at: Instant, settings: IngestSettings, ids: Ids
) -> Event:
    """Read a store event.

    Raises: Rejection.
    """
    if not value:
        raise Rejection(Reason.EMPTY, "the record has no value")
    if len(value) > EVENT_BYTES_MAX:
        detail = f"has {len(value):,} bytes, at most {EVENT_BYTES_MAX:,}"
        raise Rejection(Reason.TOO_LARGE, detail, position=EVENT_BYTES_MAX)
    sent = decode(value)
    try:
        return _checked(sent, value, received_at, settings, ids)
    except Rejection as rejection:
        raise rejection.at(lambda field: place_of(field, sent.places())) from None


def _checked(
    sent: Sent, value: bytes, received_at: Instant, settings: IngestSettings, ids: Ids
) -> Event:
    """The event that was sent, field by field checked and normalised.

    Raises: Rejection, with the field as it is called in our own shape.
    """
    event = sent.event
    store = fields.store_of(event.store, settings.bound_store)
    metric = fields.metric_of(event.metric)
    claim = fields.time_of(event.time, received_at)
    amount = _amount(event.value, value)
    currency = fields.currency_of(event.currency)
    source = fields.source_of(event.source)
    own_id = fields.id_of(event.id)
    properties = event.properties or {}
    refused: tuple[RefusedIdentifier, ...] = ()
    if metric == CATALOG_ITEM_UPDATED and event.trust != "client":
        profile, identifiers = SentProfile(), _product(properties)
    else:
        profile = _profile(event)
        identifiers, refused = _identifiers(sent, profile, settings.of(store))
    previous: tuple[Identifier, ...] = ()
    if metric == ALIAS and event.trust != "client":
        previous, not_usable = previous_of(properties, identifiers, settings.of(store))
        refused += not_usable
    if sent.own or sent.unknown:
        properties = _with_unknown(properties, sent, identifiers, refused)
    traits, traits_once = profile.traits or {}, profile.traits_once or {}
    _check_numbers(properties, traits, traits_once)
    is_ahead = claim > received_at
    accepted = Event(
        EVENT_SCHEMA,
        own_id or "",
        metric,
        received_at if is_ahead else claim,
        received_at,
        store,
        event.trust or "server",
        identifiers,
        traits,
        traits_once,
        properties,
        amount,
        currency,
        source,
        event.backfill or False,
        claim if is_ahead else None,
        refused,
        previous,
    )
    return accepted if own_id else _with_derived_id(accepted, claim, ids)


def _amount(raw: msgspec.Raw, value: bytes) -> Micros | None:
    """The event's value. Raw: a float would not keep it exactly.

    Raises: Rejection; with the place in `value` where its text, not yet looked at, is no UTF-8.
    """
    written = bytes(raw)
    if not written or written == b"null":
        return None
    if not written.isascii():
        utf8_checked(value)
    if written[0] != ord('"'):
        return fields.value_of(written.decode(), quoted=False)
    return fields.value_of(msgspec.json.decode(written, type=str).strip(), quoted=True)


def _profile(event: SentEvent) -> SentProfile:
    """Raises: Rejection."""
    if event.profile is msgspec.UNSET:
        raise Rejection(Reason.MISSING, "is required", "$.profile")
    return event.profile


def _identifiers(
    sent: Sent, profile: SentProfile, settings: IngestSettings
) -> tuple[tuple[Identifier, ...], tuple[RefusedIdentifier, ...]]:
    """The identifiers of an event, strongest first, and those that are none.

    Raises: Rejection where none is left.
    """
    own = sent.own
    taken: list[Identifier] = []
    refused: list[RefusedIdentifier] = []
    for kind in strength_order(settings) if own else KINDS:
        claimed = _claimed(kind, profile, own) if own else getattr(profile, kind)
        if claimed is None:
            continue
        if not isinstance(claimed, str):
            claimed = fields.text_of(claimed, f"$.profile.{kind}")
        value = normalised(kind, claimed, settings)
        if isinstance(value, Refusal):
            refused.append(RefusedIdentifier(kind, value.value))
        else:
            taken.append((kind, value))
    if not taken:
        said = ", ".join([f"{one.kind} ({one.reason})" for one in refused])
        detail = f"no usable identifier: {said}" if said else "no identifier"
        raise Rejection(Reason.NO_IDENTIFIER, detail, "$.profile")
    return tuple(taken), tuple(refused)


def _product(properties: Properties) -> tuple[Identifier, ...]:
    """What is said of a product is about nobody: the product stands for the profile.

    Raises: Rejection where it is not named.
    """
    product = properties.get(PRODUCT)
    if not isinstance(product, str | int) or isinstance(product, bool) or not str(product):
        detail = f"a {CATALOG_ITEM_UPDATED} names its product"
        raise Rejection(Reason.NO_IDENTIFIER, detail, f"$.properties.{PRODUCT}")
    return ((PRODUCT_KIND, fields.text_of(product, f"$.properties.{PRODUCT}")),)


def previous_of(
    properties: Properties, identifiers: tuple[Identifier, ...], settings: IngestSettings
) -> tuple[tuple[Identifier, ...], tuple[RefusedIdentifier, ...]]:
    """What an `Alias` says the profile was called before, strongest first; and what is none.

    An external id is replaced by another one: where the event has none, there is nothing to do.
    """
    said = properties.get("previous")
    taken: list[Identifier] = []
    refused: list[RefusedIdentifier] = []
    kinds = {kind for kind, _ in identifiers}
    if not isinstance(said, dict):
        return (), ()
    for kind in strength_order(settings):
        claimed = said.get(kind)
        if not isinstance(claimed, str | int | float) or isinstance(claimed, bool):
            continue
        if kind == EXTERNAL_ID and EXTERNAL_ID not in kinds:
            refused.append(RefusedIdentifier(f"previous.{kind}", NOTHING_IN_ITS_PLACE))
            continue
        text = fields.text_of(claimed, f"$.properties.previous.{kind}")
        value = normalised(kind, text, settings)
        if isinstance(value, Refusal):
            refused.append(RefusedIdentifier(f"previous.{kind}", value.value))
        elif (kind, value) not in identifiers:
            taken.append((kind, value))
    return tuple(taken), tuple(refused)


def _claimed(kind: str, profile: SentProfile, own: Properties) -> str | int | float | None:
    """What the event says of one kind of identifier."""
    if kind not in own:
        return getattr(profile, kind, None)
    claimed = own[kind]
    if claimed is None or (isinstance(claimed, str | int | float) and type(claimed) is not bool):
        return claimed
    raise Rejection(Reason.WRONG_TYPE, "expected text or a number", f"$.profile.{kind}")


def _with_unknown(
    properties: Properties,
    sent: Sent,
    identifiers: tuple[Identifier, ...],
    refused: tuple[RefusedIdentifier, ...],
) -> Properties:
    """The properties, and below `$unknown` whatever else was sent."""
    identifying = {kind for kind, _ in identifiers} | {one.kind for one in refused}
    unknown: dict[str, Any] = dict(kept_unknown(sent, identifying))
    if not unknown:
        return properties
    if UNKNOWN in properties:
        unknown[f"properties.{UNKNOWN}"] = properties[UNKNOWN]
    return {**properties, UNKNOWN: unknown}


def _check_numbers(properties: Properties, traits: Properties, traits_once: Properties) -> None:
    """Raises: Rejection where a whole number is larger than what inner topics carry."""
    try:
        _pack_into((properties, traits, traits_once), bytearray())
    except OverflowError:
        sent = {
            "properties": properties,
            "profile": {"traits": traits, "traits_once": traits_once},
        }
        raise number_out_of_range(next(fields_out_of_range(sent, "$"))) from None


def _with_derived_id(event: Event, claim: Instant, ids: Ids) -> Event:
    """The event with an id from its full content as we understood it.

    The claimed time belongs to the content, so two different orders of one second stay two and a
    repeat is recognised. Where no time was claimed, the time of receipt is the event's time and
    belongs to it too: rather count a repeat twice than lose one of two equal page views.
    """
    content = _to_json(
        (
            event.metric,
            claim,
            event.trust,
            event.identifiers,
            event.traits,
            event.traits_once,
            event.properties,
            event.value,
            event.currency,
            event.source,
            event.backfill,
        )
    )
    return msgspec.structs.replace(event, id=ids.event(event.store, content.decode()))
