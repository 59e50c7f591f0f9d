"""A store event as it was sent, in our own words: what every source makes of a record."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from schemas.values import Properties

UNKNOWN: Final = "$unknown"
"""The property that keeps unknown keys: `{"shipping": ..., "profile.nickname": ...}`."""

Name = str | int | float
"""A name that some write as a number."""

Amount = Annotated[
    msgspec.Raw, msgspec.Meta(extra_json_schema={"type": ["number", "string", "null"]})
]
"""Money: a number or decimal text. Raw: a float would not keep it exactly."""


class SentProfile(msgspec.Struct, forbid_unknown_fields=True):
    """`profile` as the store sent it."""

    external_id: Name | None = None
    email: str | None = None
    phone: str | None = None
    anonymous_id: Name | None = None
    device_id: Name | None = None
    cart_token: Name | None = None
    traits: Properties | None = None
    traits_once: Properties | None = None


class SentEvent(msgspec.Struct, forbid_unknown_fields=True):
    """A store event as the store sent it. `received_at` is for replay files and ignored here.

    profile: what is said of a product is about nobody and has none.
    """

    metric: str
    profile: SentProfile | msgspec.UnsetType = msgspec.UNSET
    id: Name | None = None
    time: Name | None = None
    store: str | None = None
    trust: Literal["server", "client"] | None = None
    properties: Properties | None = None
    value: Amount = msgspec.field(default_factory=msgspec.Raw)
    currency: str | None = None
    source: str | None = None
    backfill: bool | None = None
    received_at: Name | None = None


class Envelope(msgspec.Struct, kw_only=True):
    """What may stand beside the content of a shape that is not ours: our own words."""

    store: str | None = None
    trust: Literal["server", "client"] | None = None
    source: str | None = None
    received_at: Name | None = None


class Sent(NamedTuple):
    """A decoded event.

    own:     other keys beside the identifiers: of the store's own kinds, or unknown.
    unknown: what else was sent, by its path in the sender's shape, without `$.`.
    places:  tells where the sender has what is `$.metric` here, and so on; asked only where
             something is wrong.
    """

    event: SentEvent
    own: Properties
    unknown: Properties
    places: Callable[[], Mapping[str, str]] = dict


def kept_unknown(sent: Sent, identifying: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield the unknown keys of `sent` that are none of the store's own identifier kinds."""
    yield from sent.unknown.items()
    if sent.own:
        beside = place_of("$.profile", sent.places())
        for key, value in sent.own.items():
            if key not in identifying:
                yield f"{beside}.{key}".removeprefix("$."), value


def place_of(path: str, places: Mapping[str, str]) -> str:
    """The path of a field in the sender's shape: that of the longest part which has a place."""
    head = path
    while head not in places:
        head = head[: max(head.rfind("."), head.rfind("["), 0)]
        if not head:
            return path
    return places[head] + path[len(head) :]
