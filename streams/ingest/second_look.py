"""A closer look at what is not at once as it should be: slower, and names what is wrong.

An unknown key that looks like a mistyped one is rejected, because what was meant would be missing;
any other unknown key is kept, so nothing that was sent is lost.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec

from schemas.values import Properties
from streams.ingest.rejection import Reason, Rejection
from streams.ingest.trouble import (
    depth_checked,
    explained,
    fields_out_of_range,
    not_json,
    number_out_of_range,
    utf8_checked,
)

LIKENESS_MIN: Final = 0.8
NAME_CHARACTERS_MAX: Final = 64
LOOKED_AT_MAX: Final = 100
"""Unknown keys that are compared with known ones: who sends more has not mistyped them."""

MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises."""

Levels = Mapping[str, tuple[str, ...]]
"""Path of an object -> the keys that are known in it."""

T = TypeVar("T")

_loose = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_again = msgspec.json.Encoder(decimal_format="number").encode


def loosely(value: bytes) -> Properties:
    """Decode without caring for types; the last of several equal keys counts, whatever the others.

    Raises: Rejection.
    """
    utf8_checked(value)
    depth_checked(value)
    try:
        return _loose(value)
    except (msgspec.DecodeError, ArithmeticError, RecursionError) as error:
        raise not_json(value, error) from error


def looked_at(
    document: Properties, strict: Callable[[bytes], T], levels: Levels
) -> tuple[T, dict[str, Properties], bytes]:
    """Decode strictly, with the unknown keys taken out of each level of `document`.

    Returns: what was decoded, the unknown keys by level, the bytes without them.
    Raises: Rejection.
    """
    found = {
        path: _taken_out(level, known, path)
        for path, known in levels.items()
        if (level := _level(document, path)) is not None
    }
    rest = _again(document)
    try:
        return strict(rest), {path: _plain(keys, path) for path, keys in found.items()}, rest
    except MALFORMED as error:
        raise explained(error, document) from error


def _level(document: Properties, path: str) -> Properties | None:
    level: Any = document
    for key in path.split(".")[1:]:
        level = level.get(key) if isinstance(level, dict) else None
    return level if isinstance(level, dict) else None


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


def _plain(properties: Properties, path: str) -> Properties:
    """The same as if it had been decoded without care for exact numbers.

    Raises: Rejection where a number cannot be kept.
    """
    field = next(fields_out_of_range(properties, path), None)
    if field is not None:
        raise number_out_of_range(field)
    return msgspec.json.decode(_again(properties), type=dict[str, Any]) if properties else {}
