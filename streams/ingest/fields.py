"""One field of a store event at a time: checked, and put into the shape we keep it in."""

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from schemas.values import Instant, Micros, StoreId
from streams.ingest.rejection import Reason, Rejection
from streams.instants import DAY, to_instant
from streams.money import MICROS, MICROS_MAX, to_micros

METRIC_CHARACTERS_MAX: Final = 128
ID_BYTES_MAX: Final = 512
SOURCE_CHARACTERS_MAX: Final = 128
NUMBER_CHARACTERS_MAX: Final = 64
AHEAD_MAX: Final = 365 * DAY
EARLIEST: Final[Instant] = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp()) * 1000
SECONDS_BELOW: Final = EARLIEST
"""A number as `time` below this counts seconds, for as milliseconds it would be before 1990; from
here on it counts milliseconds, for as seconds it would be after the year 21,000."""

STORES_RESERVED: Final = frozenset({"position", "definitions", "stops", "clock"})
"""Keys of our tables and topics begin like this."""

PLACEHOLDERS: Final = frozenset(
    {
        "", "-", "--", "?", "null", "(null)", "<null>", "undefined", "nil", "none", "nan", "n/a",
        "unknown", "anonymous", "guest", "true", "false", "-1", "[object object]", "{}", "[]",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    }
)  # fmt: skip
"""What programs write where they know nothing, folded: never an identifier, never an event's id."""

_MILLIONTH: Final = Decimal("0.000001")
_WIDE: Final = Context(prec=2 * NUMBER_CHARACTERS_MAX, rounding=ROUND_HALF_EVEN)

_is_store = re.compile(r"[a-z0-9][a-z0-9-]{0,63}").fullmatch
_is_currency = re.compile(r"[A-Za-z]{3}").fullmatch
_is_plain = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?").fullmatch
_is_number = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,6})?").fullmatch
_leap_second = re.compile(r"(.{16}:)60(.*)").fullmatch


def is_placeholder(folded: str) -> bool:
    """Whether a text stands for nothing known: `null`, `guest`, zeros as `0` or `0000-00`."""
    return folded in PLACEHOLDERS or not folded.strip("0-")


def store_of(claimed: str | None, bound: StoreId | None) -> StoreId:
    """The store an event belongs to; what it claims is ignored where the topic is bound to one."""
    if bound is not None:
        return bound
    if claimed is None:
        return "main"
    if not _is_store(claimed) or claimed in STORES_RESERVED:
        detail = "is no store id: small letters, digits and hyphens, at most 64"
        raise Rejection(Reason.BAD_STORE, detail, "$.store")
    return claimed


def metric_of(claimed: str) -> str:
    """The metric, trimmed."""
    metric = claimed.strip()
    if not metric:
        raise Rejection(Reason.MISSING, "the metric is empty", "$.metric")
    if len(metric) > METRIC_CHARACTERS_MAX:
        detail = f"has {len(metric)} characters, at most {METRIC_CHARACTERS_MAX}"
        raise Rejection(Reason.TOO_LONG, detail, "$.metric")
    if not metric.isprintable():
        raise Rejection(Reason.BAD_METRIC, "holds control or invisible characters", "$.metric")
    return metric


def text_of(claimed: str | int | float, field: str) -> str:
    """A name that some write as a number: `17` and `17.0` are `"17"`."""
    if isinstance(claimed, str):
        return claimed
    if isinstance(claimed, float):
        if not claimed.is_integer() or abs(claimed) >= 1 << 53:
            raise Rejection(Reason.WRONG_TYPE, "is a number with a fraction, not a name", field)
        return str(int(claimed))
    return str(claimed)


def id_of(claimed: str | int | float | None) -> str | None:
    """The event's own id, or None where there is none to rely on."""
    if claimed is None:
        return None
    own = text_of(claimed, "$.id").strip()
    if is_placeholder(own.casefold()):
        return None
    if len(own.encode()) > ID_BYTES_MAX:
        raise Rejection(Reason.TOO_LONG, f"has more than {ID_BYTES_MAX} bytes", "$.id")
    return own


