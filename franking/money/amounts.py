"""Micro-units to text and back.  No float ever touches an amount."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from franking.reasons import Invalid

MICRO = 1_000_000
LARGEST = 9_000_000_000_000 * MICRO  # fits a BIGINT with room for sums


def format_amount(micros: int, currency: str) -> str:
    """At least two decimals, no trailing zeros beyond them: `12.50 EUR`, `0.0008 EUR`."""
    sign = "-" if micros < 0 else ""
    whole, fraction = divmod(abs(micros), MICRO)
    decimals = f"{fraction:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole:,}.{decimals} {currency}"


def parse_amount(text: str) -> int:
    """`"12.5"` → 12_500_000; raises Invalid for what is no number or too fine."""
    try:
        value = Decimal(text.strip()) * MICRO
    except InvalidOperation as error:
        raise Invalid(f"{text!r} is not an amount such as 12.50") from error
    if not value.is_finite() or value != value.to_integral_value():
        raise Invalid(f"{text!r} has more than six decimals")
    if abs(value) > LARGEST:
        raise Invalid(f"{text!r} is too large")
    return int(value)
