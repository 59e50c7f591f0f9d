"""Money is kept exactly: an integer count of millionths, shown as decimal text, never a float."""

from decimal import ROUND_HALF_EVEN, Decimal

from schemas.values import Micros, Money

MICROS = 1_000_000
MICROS_MAX = (1 << 63) - 1
PLACES = 6
TOO_LARGE = "is above 9,223,372,036,854 (the largest amount kept exactly)"
_MILLIONTH = Decimal("0.000001")


def to_micros(amount: Decimal | int | float) -> Micros:
    """Take an amount as JSON had it.

    A float is a binary fraction, so it is rounded to a millionth (half to even); decimal text has
    to be exact.

    Raises: ValueError where it is not finite, finer than a millionth or above 9.2e12.
    """
    exact = Decimal(repr(amount)) if isinstance(amount, float) else Decimal(amount)
    if not exact.is_finite():
        raise ValueError("is not a finite number")
    if not exact:
        return 0
    if exact.adjusted() > 12:
        raise ValueError(TOO_LARGE)
    if isinstance(amount, float):
        exact = exact.quantize(_MILLIONTH, rounding=ROUND_HALF_EVEN)
    sign, digits, exponent = exact.as_tuple()
    assert isinstance(exponent, int), "a finite number"
    micros, rest = _shifted(int("".join(map(str, digits))), exponent + PLACES)
    if rest:
        raise ValueError("is finer than a millionth")
    if micros > MICROS_MAX:
        raise ValueError(TOO_LARGE)
    return -micros if sign else micros


def _shifted(number: int, places: int) -> tuple[int, int]:
    """`number` times ten to the power of `places`, and what is left over."""
    if places >= 0:
        return number * int(10**places), 0
    if -places > number.bit_length():  # ten to that power is larger by far
        return 0, number
    return divmod(number, int(10**-places))


def to_money(micros: Micros) -> Money:
    """Show as decimal text with at least two places: `39.80`, `0.001`, `-5.00`."""
    sign, size = ("-", -micros) if micros < 0 else ("", micros)
    whole, rest = divmod(size, MICROS)
    return f"{sign}{whole}.{f'{rest:06d}'.rstrip('0').ljust(2, '0')}"
