"""How long an account's money lasts, from what it used lately.

The rate of use is the mean of the last 7 whole days (UTC; of as many as a younger account has), or
what today has cost so far when that is more: who begins a campaign today wants to know today.
Only captured messages count (`franking.money.statements`).  What is left is priced with the plan's
tiers from this month's volume on; that another month begins meanwhile is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.money.billing.preferences import preferences
from franking.money.models import Balance
from franking.money.periods import month_of
from franking.money.pricing import Tariff, tariff_at
from franking.money.statements.models import UsageDay
from franking.money.terms import terms_of
from franking.reasons import NotFound

DAYS = 7
WARN_DAYS = 2  # balance.low comes when less than this lasts, where no amount was chosen
NO_END = 10**12  # units


@dataclass(frozen=True)
class Use:
    """What an account uses in a day: messages, units, micro-units of money."""

    messages: float = 0.0
    recipients: float = 0.0
    amount: float = 0.0


@dataclass(frozen=True)
class Forecast:
    """`messages_left` and `days_left` are None where there is no end, `days_left` also without
    use; `per_day` is messages, `spendable` micro-units with the overdraft."""

    messages_left: int | None
    days_left: float | None
    per_day: float
    spendable: int


def forecast(session: Session, account: Account, now: datetime) -> Forecast:
    """For the panel and the mails; reads at most nine rows."""
    use = use_of(session, account, now)
    balance = session.get_one(Balance, account.id)
    terms = terms_of(account.plan.terms)
    spendable = max(0, balance.available + terms.overdraft)
    units = _units_left(session, account, balance, spendable, now)
    if units is None:
        return Forecast(None, None, use.messages, spendable)
    each = 1.0
    if terms.billing_unit == "recipient" and use.messages:
        each = max(1.0, use.recipients / use.messages)
    messages = int(units / each)
    days = messages / use.messages if use.messages else None
    return Forecast(messages, days, use.messages, spendable)


def threshold(session: Session, account: Account, now: datetime) -> int:
    """Below how many micro-units `balance.low` is given; 0 is never."""
    chosen = preferences(session, account.id).low_balance_at
    return default_threshold(use_of(session, account, now)) if chosen is None else chosen


def default_threshold(use: Use) -> int:
    return int(use.amount * WARN_DAYS)


def use_of(session: Session, account: Account, now: datetime) -> Use:
    today = now.date()
    is_today = UsageDay.day == today
    columns = (UsageDay.messages, UsageDay.recipients, UsageDay.amount)
    sums = [
        func.coalesce(func.sum(case((condition, column), else_=0)), 0)
        for condition in (~is_today, is_today)
        for column in columns
    ]
    row = session.execute(
        select(*sums).where(
            UsageDay.account_id == account.id,
            UsageDay.dimension == "account",
            UsageDay.day.between(today - timedelta(DAYS), today),
        )
    ).one()
    before, so_far = [int(n) for n in row[:3]], [int(n) for n in row[3:]]
    days = days_of(account.created_at.date(), today)
    return Use(*(rate(b, t, days) for b, t in zip(before, so_far, strict=True)))


def days_of(created: date, today: date) -> int:
    """How many of the last whole days the account was there; at least one."""
    return max(1, min(DAYS, (today - created).days))


def rate(before: int, today: int, days: int) -> float:
    """Per day."""
    return float(max(before / days, today))


def _units_left(
    session: Session, account: Account, balance: Balance, money: int, now: datetime
) -> int | None:
    try:
        tariff = tariff_at(session, account.plan, now)
    except NotFound:
        return 0
    volume = month_of(now).so_far(balance.volume, balance.period)
    return affordable(tariff, volume, money)


def affordable(tariff: Tariff, volume: int, money: int) -> int | None:
    """The most units that this much pays for, after so many of the month; None without end."""
    low, high = 0, 1
    while tariff.quote(high, volume).amount <= money:
        low, high = high, high * 2
        if low > NO_END:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (middle, high) if tariff.quote(middle, volume).amount <= money else (low, middle)
        )
    return low
