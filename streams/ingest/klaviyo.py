"""The body of Klaviyo's Events API (`POST /api/events`): one event, its metric and its profile.

What it means here is in docs/event-shapes.md. Source: klaviyo/openapi, revision 2026-07-15.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from schemas.values import Properties
from streams.ingest.identifiers import KINDS
from streams.ingest.second_look import MALFORMED, Levels, looked_at, loosely
from streams.ingest.sent import Amount, Envelope, Name, Sent, SentEvent, SentProfile
from streams.ingest.trouble import depth_checked

SOURCE: Final = "klaviyo"

Text = str | UnsetType | None
"""Not there: no trait. Null: the trait is removed."""


class KlaviyoLocation(msgspec.Struct, forbid_unknown_fields=True):
    """Where a profile is: each key a trait of its own."""

    address1: Text = UNSET
    address2: Text = UNSET
    city: Text = UNSET
    country: Text = UNSET
    region: Text = UNSET
    zip: Name | UnsetType | None = UNSET
    latitude: Name | UnsetType | None = UNSET
    longitude: Name | UnsetType | None = UNSET
    timezone: Text = UNSET
    ip: Text = UNSET


class KlaviyoPerson(msgspec.Struct, forbid_unknown_fields=True):
    """The attributes of a profile: identifiers and traits."""

    external_id: Name | None = None
    email: str | None = None
    phone_number: str | None = None
    anonymous_id: Name | None = None
    exchange_id: Any = msgspec.field(default=None, name="_kx")
    first_name: Text = UNSET
    last_name: Text = UNSET
    organization: Text = UNSET
    locale: Text = UNSET
    title: Text = UNSET
    image: Text = UNSET
    location: KlaviyoLocation | None = None
    properties: Properties | None = None
    meta: Properties | None = None


class KlaviyoProfile(msgspec.Struct, forbid_unknown_fields=True):
    """A profile. `id` is Klaviyo's own: it identifies nobody here."""

    type: Literal["profile"]
    attributes: KlaviyoPerson
    id: Any = None


class KlaviyoMetricName(msgspec.Struct, forbid_unknown_fields=True):
    """What a metric is called."""

    name: str
    service: Any = None


class KlaviyoMetric(msgspec.Struct, forbid_unknown_fields=True):
    """A metric."""

    type: Literal["metric"]
    attributes: KlaviyoMetricName


class MetricData(msgspec.Struct, forbid_unknown_fields=True):
    """A metric in its wrapping."""

    data: KlaviyoMetric


class ProfileData(msgspec.Struct, forbid_unknown_fields=True):
    """A profile in its wrapping."""

    data: KlaviyoProfile


class KlaviyoAttributes(msgspec.Struct, forbid_unknown_fields=True):
    """What happened, to whom."""

    metric: MetricData
    profile: ProfileData
    properties: Properties | None = None
    time: Name | None = None
    value: Amount = msgspec.field(default_factory=msgspec.Raw)
    value_currency: str | None = None
    unique_id: Name | None = None
    backfill: bool | None = None


class KlaviyoEvent(msgspec.Struct, forbid_unknown_fields=True):
    """An event."""

    type: Literal["event"]
    attributes: KlaviyoAttributes


class KlaviyoBody(Envelope, forbid_unknown_fields=True, kw_only=True):
    """The body of Klaviyo's Events API; beside `data`, what only we know."""

    data: KlaviyoEvent


_EVENT: Final = "$.data.attributes"
_METRIC: Final = f"{_EVENT}.metric.data"
_PROFILE: Final = f"{_EVENT}.profile.data"
_PERSON: Final = f"{_PROFILE}.attributes"

_LEVELS: Final[Levels] = {
    path: kind.__struct_encode_fields__
    for path, kind in {
        "$": KlaviyoBody,
        "$.data": KlaviyoEvent,
        _EVENT: KlaviyoAttributes,
        f"{_EVENT}.metric": MetricData,
        _METRIC: KlaviyoMetric,
        f"{_METRIC}.attributes": KlaviyoMetricName,
        f"{_EVENT}.profile": ProfileData,
        _PROFILE: KlaviyoProfile,
        _PERSON: KlaviyoPerson,
        f"{_PERSON}.location": KlaviyoLocation,
    }.items()
}
_NAMED: Final = ("first_name", "last_name", "organization", "locale", "title", "image")
_LOCATED: Final = KlaviyoLocation.__struct_fields__
_RENAMED: Final[Mapping[str, str]] = MappingProxyType({"zip": "postal_code"})

