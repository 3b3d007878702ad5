"""What the outcome of an automatic top-up means for the next one."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import Session

from franking.money.billing.models import BillingSettings
from franking.money.deposits.models import Deposit
from franking.notices import notices

STOP_AFTER = 3  # failures in a row; a change of the settings begins anew
PAUSES = (timedelta(0), timedelta(hours=1), timedelta(hours=24))  # after so many failures


def may_try(now: datetime) -> ColumnElement[bool]:
    """Of the accounts whose earlier failures allow another attempt."""
    failures, last = BillingSettings.topup_failures, BillingSettings.topup_last_at
    rested = ((failures == count) & (last <= now - pause) for count, pause in enumerate(PAUSES))
    return (failures < STOP_AFTER) & or_(last.is_(None), *rested)


def succeeded(session: Session, deposit: Deposit) -> None:
    settings = session.get(BillingSettings, deposit.account_id, with_for_update=True)
    if settings is not None:
        settings.topup_failures = 0


def switch_off(session: Session, deposit: Deposit) -> None:
    """A payment was taken back: the card is not charged for that; its owner may set it anew."""
    settings = session.get(BillingSettings, deposit.account_id, with_for_update=True)
    if settings is not None:
        settings.topup_below = settings.topup_amount = None


def failed(session: Session, deposit: Deposit, reason: str | None, now: datetime) -> None:
    settings = session.get(BillingSettings, deposit.account_id, with_for_update=True)
    if settings is None:
        return
    settings.topup_failures += 1
    settings.topup_last_at = now
    detail = {
        "reference": deposit.reference,
        "amount": deposit.amount,
        "reason": reason,
        "failures": settings.topup_failures,
        "switched_off": settings.topup_failures >= STOP_AFTER,
    }
    notices.give(session, deposit.account_id, "topup.failed", detail, now)
