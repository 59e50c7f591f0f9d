"""Segment calls: `track`, `identify`, `alias`, `page`.

What they mean here is in docs/event-shapes.md. Source: the Segment spec (common fields, the four
calls, e-commerce version 2).
"""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import msgspec

from schemas.values import Properties, Trust
from streams.ingest.fields import text_of
from streams.ingest.identifiers import KINDS
from streams.ingest.rejection import Reason, Rejection
from streams.ingest.second_look import MALFORMED, looked_at, loosely
from streams.ingest.sent import Envelope, Name, Sent, SentEvent, SentProfile
from streams.ingest.trouble import depth_checked

SOURCE: Final = "segment"

METRICS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Product Viewed": "Viewed Product",
        "Product Added": "Added to Cart",
        "Product Removed": "Removed from Cart",
        "Cart Viewed": "Viewed Cart",
        "Checkout Started": "Started Checkout",
        "Order Completed": "Placed Order",
        "Order Updated": "Updated Order",
        "Order Cancelled": "Cancelled Order",
        "Order Refunded": "Refunded Order",
    }
)
"""Events of the e-commerce spec -> metrics. All other events keep their names."""

AMOUNTS: Final = ("revenue", "total", "value")
"""Properties that hold the value of an event of the e-commerce spec; the first that is there."""

AMOUNTS_ELSEWHERE: Final = ("revenue",)
"""Of any other event: there a `value` is abstract, and no money."""

CLIENT_CHANNELS: Final = frozenset({"browser", "client", "mobile", "web"})
CLIENT_LIBRARIES: Final = frozenset(
    {
        "analytics.js", "analytics-ios", "analytics-android", "analytics-kotlin", "analytics-swift",
        "analytics-react-native", "@segment/analytics-react-native", "analytics_flutter",
        "analytics-flutter", "analytics.xamarin",
    }
)  # fmt: skip
"""`context.library.name` of libraries that run where anybody can make them say anything."""

TRAITS: Final[Mapping[str, str]] = MappingProxyType(
    {"firstName": "first_name", "lastName": "last_name", "createdAt": "created_at"}
)
"""Reserved traits -> as they are called here; written either way they are the same."""

ADDRESS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "street": "address1",
        "city": "city",
        "state": "region",
        "postalCode": "postal_code",
        "postal_code": "postal_code",
        "country": "country",
    }
)
"""Keys of the trait `address` -> traits."""