_PLACES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "$.metric": f"{_METRIC}.attributes.name",
        "$.id": f"{_EVENT}.unique_id",
        "$.time": f"{_EVENT}.time",
        "$.properties": f"{_EVENT}.properties",
        "$.properties.$unknown": "$",
        "$.value": f"{_EVENT}.value",
        "$.currency": f"{_EVENT}.value_currency",
        "$.profile": _PERSON,
        "$.profile.phone": f"{_PERSON}.phone_number",
        "$.profile.traits": f"{_PERSON}.properties",
    }
    | {
        f"$.profile.traits.{_RENAMED.get(key, key)}": f"{_PERSON}.location.{key}"
        for key in _LOCATED
    }
)

_strict = msgspec.json.Decoder(KlaviyoBody).decode


def decode(value: bytes) -> Sent:
    """Decode a body.

    Raises: Rejection, with the reason, and the field or the position.
    """
    unknown: dict[str, Properties] = {}
    try:
        body = _strict(value)
    except MALFORMED:
        body, unknown, _ = looked_at(loosely(value), _strict, _LEVELS)
    else:
        depth_checked(value)
    beside = unknown.pop(_PERSON, {})
    kept = _kept(body, unknown)
    own = {key: said for key, said in beside.items() if key not in KINDS}
    for key in beside.keys() - own.keys():
        kept[f"{_PERSON}.{key}".removeprefix("$.")] = beside[key]
    return Sent(_event(body, kept), own, kept, places)


def places() -> Mapping[str, str]:
    """Where the body has what we call otherwise."""
    return _PLACES


def _event(body: KlaviyoBody, kept: Properties) -> SentEvent:
    """The event in our own words. kept: gets what has no place in them."""
    said = body.data.attributes
    person = said.profile.data.attributes
    return SentEvent(
        said.metric.data.attributes.name,
        SentProfile(
            person.external_id,
            person.email,
            person.phone_number,
            person.anonymous_id,
            traits=_traits(person, kept),
        ),
        said.unique_id,
        said.time,
        body.store,
        body.trust,
        said.properties,
        said.value,
        said.value_currency,
        body.source or SOURCE,
        said.backfill,
    )


def _traits(person: KlaviyoPerson, kept: Properties) -> Properties:
    """The traits: Klaviyo's own names go before custom properties of the same name."""
    traits = person.properties or {}
    named = {name: said for name in _NAMED if (said := getattr(person, name)) is not UNSET}
    if person.location is not None:
        for key in _LOCATED:
            if (said := getattr(person.location, key)) is not UNSET:
                named[_RENAMED.get(key, key)] = said
    for name in named.keys() & traits.keys():
        kept[f"{_PERSON}.properties.{name}".removeprefix("$.")] = traits[name]
    traits.update(named)
    for name in _unset(person.meta):
        traits.setdefault(name, None)
    return traits


def _unset(meta: Properties | None) -> Iterator[str]:
    """Yield the names of the traits to be removed."""
    match meta:
        case {"patch_properties": {"unset": str(name)}}:
            yield name
        case {"patch_properties": {"unset": [*names]}}:
            yield from (name for name in names if isinstance(name, str))


def _kept(body: KlaviyoBody, unknown: Mapping[str, Properties]) -> Properties:
    """What has no meaning here, by its path."""
    profile = body.data.attributes.profile.data
    known = {
        f"{_METRIC}.attributes.service": body.data.attributes.metric.data.attributes.service,
        f"{_PROFILE}.id": profile.id,
        f"{_PERSON}._kx": profile.attributes.exchange_id,
        f"{_PERSON}.meta": profile.attributes.meta,
    }
    kept = {path.removeprefix("$."): said for path, said in known.items() if said is not None}
    for path, keys in unknown.items():
        for key, said in keys.items():
            kept[f"{path}.{key}".removeprefix("$.")] = said
    return kept
