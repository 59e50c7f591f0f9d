"""Which shape a record of `store-events` has, and what was sent in it.

Most are the store's own JSON, so that is tried first and costs the others an attempt. Whatever has
`metric` or `profile` is the store's own; else `data` makes it the body of Klaviyo's Events API, and
the `type` of a call, or an id of Segment's, a Segment call. All that is left is a store event that
lacks something.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from schemas.values import Properties
from streams.ingest import klaviyo, segment, store_json
from streams.ingest.second_look import MALFORMED
from streams.ingest.sent import Sent
from streams.ingest.trouble import depth_checked

_NOTHING: Final[Properties] = {}
_ABSENT: Final = msgspec.Raw()
_CALLS: Final = frozenset(b'"%s"' % call.encode() for call in segment.CALLS)


class _Shape(msgspec.Struct, rename="camel"):
    """The keys that tell the shapes apart; what they hold is not looked at."""

    metric: msgspec.Raw = _ABSENT
    profile: msgspec.Raw = _ABSENT
    data: msgspec.Raw = _ABSENT
    type: msgspec.Raw = _ABSENT
    user_id: msgspec.Raw = _ABSENT
    anonymous_id: msgspec.Raw = _ABSENT


_shape_of = msgspec.json.Decoder(_Shape).decode


def decode(value: bytes) -> Sent:
    """Decode a store event, whatever its shape.

    Raises: Rejection, with the reason, and the field or the position.
    """
    try:
        sent = Sent(store_json.strict(value), _NOTHING, _NOTHING)
    except MALFORMED:
        return _source_of(value)(value)
    depth_checked(value)
    return sent


def _source_of(value: bytes) -> Callable[[bytes], Sent]:
    """What reads a record that is no store event at once."""
    try:
        shape = _shape_of(value)
    except MALFORMED:
        return store_json.look
    if shape.metric or shape.profile:
        return store_json.look
    if shape.data:
        return klaviyo.decode
    if shape.user_id or shape.anonymous_id or bytes(shape.type) in _CALLS:
        return segment.decode
    return store_json.look
