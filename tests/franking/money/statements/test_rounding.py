"""What can be paid; the sum is rounded once, and net, tax and total fit together."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from franking.money.statements.config import Invoices
from franking.money.statements.document import taxed
from franking.money.statements.rounding import digits, payable, rounded


@pytest.mark.parametrize(
    ("micros", "currency", "result"),
    [
        (12_344_999, "EUR", 12_340_000),
        (12_345_000, "EUR", 12_350_000),
        (-12_345_000, "EUR", -12_350_000),
        (12_500_000, "JPY", 13_000_000),
        (12_344_499, "KWD", 12_344_000),
        (Fraction(15_000, 2), "EUR", 10_000),
        (0, "EUR", 0),
    ],
)
def test_to_the_minor_unit(micros: int | Fraction, currency: str, result: int) -> None:
    assert rounded(micros, currency) == result


@pytest.mark.parametrize(
    ("micros", "currency", "text"),
    [
        (1_234_500_000, "EUR", "1,234.50"),
        (-10_000, "EUR", "-0.01"),
        (1_234_000_000, "JPY", "1,234"),
        (1_500_000, "KWD", "1.500"),
    ],
)
def test_as_it_is_printed(micros: int, currency: str, text: str) -> None:
    assert payable(micros, currency) == text


def test_prices_with_tax() -> None:
    settings = Invoices(tax_percent=Decimal("19"))
    assert taxed(113_752_800, settings, "EUR") == (
        -2_800,
        95_590_000,
        18_160_000,
        113_750_000,
        113_750_000,
    )


def test_prices_without_tax() -> None:
    settings = Invoices(tax_percent=Decimal("19"), prices_include_tax=False)
    assert taxed(113_752_800, settings, "EUR") == (
        -2_800,
        113_750_000,
        21_610_000,
        135_360_000,
        113_750_000,
    )


@given(
    exact=st.integers(-(10**15), 10**15),
    percent=st.decimals(0, 100, places=3),
    currency=st.sampled_from(["EUR", "JPY", "KWD"]),
    included=st.booleans(),
)
def test_it_always_adds_up(exact: int, percent: Decimal, currency: str, *, included: bool) -> None:
    settings = Invoices(tax_percent=percent, prices_include_tax=included)
    made = taxed(exact, settings, currency)
    unit = 10 ** (6 - digits(currency))
    assert made.net + made.tax == made.total
    assert exact + made.rounding == made.paid
    assert abs(made.rounding) * 2 <= unit
    assert all(amount % unit == 0 for amount in made[1:])
    base = made.total - made.tax
    assert abs(Fraction(base) * Fraction(percent) / 100 - made.tax) <= unit


@pytest.mark.parametrize(
    "text", ["FR-{year}", "{number", "{nummer}", "{number:q}", "{number:50d}", "{}"]
)
def test_formats_that_number_nothing(text: str) -> None:
    with pytest.raises(ValidationError, match="number_format"):
        Invoices(number_format=text)
