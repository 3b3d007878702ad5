"""Reads and changes what an account has chosen about its money."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.money.amounts import LARGEST
from franking.money.billing.models import BillingSettings
from franking.reasons import Invalid

AMOUNTS = ("daily_cap", "low_balance_at", "topup_below", "topup_amount")
TEXTS = {"invoice_name": 200, "invoice_address": 1000, "tax_id": 64}  # characters


def preferences(session: Session, account_id: int) -> BillingSettings:
    """The account's settings; the defaults, which are not stored, when it has chosen none."""
    found = session.get(BillingSettings, account_id)
    return found or BillingSettings(account_id=account_id, alerts_by_mail=True, topup_failures=0)


def change(session: Session, account: Account, **values: Any) -> BillingSettings:
    """Set some of them; amounts in micro-units, None switches off.  Raises Invalid.

    A changed top-up forgets earlier failures.
    """
    for name in AMOUNTS:
        amount = values.get(name)
        if amount is not None and not 0 <= amount <= LARGEST:
            raise Invalid.of(name, "must be zero or more, and not that much")
    for name, most in TEXTS.items():
        if len(values.get(name) or "") > most:
            raise Invalid.of(name, f"at most {most} characters")
    found = session.get(BillingSettings, account.id, with_for_update=True)
    if found is None:
        found = BillingSettings(account_id=account.id, alerts_by_mail=True, topup_failures=0)
        session.add(found)
    for name, value in values.items():
        setattr(found, name, value)
    if found.topup_below is not None and not found.topup_amount:
        raise Invalid.of("topup_amount", "say how much is to be charged")
    if {"topup_below", "topup_amount"} & set(values):
        found.topup_failures = 0
    session.flush()
    return found
