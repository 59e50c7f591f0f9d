"""What is wrong with bytes that could not be decoded, and where: the slow road, taken by few.

The answer depends on the bytes alone, never on how deep the caller's stack happens to be.
"""

import re
from array import array
from collections.abc import Iterator
from decimal import Decimal
from itertools import accumulate, islice
from typing import Any, Final

from streams.ingest.rejection import Reason, Rejection

DEPTH_MAX: Final = 64
"""How many objects and arrays may lie within one another, the event itself included."""

NUMBER_MIN, NUMBER_MAX = -(1 << 63), (1 << 64) - 1
"""The whole numbers that inner topics (msgpack) can carry."""

_strings = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_bracket = re.compile(rb"[\[{\]}]").finditer
_escapes = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_long_number = re.compile(rb"[0-9]{1000,}+")
_at_path = re.compile(r"(.*) - at `(\$.*)`", re.DOTALL).fullmatch
_required = re.compile(r"Object missing required field `(.*)`").fullmatch
_at_byte = re.compile(r"(?:JSON is malformed: )?(.*) \(byte ([0-9]+)\)").fullmatch
_speakable = re.compile(r"[A-Za-z0-9_ $-]{1,64}").fullmatch

_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""One level down is 1, one level up -1, as signed bytes."""

_NEITHER: Final = bytes(set(range(256)) - set(b'[{]}"'))
"""All bytes but brackets and quotes."""


def utf8_checked(value: bytes) -> None:
    """Raises: Rejection with the position of the first byte that is no UTF-8."""
    try:
        value.decode()
    except UnicodeDecodeError as error:
        detail = f"byte {value[error.start]:#04x} is no UTF-8 here"
        raise Rejection(Reason.NOT_UTF8, detail, position=error.start) from error


def depth_checked(value: bytes) -> None:
    """Raises: Rejection where objects and arrays lie too deep, with the position of the first."""
    if value.count(b"[") + value.count(b"{") <= DEPTH_MAX:
        return
    position = _too_deep_at(value)
    if position is not None:
        detail = f"more than {DEPTH_MAX} objects and arrays within one another"
        raise Rejection(Reason.TOO_DEEP, detail, position=position)


def _too_deep_at(value: bytes) -> int | None:
    """The position of the first bracket below the deepest level allowed."""
    steps = array("b", _brackets(value).translate(_STEPS))
    if max(accumulate(steps)) <= DEPTH_MAX:
        return None
    nth = next(n for n, depth in enumerate(accumulate(steps)) if depth > DEPTH_MAX)
    blanked = _strings.sub(lambda text: b" " * len(text[0]), value)
    return next(islice(_bracket(blanked), nth, None)).start()


def _brackets(value: bytes) -> bytes:
    """The brackets outside of strings.

    With all but quotes and brackets left out, a string is an empty pair of quotes. A bracket
    within a string has an odd number of quotes before it, so one of them stays.
    """
    if b'\\"' not in value and b"\\\\" not in value:
        brackets = value.translate(None, _NEITHER).replace(b'""', b"")
        if b'"' not in brackets:
            return brackets
    return _strings.sub(b"", value).translate(None, _NEITHER)


def not_json(value: bytes, error: Exception) -> Rejection:
    """Why `value` could not even be decoded without caring for types."""
    if not value.strip():
        return Rejection(Reason.EMPTY, "the record has no value")
    text = str(error)
    if "truncated" in text or "surrogate" in text:
        half = _lone_surrogate_at(value)
        if half is not None:
            return Rejection(Reason.NOT_JSON, "half of a surrogate pair", position=half)
    if "Expected `object`" in text and " - at " not in text:
        return Rejection(Reason.NOT_AN_OBJECT, text[0].lower() + text[1:], "$")
    if "out of range" in text or isinstance(error, ArithmeticError):
        number = _long_number.search(value)
        return number_out_of_range("$", None if number is None else number.start())
    at = _at_byte(text)
    if at is None:
        return Rejection(Reason.NOT_JSON, "ends before its end", position=len(value))
    position = int(at[2]) - ("trailing characters" in at[1])  # it counts from one there
    for word in (b"NaN", b"Infinity", b"-Infinity"):
        if value.startswith(word, position):
            return Rejection(Reason.NOT_JSON, f"{word.decode()} is no JSON", position=position)
    return Rejection(Reason.NOT_JSON, at[1], position=position)


def _lone_surrogate_at(value: bytes) -> int | None:
    """The position of the first escaped half of a surrogate pair that has no other half."""
    high: int | None = None
    high_end = -1
    for escape in _escapes.finditer(value):
        code = int(escape[1], 16) if escape[1] else 0
        is_low = 0xDC00 <= code < 0xE000
        if high is not None and not (is_low and escape.start() == high_end):
            return high
        if high is None and is_low:
            return escape.start()
        high, high_end = (escape.start(), escape.end()) if 0xD800 <= code < 0xDC00 else (None, -1)
    return high


def explained(error: Exception, document: dict[str, Any]) -> Rejection:
    """Which field of a decoded `document` is not as it should be."""
    text = str(error)
    at = _at_path(text)
    what, path = (at[1], at[2]) if at else (text, "$")
    required = _required(what)
    if required is not None:
        return Rejection(Reason.MISSING, "is required", f"{path}.{required[1]}")
    if "out of range" in what:
        return number_out_of_range(next(fields_out_of_range(document, "$"), path))
    return Rejection(Reason.WRONG_TYPE, what[0].lower() + what[1:], path)


def number_out_of_range(field: str, position: int | None = None) -> Rejection:
    """A number that no column and no inner topic can carry."""
    detail = "a number too large to be kept exactly"
    return Rejection(Reason.NUMBER_OUT_OF_RANGE, detail, field, position)


def fields_out_of_range(value: object, path: str) -> Iterator[str]:
    """Yield the paths of the numbers that cannot be kept. Keys that may hold data are not named."""
    match value:
        case dict():
            for key, inner in value.items():
                name = f".{key}" if _speakable(key) else "[...]"
                yield from fields_out_of_range(inner, path + name)
        case list():
            for index, inner in enumerate(value):
                yield from fields_out_of_range(inner, f"{path}[{index}]")
        case int() if not NUMBER_MIN <= value <= NUMBER_MAX:
            yield path
        case Decimal() if value.adjusted() > 307 and abs(float(value)) == float("inf"):
            yield path
