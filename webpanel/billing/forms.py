"""The forms of Billing.  Amounts are micro-units; the rules decide what is too much."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from flask import request
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than the stubs
from wtforms.validators import InputRequired, Length, Optional

from franking.money.deposits.provider import Provider
from franking.money.ledger_pages import Wanted
from webpanel.billing import words
from webpanel.forms import Amount, Form, not_negative, readable

_AMOUNT = [Optional(), readable, not_negative]
_LAST_YEAR = 9000  # of a day that can be counted with


class LedgerForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A GET form, so that a filtered list has an address.  Days are UTC days, both included.

    What cannot be used is said and not applied.
    """

    class Meta:
        csrf = False  # it only reads, and its token would end up in shared links

    cause = SelectField(
        "Kind",
        default="",
        choices=[SelectChoice("", "All"), *(SelectChoice(*c) for c in words.CAUSES.items())],
    )
    since = DateField("From day", validators=[Optional()])
    until = DateField("To day", validators=[Optional()])

    def wanted(self) -> Wanted:
        self.validate()
        since, until = (
            None
            if field.errors or field.data is None or field.data.year > _LAST_YEAR
            else field.data
            for field in (self.since, self.until)
        )
        chosen = self.cause.data if not self.cause.errors else ""
        return Wanted((chosen,) if chosen else (), since, until)

    def said(self) -> dict[str, str]:
        """For links that keep the filter."""
        return {f.name: value for f in self if (value := request.args.get(f.name))}


def _day(field: DateField) -> date | None:
    if field.errors or field.data is None or field.data.year > _LAST_YEAR:
        return None
    return field.data


class DepositForm(Form):
    """`offer` says which providers there are."""

    amount = Amount("Amount", validators=[InputRequired("Write an amount."), readable])
    provider = RadioField("Pay by", choices=[])
    save_card = BooleanField("Save the card for automatic top-up")

    def offer(self, providers: Iterable[Provider]) -> None:
        known = list(providers)
        self.provider.choices = [SelectChoice(each.name, each.title) for each in known]
        if self.provider.data in (None, "None") and known and not self.is_submitted():
            self.provider.data = known[0].name


class AlertForm(Form):
    low_balance_at = Amount(
        "Tell me when less than this is available",
        description="Empty: when it lasts for less than two days.",
        validators=_AMOUNT,
    )
    alerts_by_mail = BooleanField("Send notices by mail, too")


class CapForm(Form):
    daily_cap = Amount(
        "Most that all messages of a day may cost",
        description="Days are UTC. Mail beyond it is refused until the next day begins. Empty: no"
        " cap. Each credential can have a cap of its own, on its page.",
        validators=_AMOUNT,
    )


class TopupForm(Form):
    """Both or neither."""

    topup_below = Amount("When less than this is available", validators=_AMOUNT)
    topup_amount = Amount("Charge this to the card", validators=_AMOUNT)


class InvoiceForm(Form):
    invoice_name = StringField("Name or company", validators=[Optional(), Length(max=200)])
    invoice_address = TextAreaField(
        "Address",
        description="As it is to stand on your invoices, in lines.",
        validators=[Optional(), Length(max=1000)],
    )
    tax_id = StringField(
        "Tax ID",
        description="VAT number or the like, if you have one.",
        validators=[Optional(), Length(max=64)],
    )


def text_or_none(value: Any) -> str | None:
    """What was typed, without what surrounds it; lines end with a line feed alone."""
    return str(value or "").replace("\r\n", "\n").strip() or None
