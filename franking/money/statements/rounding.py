"""Amounts of an invoice, rounded to the currency's minor unit.

Digits as ISO 4217 lists them, for currencies that do not have two; what a payment provider can
count is another matter (`franking.money.deposits.minor_units`).
"""

from __future__ import annotations

import math
from fractions import Fraction

from franking.money.amounts import MICRO

_NONE = frozenset({
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND",
    "VUV", "XAF", "XOF", "XPF",
})  # fmt: skip
_THREE = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def digits(currency: str) -> int:
    """Decimals of the smallest amount that can be paid: EUR 2, JPY 0, KWD 3."""
    if currency in _NONE:
        return 0
    return 3 if currency in _THREE else 2


def rounded(micros: int | Fraction, currency: str) -> int:
    """The nearest payable amount in micro-units; a half goes away from zero."""
    exact, unit = Fraction(micros), MICRO // 10 ** digits(currency)
    nearest: int = math.floor(abs(exact) / unit + Fraction(1, 2)) * unit
    return nearest if exact >= 0 else -nearest


def payable(micros: int, currency: str) -> str:
    """A rounded amount with just its decimals: `1,234.50`; no currency."""
    places = digits(currency)
    whole, fraction = divmod(abs(micros), MICRO)
    sign = "-" if micros < 0 else ""
    decimals = f".{fraction:06d}"[: places + 1] if places else ""
    return f"{sign}{whole:,}{decimals}"
