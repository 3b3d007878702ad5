"""The monthly fee of a plan: once for each account and month, by its reference in the ledger.

An account that was made within a month pays from the next one on; one that is suspended when the
fees are charged does not pay for that month.  A fee may bring the balance below zero.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.money import ledger
from franking.money.models import Plan
from franking.money.statements import months
from franking.money.terms import terms_of
from franking.reasons import Taken


def payers(session: Session, period: date) -> list[int]:
    """The accounts that pay a fee for this month, in their order."""
    plans = [
        plan_id
        for plan_id, terms in session.execute(select(Plan.id, Plan.terms))
        if terms_of(terms).monthly_fee
    ]
    query = select(Account.id).where(
        Account.plan_id.in_(plans),
        Account.status == "active",
        Account.created_at < months.start(period),
    )
    return list(session.scalars(query.order_by(Account.id)))


def charge(session: Session, account_id: int, period: date, now: datetime) -> bool:
    """False when it is charged already, or the plan has no fee any more."""
    account = session.get_one(Account, account_id)
    fee = terms_of(account.plan.terms).monthly_fee
    if not fee:
        return False
    reference, note = f"{account_id}/{period:%Y-%m}", f"Monthly fee {period:%Y-%m}"
    try:
        ledger.charge_fee(session, account_id, fee, reference=reference, note=note, now=now)
    except Taken:
        return False
    return True
