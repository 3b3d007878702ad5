"""Micro-units to what payment providers count in, and back: the only place that converts.

Stripe counts in a currency's minor unit, as a whole number.  Most currencies have two decimals;
the exceptions are https://docs.stripe.com/currencies (zero-decimal, three-decimal, special cases):
ISK and UGX are sent with two decimals that must be 00, three-decimal ones with a last digit of 0.
UGX is in the page's list of zero-decimal currencies as well; the special case holds.
What a provider cannot count is refused, never rounded, when money is asked for; of a payment that
was converted from another currency, the part below the smallest unit is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal, InvalidOperation

from franking.money.amounts import MICRO, format_amount
from franking.reasons import Invalid

NO_DECIMALS = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905
)
WHOLE_BUT_SENT_WITH_TWO = frozenset(("ISK", "UGX"))
THREE_DECIMALS = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))


@dataclass(frozen=True)
class _Counting:
    decimals: int  # of the number that is sent
    step: int  # the number must be a multiple of this

    @property
    def micros(self) -> int:
        """Micro-units of 1 in the number that is sent."""
        return MICRO // int(10**self.decimals)


def _counting(currency: str) -> _Counting:
    if currency in NO_DECIMALS:
        return _Counting(0, 1)
    if currency in WHOLE_BUT_SENT_WITH_TWO:
        return _Counting(2, 100)
    if currency in THREE_DECIMALS:
        return _Counting(3, 10)
    return _Counting(2, 1)


def smallest(currency: str) -> int:
    """Micro-units of the smallest amount that can be paid; every payment is a multiple of it."""
    counting = _counting(currency)
    return counting.step * counting.micros


def to_minor(micros: int, currency: str) -> int:
    """12_500_000 EUR → 1250, 500_000_000 JPY → 500; raises Invalid for what is finer."""
    if micros % smallest(currency):
        raise Invalid.of(
            "amount",
            f"cannot be paid: the smallest unit is {format_amount(smallest(currency), currency)}",
        )
    return micros // _counting(currency).micros


def from_minor(minor: int, currency: str) -> int:
    """1250 EUR → 12_500_000."""
    return minor * _counting(currency).micros


def to_decimal(micros: int, currency: str) -> str:
    """12_500_000 EUR → "12.50", for a provider that takes decimals; raises Invalid as above."""
    decimals = _counting(currency).decimals
    return f"{Decimal(to_minor(micros, currency)).scaleb(-decimals):.{decimals}f}"


def from_decimal(value: Decimal, currency: str) -> int:
    """12.509999 EUR → 12_500_000: down to what can be paid."""
    unit = smallest(currency)
    return int((value * MICRO / unit).to_integral_value(ROUND_FLOOR)) * unit


def parse_decimal(text: object) -> Decimal:
    """A provider's number, never through a float; raises ValueError."""
    try:
        value = Decimal(str(text))
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no number") from error
    if not value.is_finite() or abs(value) > 10**12:
        raise ValueError(f"{text!r} is no amount")
    return value
