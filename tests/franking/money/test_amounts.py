"""Micro-units to text and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.money.amounts import LARGEST, format_amount, parse_amount
from franking.reasons import Invalid


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00 EUR"),
        (800, "0.0008 EUR"),
        (1, "0.000001 EUR"),
        (12_500_000, "12.50 EUR"),
        (-12_500_000, "-12.50 EUR"),
        (1_234_567_000_000, "1,234,567.00 EUR"),
    ],
)
def test_format(micros: int, text: str) -> None:
    assert format_amount(micros, "EUR") == text


@pytest.mark.parametrize("text", ["", "a", "1.0000001", "NaN", "Infinity", "1e30", "1,5"])
def test_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_amount(text)


@given(st.integers(-LARGEST, LARGEST))
def test_there_and_back(micros: int) -> None:
    assert parse_amount(format_amount(micros, "").replace(",", "")) == micros
