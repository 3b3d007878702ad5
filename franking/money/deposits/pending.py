"""Looks after payments that were begun and of which nothing more is heard.

Webhooks may be lost, or not set up: what is pending is asked about now and then.  What nobody will
pay any more expires; if it is paid all the same, it is credited all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select

from franking import log
from franking.money.deposits import settlement
from franking.money.deposits.deposits import overdue
from franking.money.deposits.models import Deposit
from franking.money.deposits.provider import OnlineProvider, ProviderTrouble
from franking.money.deposits.settlement import Transaction

ASK_AFTER = timedelta(minutes=10)  # webhooks are usually there within seconds
BATCH = 20


def look_after(
    transaction: Transaction, providers: Mapping[str, OnlineProvider], now: datetime
) -> None:
    """Ask about up to `BATCH` of them, and expire what is too old."""
    for deposit in _to_ask(transaction, list(providers), now):
        try:
            settlement.refresh(transaction, providers[deposit.provider], deposit, now)
        except ProviderTrouble as error:
            log.payment_provider_trouble(deposit.provider, error)
    _expire(transaction, now)


def _to_ask(transaction: Transaction, names: list[str], now: datetime) -> Sequence[Deposit]:
    """Each by one worker: who takes it says so in `checked_at`."""
    with transaction() as session:
        rows = session.scalars(
            select(Deposit)
            .where(
                Deposit.state == "pending",
                Deposit.provider.in_(names),
                Deposit.provider_reference.is_not(None),
                func.coalesce(Deposit.checked_at, Deposit.created_at) < now - ASK_AFTER,
            )
            .order_by(func.coalesce(Deposit.checked_at, Deposit.created_at))
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        for row in rows:
            row.checked_at = now
        return rows


def _expire(transaction: Transaction, now: datetime) -> None:
    with transaction() as session:
        rows = session.scalars(
            select(Deposit)
            .where(Deposit.state == "pending", overdue(now))
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        for row in rows:
            settlement.expire(session, row, now)
