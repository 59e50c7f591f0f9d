"""The store's own JSON (docs/topics.md, `store-events`), decoded strictly, keys and types.

An unknown key that looks like a mistyped one is rejected, because what was meant would be missing;
any other unknown key is kept under the property `$unknown`, so nothing that was sent is lost.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

import msgspec

from schemas.values import Properties
from streams.ingest.rejection import Reason, Rejection
from streams.ingest.trouble import depth_checked, explained, not_json, utf8_checked

UNKNOWN: Final = "$unknown"
"""The property that keeps unknown keys: `{"shipping": ..., "profile.nickname": ...}`."""

LIKENESS_MIN: Final = 0.8
NAME_CHARACTERS_MAX: Final = 64
LOOKED_AT_MAX: Final = 100
"""Unknown keys that are compared with known ones: who sends more has not mistyped them."""

Name = str | int | float
"""A name that some write as a number."""


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
    """A store event as the store sent it. `received_at` is for replay files and ignored here."""

    metric: str
    profile: SentProfile
    id: Name | None = None
    time: Name | None = None
    store: str | None = None
    trust: Literal["server", "client"] | None = None
    properties: Properties | None = None
    value: msgspec.Raw = msgspec.Raw()
    currency: str | None = None
    source: str | None = None
    backfill: bool | None = None
    received_at: Name | None = None


class Sent(NamedTuple):
    """A decoded event; own: identifiers of the store's own kinds and other keys of `profile`."""

    event: SentEvent
    own: Properties
    unknown: Properties


_strict = msgspec.json.Decoder(SentEvent).decode
_loose = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_again = msgspec.json.Encoder(decimal_format="number").encode
_TOP: Final = tuple(SentEvent.__struct_encode_fields__)
_PROFILE: Final = tuple(SentProfile.__struct_encode_fields__)
_NOTHING: Final[Properties] = {}


def decode(value: bytes) -> Sent:
    """Decode a store event.

    Raises: Rejection, with the reason, and the field or the position.
    """
    try:
        sent = Sent(_strict(value), _NOTHING, _NOTHING)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _second_look(value)
    depth_checked(value)
    return sent


def _second_look(value: bytes) -> Sent:
    """Take a closer look at what is not at once as it should be: slower, and names what is wrong.

    The last of several equal keys counts, whatever the others were.
    """
    utf8_checked(value)
    depth_checked(value)
    try:
        document = _loose(value)
    except (msgspec.DecodeError, ArithmeticError, RecursionError) as error:
        raise not_json(value, error) from error
    unknown = _taken_out(document, _TOP, "$")
    profile = document.get("profile")
    own = _taken_out(profile, _PROFILE, "$.profile") if isinstance(profile, dict) else {}
    try:
        return Sent(_strict(_again(document)), _plain(own), _plain(unknown))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise explained(error, document) from error


def _taken_out(document: Properties, known: tuple[str, ...], path: str) -> Properties:
    """Take the unknown keys out of `document`.

    Raises: Rejection where one looks like a known key that is not there.
    """
    unknown = {key: document.pop(key) for key in [*document] if key not in known}
    for key in islice(unknown, LOOKED_AT_MAX):
        near = _near(key, known)
        if near is not None and near not in document:
            raise Rejection(
                Reason.UNKNOWN_KEY, f"is no known key; is `{near}` meant?", f"{path}.{key}"
            )
    return unknown


@lru_cache(maxsize=4096)
def _near(key: str, known: tuple[str, ...]) -> str | None:
    """The known key that `key` looks like."""
    if len(key) > NAME_CHARACTERS_MAX:
        return None
    folded = {_folded(name): name for name in known}
    near = get_close_matches(_folded(key), folded, n=1, cutoff=LIKENESS_MIN)
    return folded[near[0]] if near else None


def _folded(key: str) -> str:
    return key.casefold().replace("_", "").replace("-", "")


def _plain(properties: Properties) -> Properties:
    """The same as if it had been decoded without care for exact numbers."""
    try:
        return msgspec.json.decode(_again(properties), type=dict[str, Any])
    except msgspec.ValidationError as error:
        raise explained(error, properties) from error


def kept_unknown(sent: Sent, identifying: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield the unknown keys of `sent` that are none of the store's own identifier kinds."""
    yield from sent.unknown.items()
    for key, value in sent.own.items():
        if key not in identifying:
            yield f"profile.{key}", value
