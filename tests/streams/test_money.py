"""Money: exact to the millionth, whatever the number of digits it was written with."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.money import MICROS_MAX, to_micros, to_money


@pytest.mark.parametrize(
    ("amount", "micros"),
    [
        (Decimal("39.80"), 39_800_000),
        (Decimal("-0.001"), -1_000),
        (Decimal("1E+3"), 1_000_000_000),
        (Decimal("1.000000000000000000000000000000000000"), 1_000_000),
        (0.1 + 0.2, 300_000),
        (12, 12_000_000),
        (Decimal("0E-999999"), 0),
    ],
)
def test_amounts_are_kept_exactly(amount: Decimal | float, micros: int) -> None:
    assert to_micros(amount) == micros


@pytest.mark.parametrize(
    "amount",
    [
        Decimal("0.0000001"),
        Decimal("1.00000000000000000000000000000001"),
        Decimal("1E-999999"),
        Decimal(9223372036855),
        Decimal("1E+400"),
        Decimal("NaN"),
        float("inf"),
    ],
)
def test_what_cannot_be_kept_exactly_is_refused(amount: Decimal | float) -> None:
    with pytest.raises(ValueError, match=r"^is "):
        to_micros(amount)


@given(st.integers(-MICROS_MAX, MICROS_MAX))
def test_what_is_shown_reads_back(micros: int) -> None:
    assert to_micros(Decimal(to_money(micros))) == micros


@given(st.floats(-1e9, 1e9))
def test_a_float_is_rounded_to_the_nearest_millionth(amount: float) -> None:
    assert abs(Decimal(to_micros(amount)) - Decimal(amount) * 1_000_000) <= Decimal("0.6")
