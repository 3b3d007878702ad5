"""The ledger as its account reads it: a line for whatever changed the balance, newest first.

The balance of a line is what is available together with what is held for mail on its way, as in a
statement: a message lowers it when it is captured, so setting money aside and giving it back makes
no line.  Pages are keyset pages over (at, id), each cause from its own stretch of one index.

The balances of the first page are counted back from the present one in the statement that reads
the lines, so that they are right also while mail is being charged; whole days are taken from their
totals (`charge_day`).  Each further page carries on with the balance in its cursor: page 1,000
costs what page 1 does, and what is booked meanwhile does not shift it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, text, true, union_all
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.mail.models import Message
from franking.money.models import BY_HAND, LINES, Balance, LedgerEntry
from franking.money.statements.models import ChargeDay

CAUSES = ("capture", "refund", "deposit", "reversal", "fee", "adjustment")
BATCH = 1000  # lines of a long download at a time


@dataclass(frozen=True)
class Wanted:
    """Which lines; days are UTC, both included.  No causes are all of them."""

    causes: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class Cursor:
    """The last line of a page: the next page begins behind it.

    `balance` is what there was before that line, None where lines have none.  It is believed:
    whoever makes one up sees wrong balances beside the own account's lines, and nothing else.
    """

    at: datetime
    id: int
    balance: int | None = None


@dataclass(frozen=True)
class Line:
    """`amount` is what it added to the balance, negative when it took; `balance` is what there was
    after it, None where other causes' lines are left out."""

    id: int
    at: datetime
    cause: str
    amount: int
    reference: str
    note: str | None
    event_id: int | None
    balance: int | None = None

    @property
    def queue_id(self) -> str | None:
        """Of the message that it is about: `capture:node/queue ID`, `refund:node/queue ID/…`."""
        parts = self.reference.partition(":")[2].split("/")
        return parts[1] if self.cause in ("capture", "refund") and len(parts) > 1 else None

    @property
    def deposit(self) -> str | None:
        """The reference of the deposit that it is about: `deposit:stripe/D-7K2M9QX4TC/1`."""
        parts = self.reference.partition(":")[2].split("/")
        return parts[1] if self.cause in ("deposit", "reversal") and len(parts) == 3 else None


@dataclass(frozen=True)
class Page:
    """`next` is None on the last page."""

    lines: tuple[Line, ...]
    next: Cursor | None


def page(
    session: Session,
    account: Account,
    wanted: Wanted,
    after: Cursor | None = None,
    *,
    limit: int = 50,
) -> Page:
    """Newest first; unknown causes find nothing."""
    parts = [_of(account.id, cause, wanted, after, limit + 1) for cause in _chosen(wanted)]
    if not parts:
        return Page((), None)
    found = union_all(*(select(part.subquery()) for part in parts)).subquery()
    counted = not wanted.causes and after is None
    anchor = _balance(account.id, wanted) if counted else literal(None)
    query = select(found, anchor.label("anchor")).order_by(found.c.at.desc(), found.c.id.desc())
    rows = session.execute(query.limit(limit + 1)).all()
    lines = [Line(*row[:7]) for row in rows[:limit]]
    start = after.balance if after else rows[0].anchor if rows else None
    if start is not None and not wanted.causes:
        lines = list(_carried(lines, int(start)))
    return Page(tuple(lines), _behind_last(lines[-1]) if len(rows) > limit else None)


def every(session: Session, account: Account, wanted: Wanted) -> Iterator[Line]:
    """All of them, for a download; a page in memory at a time."""
    found = page(session, account, wanted, limit=BATCH)
    yield from found.lines
    while found.next is not None:
        found = page(session, account, wanted, found.next, limit=BATCH)
        yield from found.lines


def refunds_of(session: Session, account: Account, message: Message) -> Sequence[LedgerEntry]:
    """What was given back of one of the account's messages, oldest first."""
    if not message.refunded:
        return ()
    # Each unit once, by its number (`franking.money.refunds`), and what an operator gave back.
    parts = [*map(str, range(1, message.recipient_count + 1)), "rest"]
    references = [f"refund:{message.node}/{message.queue_id}/{part}" for part in parts]
    query = select(LedgerEntry).where(
        LedgerEntry.reference.in_(references),
        LedgerEntry.book == "available",
        LedgerEntry.account_id == account.id,
    )
    return session.scalars(query.order_by(LedgerEntry.id)).all()


def _chosen(wanted: Wanted) -> tuple[str, ...]:
    return tuple(cause for cause in CAUSES if not wanted.causes or cause in wanted.causes)


def _midnight(day: date, days: int = 0) -> datetime:
    return datetime.combine(day, time(), UTC) + timedelta(days=days)


def _lines(account_id: int, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """The text is the index's own, or SQLite does not see that the index has these rows."""
    return and_(LedgerEntry.account_id == account_id, text(f"({LINES})"), *conditions)


def _behind(cursor: Cursor) -> ColumnElement[bool]:
    """Two conditions on `at`, because the first alone is a stretch of the index."""
    return and_(
        LedgerEntry.at <= cursor.at,
        or_(LedgerEntry.at < cursor.at, LedgerEntry.id < cursor.id),
    )


def _of(account_id: int, cause: str, wanted: Wanted, after: Cursor | None, limit: int) -> Any:
    conditions = [LedgerEntry.cause == cause]
    if wanted.since:
        conditions.append(LedgerEntry.at >= _midnight(wanted.since))
    if wanted.until:
        conditions.append(LedgerEntry.at < _midnight(wanted.until, 1))
    if after:
        conditions.append(_behind(after))
    query = select(
        LedgerEntry.id, LedgerEntry.at, LedgerEntry.cause, LedgerEntry.amount,
        LedgerEntry.reference, LedgerEntry.note, LedgerEntry.event_id,
    ).where(_lines(account_id, *conditions))  # fmt: skip
    return query.order_by(LedgerEntry.at.desc(), LedgerEntry.id.desc()).limit(limit)


def _balance(account_id: int, wanted: Wanted) -> Any:
    """What there was after the newest line: the present balance less what came later."""
    now = (
        select(Balance.available + Balance.held)
        .where(Balance.account_id == account_id)
        .scalar_subquery()
    )
    if wanted.until is None:
        return now
    next_day = _midnight(wanted.until, 1)
    later = now - _sum(and_(_by_hand(account_id), LedgerEntry.at >= next_day))
    return later + (
        select(func.coalesce(func.sum(ChargeDay.amount - ChargeDay.refunded), 0))
        .where(ChargeDay.account_id == account_id, ChargeDay.day > wanted.until)
        .scalar_subquery()
    )


def _by_hand(account_id: int) -> ColumnElement[bool]:
    return and_(true(), LedgerEntry.account_id == account_id, text(BY_HAND))


def _sum(condition: ColumnElement[bool]) -> Any:
    total = func.coalesce(func.sum(LedgerEntry.amount), 0)
    return select(total).where(condition).scalar_subquery()


def _behind_last(line: Line) -> Cursor:
    before = None if line.balance is None else line.balance - line.amount
    return Cursor(line.at, line.id, before)


def _carried(lines: Any, balance: int) -> Iterator[Line]:
    """From the newest to the oldest; `balance` is what there was after the first."""
    for line in lines:
        yield replace(line, balance=balance)
        balance -= line.amount
