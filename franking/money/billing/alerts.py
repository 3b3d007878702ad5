"""Tells accounts when their money runs low, when it is used up, and when mail flows again.

    balance.low        available is below what the account has chosen, or, where it has chosen
                       nothing, when less than 2 days' use is left, overdraft included
                       (`.forecast`); over again 10 % above that
    balance.exhausted  the next message cannot be paid, overdraft and grace included; over again,
                       with `balance.restored`, when 10 messages can be

Each is given once until it is over: the distance keeps an account that lives from hand to mouth,
or gets a refund now and then, from being told all day.  What runs straight to nothing is told
that alone.  Accounts that never had money or mail are told nothing, nor are suspended ones.

One query over all accounts finds who may have something to be told, and only the worker asks it,
never the way of a message.  The state is in `BillingSettings`; it is changed where it still is as
before (`WHERE … IS NULL`), so several workers tell once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError, TimeoutError
from sqlalchemy.orm import Session

from franking import log
from franking.accounts.models import Account
from franking.db import Database
from franking.money.billing.forecast import DAYS, WARN_DAYS, days_of, forecast, rate
from franking.money.billing.models import BillingSettings
from franking.money.models import Balance, LedgerEntry, Plan, PriceList
from franking.money.periods import month_of
from franking.money.pricing import Tariff, tariff
from franking.money.statements.models import UsageDay
from franking.money.terms import Terms, terms_of
from franking.notices import notices

RESTORED = 10  # messages that can be paid when it is over
RELIEF = 1.1  # of the amount below which the balance is low

_INTRODUCE: dict[str, Any] = {
    "sqlite": sqlite.insert(BillingSettings).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(BillingSettings).on_conflict_do_nothing(),
}


@dataclass(frozen=True)
class Prices:
    """Of one plan, at this moment."""

    terms: Terms
    tariff: Tariff


@dataclass(frozen=True)
class Standing:
    """How one account is doing; amounts in micro-units."""

    account_id: int
    plan_id: int
    created_at: datetime
    available: int
    volume: int
    period: date | None
    low_balance_at: int | None
    low_since: datetime | None
    empty_since: datetime | None
    used_before: int
    used_today: int

    def threshold(self, today: date) -> int:
        if self.low_balance_at is not None:
            return self.low_balance_at
        days = days_of(self.created_at.date(), today)
        return int(WARN_DAYS * rate(self.used_before, self.used_today, days))

    def pays_for(self, units: int, prices: Prices, now: datetime) -> bool:
        volume = month_of(now).so_far(self.volume, self.period)
        floor = prices.terms.floor(prices.tariff.next_price(volume))
        return self.available + floor >= prices.tariff.quote(units, volume).amount


@dataclass(frozen=True)
class Change:
    """What is to be written, and told; `low` and `empty` are None where nothing changes."""

    low: bool | None = None
    empty: bool | None = None
    kind: str | None = None


def decide(standing: Standing, prices: Prices, now: datetime) -> Change:
    """What has changed since this account was told the last time."""
    below = standing.threshold(now.date())
    left = standing.available
    if standing.low_balance_at is None:
        left += prices.terms.overdraft
    low: bool | None = None
    if standing.low_since is None:
        low = True if left < below else None
    elif left >= below * RELIEF:
        low = False
    if standing.empty_since is None and not standing.pays_for(1, prices, now):
        return Change(
            low=True if standing.low_since is None else None, empty=True, kind="balance.exhausted"
        )
    if standing.empty_since is not None:
        if standing.pays_for(RESTORED, prices, now):
            return Change(low=low, empty=False, kind="balance.restored")
        return Change()
    return Change(low=low, kind="balance.low" if low else None)


def look(database: Database, now: datetime) -> int:
    """Tell whom there is something to tell; returns how many were told."""
    with database.session() as session:
        prices = current_prices(session, now)
        found = [
            standing.account_id
            for standing in standings(session, prices, now)
            if _changes(standing, prices, now)
        ]
    told = 0
    for account_id in found:
        try:
            with database.transaction() as session:
                told += _tell(session, account_id, prices, now)
        except (OperationalError, TimeoutError):
            raise  # of the database: the others would not fare better
        except Exception as error:
            log.unexpected(f"alerts of account {account_id}", error)
    return told


def _changes(standing: Standing, prices: dict[int, Prices], now: datetime) -> bool:
    plan = prices.get(standing.plan_id)
    return plan is not None and decide(standing, plan, now) != Change()


def _tell(session: Session, account_id: int, prices: dict[int, Prices], now: datetime) -> bool:
    """Decided again, from what is true now; whether it was we who told."""
    standing = next(standings(session, prices, now, account_id), None)
    if standing is None:
        return False
    change = decide(standing, prices[standing.plan_id], now)
    if change == Change() or not _written(session, account_id, change, now):
        return False
    if change.kind is None:
        return False
    account = session.get_one(Account, account_id)
    left = forecast(session, account, now)
    detail = {
        "available": standing.available, "below": standing.threshold(now.date()),
        "messages_left": left.messages_left,
        "days_left": None if left.days_left is None else round(left.days_left, 1),
    }  # fmt: skip
    notices.give(session, account_id, change.kind, detail, now)
    return True


def _written(session: Session, account_id: int, change: Change, now: datetime) -> bool:
    """False when another worker has written the same meanwhile."""
    connection = session.connection()
    connection.execute(
        _INTRODUCE[connection.dialect.name],
        {"account_id": account_id, "alerts_by_mail": True, "topup_failures": 0},
    )
    values: dict[str, datetime | None] = {}
    still: list[ColumnElement[bool]] = []
    for column, wanted in (
        (BillingSettings.low_since, change.low), (BillingSettings.empty_since, change.empty)
    ):  # fmt: skip
        if wanted is not None:
            values[column.key] = now if wanted else None
            still.append(column.is_(None) if wanted else column.is_not(None))
    mine = update(BillingSettings).where(BillingSettings.account_id == account_id, *still)
    return bool(connection.execute(mine.values(values)).rowcount)


def current_prices(session: Session, now: datetime) -> dict[int, Prices]:
    """Of every plan that has prices, by its number."""
    latest = (
        select(PriceList.plan_id, func.max(PriceList.starts_at).label("starts_at"))
        .where(PriceList.starts_at <= now)
        .group_by(PriceList.plan_id)
        .subquery()
    )
    same = and_(PriceList.plan_id == latest.c.plan_id, PriceList.starts_at == latest.c.starts_at)
    query = select(Plan.id, Plan.terms, PriceList.id, PriceList.tiers)
    rows = session.execute(query.join(PriceList, PriceList.plan_id == Plan.id).join(latest, same))
    return {
        plan_id: Prices(terms_of(terms), tariff(list_id, tiers, terms_of(terms).included))
        for plan_id, terms, list_id, tiers in rows
    }


def standings(
    session: Session, prices: dict[int, Prices], now: datetime, account_id: int | None = None
) -> Iterator[Standing]:
    """Of the accounts that may have something to be told; of one, if it may."""
    dearest = max((t.unit_price for p in prices.values() for t in p.tariff.tiers), default=0)
    before, today = _used(now.date(), so_far=False), _used(now.date(), so_far=True)
    near = or_(
        BillingSettings.low_since.is_not(None),
        BillingSettings.empty_since.is_not(None),
        Balance.available < dearest,
        Balance.available < func.coalesce(
            BillingSettings.low_balance_at, WARN_DAYS * (before + today)
        ),
    )  # fmt: skip
    begun = or_(
        Balance.period.is_not(None),
        select(LedgerEntry.id).where(LedgerEntry.account_id == Account.id).exists(),
    )
    query = (
        select(
            Account.id, Account.plan_id, Account.created_at,
            Balance.available, Balance.volume, Balance.period,
            BillingSettings.low_balance_at, BillingSettings.low_since, BillingSettings.empty_since,
            before, today,
        )
        .join(Balance, Balance.account_id == Account.id)
        .outerjoin(BillingSettings, BillingSettings.account_id == Account.id)
        .where(Account.status == "active", near, begun)
    )  # fmt: skip
    if account_id is not None:
        query = query.where(Account.id == account_id)
    for row in session.execute(query):
        *rest, used_before, used_today = row
        # PostgreSQL sums to Decimal.
        yield Standing(*[*rest, int(used_before), int(used_today)])


def _used(today: date, *, so_far: bool) -> Any:
    """What this account's messages of today, or of the days before, have cost."""
    first, last = (today, today) if so_far else (today - timedelta(DAYS), today - timedelta(1))
    query = select(func.coalesce(func.sum(UsageDay.amount), 0)).where(
        UsageDay.account_id == Account.id,
        UsageDay.dimension == "account",
        UsageDay.day.between(first, last),
    )
    return query.correlate(Account).scalar_subquery()
