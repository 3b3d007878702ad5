"""An account's month, as a bank would tell it: what was there, came, went, and is there now.

The balance of a statement is what is available together with what is held for mail in progress: a
message lowers it when it is captured, not before.  Movements that no message makes are listed from
the ledger, the messages' from its daily totals (`charge_day`): so that the time it takes does not
grow with the mail.  `difference` compares both with the running balance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import and_, func, select, text
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.money.models import BY_HAND, Balance, LedgerEntry
from franking.money.pricing import period_of
from franking.money.statements import months as calendar
from franking.money.statements.models import ChargeDay
from franking.reasons import NotFound

CAUSES = {
    "deposit": "deposits",
    "reversal": "reversals",
    "fee": "fees",
    "adjustment": "adjustments",
}


@dataclass(frozen=True)
class Movement:
    """`amount` is what it adds to the balance, negative when it takes."""

    at: datetime
    cause: str
    reference: str
    note: str | None
    amount: int


@dataclass(frozen=True)
class Charge:
    """What was captured (`amount`) and given back (`refunded`) at one price of a unit.

    Tier 0 is included in the plan.  `day` is None for a whole month.
    """

    day: date | None
    tier: int
    unit_price: int
    messages: int
    units: int
    amount: int
    refunded: int


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What each kind added to the balance: opening and all six make the closing one."""

    opening: int
    deposits: int
    reversals: int
    charges: int
    refunds: int
    fees: int
    adjustments: int

    @property
    def closing(self) -> int:
        return (
            self.opening + self.deposits + self.reversals + self.charges
            + self.refunds + self.fees + self.adjustments
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Month(Totals):
    period: date


@dataclass(frozen=True, kw_only=True)
class Statement(Month):
    """`over`: the month is over.  `held` is None then; else it is a part of the closing balance.

    `difference` is not 0 when the daily totals and the books disagree, which is a bug.
    """

    account: str
    currency: str
    last: date
    over: bool
    held: int | None
    difference: int
    movements: tuple[Movement, ...]
    usage: tuple[Charge, ...]
    prices: tuple[Charge, ...]


def statement(session: Session, account: Account, period: date, now: datetime) -> Statement:
    """Of the month that begins on `period`; NotFound before the account's first, and after `now`.

    Right after a month's end a few messages that belong to it may still be on their way here.
    """
    period = period.replace(day=1)
    if not _first_month(session, account) <= period <= period_of(now):
        raise NotFound(f"account {account.name!r} has no statement of {period:%Y-%m}")
    after = calendar.following(period)
    movements = _movements(session, account.id, period, after)
    usage = _usage(session, account.id, period, after)
    books = session.execute(select(Balance.held).where(Balance.account_id == account.id)).one()
    over = after <= now.date()
    return Statement(
        **_totals(movements, usage),
        opening=_before(session, account.id, period),
        account=account.name,
        currency=account.plan.currency,
        period=period,
        last=calendar.last_day(period),
        over=over,
        held=None if over else books.held,
        difference=_difference(session, account.id),
        movements=movements,
        usage=usage,
        prices=_prices(usage),
    )


def months(session: Session, account: Account, now: datetime, *, limit: int = 24) -> list[Month]:
    """The latest months of the account, newest first; those in which nothing happened, too."""
    wanted = [period_of(now)]
    first = _first_month(session, account)
    while wanted[-1] > first and len(wanted) < limit:
        wanted.append(calendar.preceding(wanted[-1]))
    after = calendar.following(wanted[0])
    movements: defaultdict[date, list[Movement]] = defaultdict(list)
    for movement in _movements(session, account.id, wanted[-1], after):
        movements[period_of(movement.at)].append(movement)
    usage: defaultdict[date, list[Charge]] = defaultdict(list)
    for charge in _usage(session, account.id, wanted[-1], after):
        assert charge.day is not None
        usage[charge.day.replace(day=1)].append(charge)
    found: list[Month] = []
    opening = _before(session, account.id, wanted[-1])
    for period in reversed(wanted):
        totals = _totals(movements[period], usage[period])
        found.append(Month(**totals, opening=opening, period=period))
        opening = found[-1].closing
    return found[::-1]


def verify(session: Session) -> list[str]:
    """Daily totals against the running balances: a sentence for each account that differs."""
    booked = _sums_by_account(_AMOUNT, LedgerEntry, text(BY_HAND))
    charged = _sums_by_account(_CHARGED, ChargeDay)
    rows = session.execute(
        select(Balance.account_id, Balance.available + Balance.held, booked.c.sum, charged.c.sum)
        .outerjoin(booked, booked.c.account_id == Balance.account_id)
        .outerjoin(charged, charged.c.account_id == Balance.account_id)
        .order_by(Balance.account_id)
    )
    return [
        f"account {account_id}: the balance is {kept}, its movements and daily totals make {made}"
        for account_id, kept, came, went in rows
        if kept != (made := int(came or 0) - int(went or 0))
    ]


_AMOUNT = func.coalesce(func.sum(LedgerEntry.amount), 0)
_CHARGED = func.coalesce(func.sum(ChargeDay.amount - ChargeDay.refunded), 0)


def _sums_by_account(total: Any, table: Any, *conditions: Any) -> Any:
    query = select(table.account_id, total.label("sum")).where(*conditions)
    return query.group_by(table.account_id).subquery()


def _by_hand(account_id: int, *conditions: Any) -> Any:
    """The text is the index's own, or SQLite does not see that the index has these rows."""
    return and_(LedgerEntry.account_id == account_id, text(BY_HAND), *conditions)


def _before(session: Session, account_id: int, period: date) -> int:
    """The balance at the beginning of a month."""
    moment = calendar.start(period)
    booked = select(_AMOUNT).where(_by_hand(account_id, LedgerEntry.at < moment))
    charged = select(_CHARGED).where(ChargeDay.account_id == account_id, ChargeDay.day < period)
    return int(session.execute(booked).scalar_one()) - int(session.execute(charged).scalar_one())


def _difference(session: Session, account_id: int) -> int:
    """In one query, because PostgreSQL lets each see what was committed meanwhile."""
    booked = select(_AMOUNT).where(_by_hand(account_id)).scalar_subquery()
    charged = select(_CHARGED).where(ChargeDay.account_id == account_id).scalar_subquery()
    total = Balance.available + Balance.held - booked + charged
    query = select(total).where(Balance.account_id == account_id)
    return int(session.execute(query).scalar_one())


def _first_month(session: Session, account: Account) -> date:
    booked = session.scalar(select(func.min(LedgerEntry.at)).where(_by_hand(account.id)))
    charged = session.scalar(
        select(func.min(ChargeDay.day)).where(ChargeDay.account_id == account.id)
    )
    found = [period_of(account.created_at)]
    if booked is not None:
        found.append(period_of(booked))
    if charged is not None:
        found.append(charged.replace(day=1))
    return min(found)


def _movements(
    session: Session, account_id: int, period: date, after: date
) -> tuple[Movement, ...]:
    begin, end = calendar.start(period), calendar.start(after)
    query = select(
        LedgerEntry.at, LedgerEntry.cause, LedgerEntry.reference, LedgerEntry.note,
        LedgerEntry.amount,
    ).where(_by_hand(account_id, LedgerEntry.at >= begin, LedgerEntry.at < end))  # fmt: skip
    rows = session.execute(query.order_by(LedgerEntry.at, LedgerEntry.id))
    return tuple(Movement(*row) for row in rows)


def _usage(session: Session, account_id: int, period: date, after: date) -> tuple[Charge, ...]:
    columns = ChargeDay.__table__.c
    query = select(*(column for column in columns if column.name != "account_id")).where(
        columns.account_id == account_id, columns.day >= period, columns.day < after
    )
    rows = session.execute(query.order_by(columns.day, columns.tier, columns.unit_price))
    return tuple(Charge(*row) for row in rows)


def _prices(usage: Sequence[Charge]) -> tuple[Charge, ...]:
    """The days of a month together, by tier and price."""
    sums: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for each in usage:
        amounts = (each.messages, each.units, each.amount, each.refunded)
        so_far = sums[each.tier, each.unit_price]
        so_far[:] = [a + b for a, b in zip(so_far, amounts, strict=True)]
    return tuple(Charge(None, *key, *values) for key, values in sorted(sums.items()))


def _totals(movements: Sequence[Movement], usage: Sequence[Charge]) -> dict[str, Any]:
    totals = dict.fromkeys(CAUSES.values(), 0)
    for movement in movements:
        totals[CAUSES[movement.cause]] += movement.amount
    charges = -sum(charge.amount for charge in usage)
    return totals | {"charges": charges, "refunds": sum(charge.refunded for charge in usage)}
