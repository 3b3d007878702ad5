"""What an invoice says, as it is kept: everything that is printed, and nothing is looked up later.

sum of the lines, in micro-units, exact
+ rounding to the currency's minor unit, once
= net (prices exclude tax) or total (prices include it); tax is rounded, the third follows
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from franking.money.billing.models import BillingSettings
from franking.money.statements.config import Invoices
from franking.money.statements.rounding import rounded
from franking.money.statements.statement import Charge, Statement


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Party(_Frozen):
    """`address` has several lines."""

    name: str
    address: str
    tax_id: str


class Line(_Frozen):
    """`amount` in micro-units, negative when given back; a fee has no quantity."""

    description: str
    quantity: int | None
    unit_price: int | None
    amount: int


class Document(_Frozen):
    """Amounts in micro-units; `net`, `tax`, `total`, `paid` and `due` are payable ones.

    `paid`: what was taken from the prepaid balance.  A negative sum makes a credit note.
    """

    version: int = 1
    number: str
    issued_on: date
    period: date
    last_day: date
    account: str
    currency: str
    issuer: Party
    customer: Party
    lines: tuple[Line, ...]
    sum: int
    rounding: int
    net: int
    tax_label: str
    tax_percent: Decimal
    tax: int
    total: int
    prices_include_tax: bool
    paid: int
    due: int
    note: str
    footer: str

    @property
    def title(self) -> str:
        return "Credit note" if self.sum < 0 else "Invoice"


class Taxed(NamedTuple):
    rounding: int
    net: int
    tax: int
    total: int
    paid: int


def taxed(exact: int, settings: Invoices, currency: str) -> Taxed:
    """From the exact sum of the lines to payable amounts."""
    percent = Fraction(settings.tax_percent)
    base = rounded(exact, currency)
    if settings.prices_include_tax:
        tax = rounded(base * percent / (100 + percent), currency)
        return Taxed(base - exact, base - tax, tax, base, base)
    tax = rounded(base * percent / 100, currency)
    return Taxed(base - exact, base, tax, base + tax, base)


def compose(
    report: Statement,
    settings: Invoices,
    buyer: BillingSettings,
    *,
    number: str,
    issued_on: date,
    units: str,
) -> Document:
    """`units` is what prices are for: messages or recipients."""
    lines = tuple(_lines(report, units))
    exact = sum(line.amount for line in lines)
    amounts = taxed(exact, settings, report.currency)
    issuer = Party(
        name=_text(settings.issuer_name),
        address=_text(settings.issuer_address),
        tax_id=_text(settings.issuer_tax_id),
    )
    customer = Party(
        name=_text(buyer.invoice_name or report.account),
        address=_text(buyer.invoice_address or ""),
        tax_id=_text(buyer.tax_id or ""),
    )
    return Document(
        number=number,
        issued_on=issued_on,
        period=report.period,
        last_day=report.last,
        account=report.account,
        currency=report.currency,
        issuer=issuer,
        customer=customer,
        lines=lines,
        sum=exact,
        rounding=amounts.rounding,
        net=amounts.net,
        tax_label=settings.tax_label,
        tax_percent=settings.tax_percent,
        tax=amounts.tax,
        total=amounts.total,
        prices_include_tax=settings.prices_include_tax,
        paid=amounts.paid,
        due=amounts.total - amounts.paid,
        note=_text(settings.note),
        footer=_text(settings.footer),
    )


def _lines(report: Statement, units: str) -> Iterable[Line]:
    """What was charged and given back; deposits are payments, adjustments correct the balance."""
    tiers = {price.tier for price in report.prices if price.tier and price.units}
    for price in report.prices:
        if price.units:
            yield Line(
                description=_described(price, units, several=len(tiers) > 1),
                quantity=price.units,
                unit_price=price.unit_price,
                amount=price.amount,
            )
    for movement in report.movements:
        if movement.cause == "fee":
            text = _text(movement.note or "Monthly fee")
            yield Line(description=text, quantity=None, unit_price=None, amount=-movement.amount)
    if report.refunds:
        text = "Refunds for messages that could not be delivered"
        yield Line(description=text, quantity=None, unit_price=None, amount=-report.refunds)


def _described(price: Charge, units: str, *, several: bool) -> str:
    if price.tier == 0:
        return f"{units.capitalize()} included in the plan"
    return f"{units.capitalize()}, tier {price.tier}" if several else units.capitalize()


def _text(text: str) -> str:
    """Lines without control characters, without white space at their ends."""
    lines = "".join(c if c.isprintable() else "\n" if c == "\n" else " " for c in text)
    return "\n".join(line.strip() for line in lines.strip().split("\n"))