def source_of(claimed: str | None) -> str:
    """Where the store got the event from, trimmed; empty where it does not say."""
    source = (claimed or "").strip()
    if len(source) > SOURCE_CHARACTERS_MAX:
        detail = f"has {len(source)} characters, at most {SOURCE_CHARACTERS_MAX}"
        raise Rejection(Reason.TOO_LONG, detail, "$.source")
    return source


def time_of(claimed: str | int | float | None, received_at: Instant) -> Instant:
    """When it happened, as the store says: may be later than `received_at`, by a year at most.

    A number counts seconds since 1970, or milliseconds where it is too large for that.
    """
    if claimed is None:
        return received_at
    if isinstance(claimed, str):
        claim = _instant_in(claimed)
    elif abs(claimed) < SECONDS_BELOW:
        claim = round(claimed * 1000)
    else:
        claim = round(claimed)
    if claim < EARLIEST:
        raise Rejection(Reason.TIME_TOO_EARLY, "is before 1990", "$.time")
    if claim > received_at + AHEAD_MAX:
        detail = "is more than a year after the event was received"
        raise Rejection(Reason.TIME_TOO_LATE, detail, "$.time")
    return claim


def _instant_in(text: str) -> Instant:
    """RFC 3339 with a zone; a leap second is the second after it."""
    leap = _leap_second(text)
    try:
        if leap is not None:
            return to_instant(f"{leap[1]}59{leap[2]}") + 1000
        return to_instant(text)
    except (ValueError, OverflowError) as error:
        missing = "has no zone" in str(error)
        detail = "has no zone (Z or +01:00)" if missing else "is no RFC 3339 time"
        raise Rejection(Reason.BAD_TIME, detail, "$.time") from error


def value_of(raw: str, *, quoted: bool) -> Micros:
    """An amount, exactly, from its text in JSON.

    A number finer than a millionth is rounded (half to even): that is the trace of binary
    fractions, 0.30000000000000004. Text finer than a millionth is rejected.
    """
    plain = _is_plain(raw)
    if plain is not None:
        sign, whole, part = plain.groups(default="")
        part = part.rstrip("0")
        if len(part) <= 6 and len(whole) <= 19:
            micros = int(whole) * MICROS + int(part.ljust(6, "0"))
            if micros <= MICROS_MAX:
                return -micros if sign else micros
    if not quoted and raw[0] not in "-0123456789":
        raise Rejection(Reason.WRONG_TYPE, "expected a number or decimal text", "$.value")
    if len(raw) > NUMBER_CHARACTERS_MAX:
        detail = f"has more than {NUMBER_CHARACTERS_MAX} characters"
        raise Rejection(Reason.BAD_VALUE, detail, "$.value")
    if not _is_number(raw):
        raise Rejection(Reason.BAD_VALUE, "is no decimal number", "$.value")
    exact = Decimal(raw).normalize(_WIDE)
    if exact.adjusted() > 12:
        raise Rejection(Reason.BAD_VALUE, "is above 9,223,372,036,854", "$.value")
    rounded = exact.quantize(_MILLIONTH, context=_WIDE)
    if quoted and rounded != exact:
        raise Rejection(Reason.BAD_VALUE, "is finer than a millionth", "$.value")
    try:
        return to_micros(rounded)
    except ValueError as error:
        raise Rejection(Reason.BAD_VALUE, str(error), "$.value") from error


def currency_of(claimed: str | None) -> str | None:
    """An ISO 4217 code, upper-cased; whether it is in use is not asked."""
    if claimed is None:
        return None
    if not _is_currency(claimed):
        raise Rejection(Reason.BAD_CURRENCY, "is no ISO 4217 code such as EUR", "$.currency")
    return claimed.upper()
