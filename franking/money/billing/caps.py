"""Tells an account once a day that a cap on the day's spending is reached: its own, or a
credential's.

Reached means that not even one more unit fits.  (Caps are kept where the money is reserved:
`franking.mail.authority`, `franking.accounts.spending`; here is only the telling.)  The day on
which it was told is written where it still is another one, so several workers tell once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from franking.accounts.models import Account, Credential
from franking.accounts.rules import effective
from franking.db import Database
from franking.money.billing.alerts import Prices, current_prices
from franking.money.billing.models import BillingSettings
from franking.money.models import Balance, Plan
from franking.money.pricing import period_of
from franking.notices import notices


@dataclass(frozen=True)
class Reached:
    """A cap in micro-units; `credential` is a user name, None for the account's own."""

    account_id: int
    cap: int
    credential: str | None = None


def look(database: Database, now: datetime) -> int:
    """Tell whom there is something to tell; returns how many were told."""
    with database.session() as session:
        prices = current_prices(session, now)
        found = [*_accounts(session, prices, now), *_credentials(session, prices, now)]
    told = 0
    for reached in found:
        with database.transaction() as session:
            told += _tell(session, reached, now)
    return told


def _tell(session: Session, reached: Reached, now: datetime) -> bool:
    """False when another worker has told it meanwhile."""
    today = now.date()
    if reached.credential is None:
        mine = update(BillingSettings).where(BillingSettings.account_id == reached.account_id)
        mine = mine.where(_not_told(BillingSettings.cap_told_on, today))
    else:
        mine = update(Credential).where(Credential.username == reached.credential)
        mine = mine.where(_not_told(Credential.cap_told_on, today))
    if not session.connection().execute(mine.values(cap_told_on=today)).rowcount:
        return False
    detail: dict[str, Any] = {"cap": reached.cap, "day": today.isoformat()}
    if reached.credential is not None:
        detail["credential"] = reached.credential
    notices.give(session, reached.account_id, "cap.reached", detail, now)
    return True


def _accounts(session: Session, prices: Mapping[int, Prices], now: datetime) -> Iterator[Reached]:
    query = (
        select(
            Account.id, Account.plan_id, Balance.volume, Balance.period, Balance.spent,
            BillingSettings.daily_cap,
        )
        .join(BillingSettings, BillingSettings.account_id == Account.id)
        .join(Balance, Balance.account_id == Account.id)
        .where(
            BillingSettings.daily_cap.is_not(None),
            Balance.spent_on == now.date(),
            _not_told(BillingSettings.cap_told_on, now.date()),
        )
    )  # fmt: skip
    for account_id, plan_id, volume, period, spent, cap in session.execute(query):
        if cap is not None and spent + _next_price(prices, plan_id, volume, period, now) > cap:
            yield Reached(account_id, cap)


def _credentials(
    session: Session, prices: Mapping[int, Prices], now: datetime
) -> Iterator[Reached]:
    query = (
        select(
            Account.id, Plan.id, Balance.volume, Balance.period, Credential.spent,
            Credential.username, Plan.rules, Credential.rules,
        )
        .join(Account, Account.id == Credential.account_id)
        .join(Plan, Plan.id == Account.plan_id)
        .join(Balance, Balance.account_id == Account.id)
        .where(
            Credential.spent_on == now.date(),
            Credential.revoked_at.is_(None),
            _not_told(Credential.cap_told_on, now.date()),
        )
    )  # fmt: skip
    for account_id, plan_id, volume, period, spent, username, of_plan, own in session.execute(
        query
    ):
        cap = effective(of_plan, own).daily_spend
        if cap is not None and spent + _next_price(prices, plan_id, volume, period, now) > cap:
            yield Reached(account_id, cap, username)


def _next_price(
    prices: Mapping[int, Prices], plan_id: int, volume: int, period: date | None, now: datetime
) -> int:
    plan = prices.get(plan_id)
    if plan is None:
        return 0
    return plan.tariff.next_price(volume if period == period_of(now) else 0)


def _not_told(column: Any, today: date) -> ColumnElement[bool]:
    return or_(column.is_(None), column < today)
