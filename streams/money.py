"""Money is kept exactly: an integer count of millionths, shown as decimal text, never a float."""

from decimal import ROUND_HALF_EVEN, Decimal

from schemas.values import Micros, Money

MICROS = 1_000_000
MICROS_MAX = (1 << 63) - 1


def to_micros(amount: Decimal | int | float) -> Micros:
    """Take an amount as JSON had it; a float stands for its shortest decimal text.

    Raises: ValueError where it is not finite, finer than a millionth or above 9.2e12.
    """
    exact = Decimal(repr(amount)) if isinstance(amount, float) else Decimal(amount)
    if not exact.is_finite():
        raise ValueError("is not a finite number")
    if exact and exact.adjusted() > 12:
        raise ValueError("is above 9,223,372,036,854 (the largest amount kept exactly)")
    micros = (exact * MICROS).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    if micros != exact * MICROS:
        raise ValueError("is finer than a millionth")
    if abs(micros) > MICROS_MAX:
        raise ValueError("is above 9,223,372,036,854 (the largest amount kept exactly)")
    return int(micros)


def to_money(micros: Micros) -> Money:
    """Show as decimal text with at least two places: `39.80`, `0.001`, `-5.00`."""
    sign, size = ("-", -micros) if micros < 0 else ("", micros)
    whole, rest = divmod(size, MICROS)
    return f"{sign}{whole}.{f'{rest:06d}'.rstrip('0').ljust(2, '0')}"