class SegmentCall(Envelope, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """What all calls have. What is about transport alone is read, and not kept."""

    user_id: Name | None = None
    anonymous_id: Name | None = None
    message_id: Name | None = None
    timestamp: Name | None = None
    original_timestamp: Name | None = None
    properties: Properties | None = None
    traits: Properties | None = None
    context: Properties | None = None
    channel: str | None = None
    backfill: bool | None = None
    received_at: Name | None = msgspec.field(default=None, name="received_at")
    received_by_segment_at: Any = msgspec.field(default=None, name="receivedAt")
    sent_at: Any = None
    integrations: Any = None
    version: Any = None
    write_key: Any = None
    project_id: Any = None
    metadata: Any = msgspec.field(default=None, name="_metadata")


class Track(SegmentCall, tag="track", kw_only=True, rename="camel"):
    """Something was done."""

    event: str


class Identify(SegmentCall, tag="identify", kw_only=True, rename="camel"):
    """Traits and identifiers of a person."""


class Alias(SegmentCall, tag="alias", kw_only=True, rename="camel"):
    """Two ids are one person."""

    user_id: Name
    previous_id: Name


class Page(SegmentCall, tag="page", kw_only=True, rename="camel"):
    """A page was viewed."""

    name: str | None = None
    category: str | None = None


class _Amounts(msgspec.Struct):
    revenue: msgspec.Raw = msgspec.Raw()
    total: msgspec.Raw = msgspec.Raw()
    value: msgspec.Raw = msgspec.Raw()


class _Exactly(msgspec.Struct):
    """The amounts among the properties as they are written."""

    properties: _Amounts


Call = Track | Identify | Alias | Page

CALLS: Final = ("track", "identify", "alias", "page", "screen", "group")
"""`type` of Segment calls. The last two are not taken, and rejected for that."""

_KNOWN: Final[Mapping[object, tuple[str, ...]]] = {
    kind.__struct_config__.tag: ("type", *kind.__struct_encode_fields__)
    for kind in (Track, Identify, Alias, Page)
}
_KNOWN_ELSE: Final = ("type", *SegmentCall.__struct_encode_fields__)

_strict = msgspec.json.Decoder(Call).decode
_exactly = msgspec.json.Decoder(_Exactly).decode


def decode(value: bytes) -> Sent:
    """Decode a call.

    Raises: Rejection, with the reason, and the field or the position.
    """
    unknown: Properties = {}
    try:
        call = _strict(value)
    except MALFORMED:
        document = loosely(value)
        known = _KNOWN.get(_type_of(document), _KNOWN_ELSE)
        call, found, value = looked_at(document, _strict, {"$": known})
        unknown = found["$"]
    else:
        depth_checked(value)
    own = {key: said for key, said in unknown.items() if key not in KINDS}
    kept = {key: said for key, said in unknown.items() if key in KINDS}
    if call.channel is not None:
        kept["channel"] = call.channel
    context = {key: said for key, said in (call.context or {}).items() if key != "traits"}
    if context:
        kept["context"] = context
    trust = call.trust or _trust(call.channel, context)
    return Sent(_event(call, value, trust), own, kept, partial(_places, call))


def _type_of(document: Properties) -> str | None:
    said = document.get("type")
    return said if isinstance(said, str) else None


def _event(call: Call, value: bytes, trust: Trust) -> SentEvent:
    """The event in our own words. value: the call, as it was decoded."""
    metric, properties = _metric_and_properties(call)
    by_commerce = _is_commerce(call)
    amount = _amount_named(properties, by_commerce)
    currency = None
    if amount is not None:
        currency = _text(properties.get("currency"), "$.properties.currency")
    if by_commerce and _calls_items_products(properties):
        properties = {**properties}
        properties["items"] = properties.pop("products")
    time = call.original_timestamp if call.timestamp is None else call.timestamp
    return SentEvent(
        metric,
        _profile(call),
        call.message_id,
        time,
        call.store,
        trust,
        properties,
        msgspec.Raw() if amount is None else getattr(_exactly(value).properties, amount),
        currency,
        call.source or SOURCE,
        call.backfill,
    )


def _metric_and_properties(call: Call) -> tuple[str, Properties]:
    properties = call.properties or {}
    match call:
        case Track(event=event):
            name = event.strip()
            return METRICS.get(name, name), properties
        case Identify():
            return "Identify", properties
        case Alias(previous_id=previous):
            return "Alias", {**properties, "previous": _previous(previous, call.anonymous_id)}
    for key, said in (("name", call.name), ("category", call.category)):
        if said is not None:
            properties.setdefault(key, said)
    return "Viewed Page", properties


def _previous(previous: Name, anonymous: Name | None) -> dict[str, str]:
    """The id that comes to an end: the first of these kinds under which it is known.

    An alias does not say of which kind its previous id is; where it is the call's own anonymous
    id, that is plain.
    """
    written = text_of(previous, "$.previousId")
    kinds = ("anonymous_id",) if previous == anonymous else ("external_id", "anonymous_id")
    return dict.fromkeys(kinds, written)


def _is_commerce(call: Call) -> bool:
    """Whether the e-commerce spec says what the properties of the call mean."""
    return isinstance(call, Track) and call.event.strip() in METRICS


def _calls_items_products(properties: Properties) -> bool:
    return "products" in properties and "items" not in properties


def _amount_named(properties: Properties, by_commerce: bool) -> str | None:
    """The property that is the value of the event."""
    names = AMOUNTS if by_commerce else AMOUNTS_ELSEWHERE
    return next((name for name in names if properties.get(name) is not None), None)


def _profile(call: Call) -> SentProfile:
    """Identifiers and traits; those of the call itself go before those of its context."""
    inherited = (call.context or {}).get("traits")
    if inherited is not None and not isinstance(inherited, dict):
        raise Rejection(Reason.WRONG_TYPE, "expected an object", "$.context.traits")
    traits = {**(inherited or {}), **(call.traits or {})}
    email, phone = (
        _text(traits.pop(kind, None), _trait_place(kind, call)) for kind in ("email", "phone")
    )
    _move(traits, traits, TRAITS)
    address = traits.get("address")
    if isinstance(address, dict):
        rest = {**address}
        _move(rest, traits, ADDRESS)
        if rest:
            traits["address"] = rest
        else:
            del traits["address"]
    return SentProfile(call.user_id, email, phone, call.anonymous_id, traits=traits)


def _move(there: Properties, traits: Properties, names: Mapping[str, str]) -> None:
    """Take traits out of `there` under our names; what has that name already stays where it is."""
    for sent, ours in names.items():
        if sent in there and ours not in traits:
            traits[ours] = there.pop(sent)


def _text(said: object, place: str) -> str | None:
    if said is None or isinstance(said, str):
        return said
    raise Rejection(Reason.WRONG_TYPE, "expected text", place)


def _trust(channel: str | None, context: Properties) -> Trust:
    """Whether the call was made where anybody can make it say anything."""
    match context:
        case {"library": {"name": str(library)}} if library in CLIENT_LIBRARIES:
            return "client"
    return "client" if channel in CLIENT_CHANNELS else "server"


# --- where the sender has it ---------------------------------------------------------------------


def _places(call: Call) -> Mapping[str, str]:
    """Where the call has what we call otherwise; asked only where something is wrong."""
    by_commerce = _is_commerce(call)
    places = {
        "$.metric": "$.event",
        "$.id": "$.messageId",
        "$.time": "$.timestamp" if call.timestamp is not None else "$.originalTimestamp",
        "$.value": f"$.properties.{_amount_named(call.properties or {}, by_commerce)}",
        "$.currency": "$.properties.currency",
        "$.properties.$unknown": "$",
        "$.profile": "$",
        "$.profile.external_id": "$.userId",
        "$.profile.anonymous_id": "$.anonymousId",
    }
    if by_commerce and _calls_items_products(call.properties or {}):
        places["$.properties.items"] = "$.properties.products"
    return places | _trait_places(call)


def _trait_places(call: Call) -> dict[str, str]:
    sources = (("$.context.traits", (call.context or {}).get("traits")), ("$.traits", call.traits))
    direct: dict[str, str] = {}
    moved: dict[str, str] = {}
    for base, traits in sources:
        if traits:
            direct |= {key: f"{base}.{key}" for key in traits}
            moved |= {ours: f"{base}.{sent}" for sent, ours in TRAITS.items() if sent in traits}
            address = traits.get("address")
            if isinstance(address, dict):
                moved |= {
                    ours: f"{base}.address.{sent}"
                    for sent, ours in ADDRESS.items()
                    if sent in address
                }
    return {f"$.profile.traits.{key}": place for key, place in (moved | direct).items()}


def _trait_place(kind: str, call: Call) -> str:
    return f"$.traits.{kind}" if kind in (call.traits or {}) else f"$.context.traits.{kind}"
