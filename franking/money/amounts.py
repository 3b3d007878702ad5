"""Micro-units to text and back.  No float ever touches an amount."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

from franking.reasons import Invalid

MICRO = 1_000_000
LARGEST = 9_000_000_000_000 * MICRO  # fits a BIGINT with room for sums


def format_amount(micros: int, currency: str, places: int = 2) -> str:
    """At least `places` decimals, no trailing zeros beyond them: `12.50 EUR`, `0.0008 EUR`."""
    sign, whole, decimals = _split(micros)
    return f"{sign}{whole:,}.{decimals.ljust(places, '0')} {currency}"


def places(amounts: Iterable[int | None]) -> int:
    """The decimals that all of these can be shown with, to stand below each other; at least 2."""
    return max((len(_split(amount)[2]) for amount in amounts if amount is not None), default=2)


def plain_amount(micros: int) -> str:
    """The same for programs: `-1234.50`."""
    sign, whole, decimals = _split(micros)
    return f"{sign}{whole}.{decimals}"


def _split(micros: int) -> tuple[str, int, str]:
    whole, fraction = divmod(abs(micros), MICRO)
    return "-" if micros < 0 else "", whole, f"{fraction:06d}".rstrip("0").ljust(2, "0")


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
