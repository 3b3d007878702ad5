from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.money.deposits import minor_units
from franking.reasons import Invalid


@pytest.mark.parametrize(
    ("micros", "currency", "minor"),
    [
        (12_500_000, "EUR", 1250),
        (10_000, "USD", 1),
        (500_000_000, "JPY", 500),
        (5_000_000, "ISK", 500),
        (5_000_000, "UGX", 500),
        (5_120_000, "KWD", 5120),
        (10_450_000, "HUF", 1045),
    ],
)
def test_as_stripe_documents_it(micros: int, currency: str, minor: int) -> None:
    assert minor_units.to_minor(micros, currency) == minor
    assert minor_units.from_minor(minor, currency) == micros


@pytest.mark.parametrize(
    ("micros", "currency", "unit"),
    [
        (12_505_000, "EUR", r"0\.01 EUR"),
        (1_500_000, "JPY", r"1\.00 JPY"),
        (1_500_000, "ISK", r"1\.00 ISK"),
        (5_124_000, "KWD", r"0\.01 KWD"),
        (1, "EUR", r"0\.01 EUR"),
    ],
)
def test_finer_than_can_be_paid(micros: int, currency: str, unit: str) -> None:
    with pytest.raises(Invalid, match=f"smallest unit is {unit}"):
        minor_units.to_minor(micros, currency)


@pytest.mark.parametrize(
    ("micros", "currency", "text"),
    [(12_500_000, "EUR", "12.50"), (500_000_000, "JPY", "500"), (5_120_000, "KWD", "5.120")],
)
def test_decimals(micros: int, currency: str, text: str) -> None:
    assert minor_units.to_decimal(micros, currency) == text
    assert minor_units.from_decimal(Decimal(text), currency) == micros


def test_what_was_converted_is_rounded_down() -> None:
    assert minor_units.from_decimal(Decimal("9.99999999"), "EUR") == 9_990_000
    assert minor_units.from_decimal(Decimal("1200.9"), "JPY") == 1_200_000_000


@given(st.integers(0, 10**12), st.sampled_from(["EUR", "JPY", "ISK", "KWD"]))
def test_there_and_back(minor: int, currency: str) -> None:
    micros = minor_units.from_minor(minor, currency)
    if micros % minor_units.smallest(currency) == 0:
        assert minor_units.to_minor(micros, currency) == minor


@pytest.mark.parametrize("text", ["NaN", "Infinity", "12,5", "", None, "1e30", [1]])
def test_no_numbers(text: object) -> None:
    with pytest.raises(ValueError, match="is no"):
        minor_units.parse_decimal(text)
