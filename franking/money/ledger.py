"""The ledger: the only writer of `balance` and `ledger_entry`.

Double entry: a transfer takes an amount from one book and adds it to another, as two entries with
one reference that sum to zero.  Customers' books are `available` and `held`; the system's are
`revenue`, `deposits` and `refunds` (kept per account, so that no row is hot).  Entries are never
changed or deleted; database triggers refuse it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from franking.db import utcnow
from franking.money.models import Balance, LedgerEntry
from franking.reasons import InsufficientBalance, Invalid, Taken

Book = Literal["available", "held", "revenue", "deposits", "refunds"]

# Built once: on the way of every message, building a statement costs more than executing it.
_books = Balance.__table__.c
_POST = insert(LedgerEntry.__table__)  # type: ignore[arg-type]
_MOVE = (
    update(Balance.__table__)  # type: ignore[arg-type]
    .where(
        _books.account_id == bindparam("b_account_id"),
        _books.available + bindparam("b_available") >= 0,
        _books.held + bindparam("b_held") >= 0,
    )
    .values(
        available=_books.available + bindparam("b_available"),
        held=_books.held + bindparam("b_held"),
    )
)


@dataclass(frozen=True)
class Transfer:
    """`amount` micro-units (> 0) from one book of an account to another."""

    account_id: int
    amount: int
    source: Book
    target: Book
    cause: str
    reference: str
    note: str | None = None

    def entries(self, at: datetime) -> list[dict[str, object]]:
        shared = {
            "account_id": self.account_id,
            "cause": self.cause,
            "reference": self.reference,
            "note": self.note,
            "at": at,
        }
        return [
            {**shared, "book": self.source, "amount": -self.amount},
            {**shared, "book": self.target, "amount": self.amount},
        ]


def open_books(session: Session, account_id: int) -> None:
    """Give a new account its balance of zero."""
    session.execute(insert(Balance).values(account_id=account_id, available=0, held=0))


def post(session: Session, transfers: Sequence[Transfer], now: datetime | None = None) -> None:
    """Write the entries of transfers whose balances the caller moves in the same transaction."""
    at = now or utcnow()
    rows = [row for transfer in transfers if transfer.amount for row in transfer.entries(at)]
    if rows:
        session.connection().execute(_POST, rows)


def move(session: Session, account_id: int, *, available: int = 0, held: int = 0) -> None:
    """Add to the running balance; raises InsufficientBalance rather than go below zero."""
    values = {"b_account_id": account_id, "b_available": available, "b_held": held}
    if session.connection().execute(_MOVE, values).rowcount != 1:
        raise InsufficientBalance("Insufficient balance")


def deposit(
    session: Session,
    account_id: int,
    amount: int,
    *,
    reference: str,
    note: str | None = None,
    now: datetime | None = None,
) -> None:
    """Credit `amount` micro-units; the same reference a second time raises Taken."""
    if amount <= 0:
        raise Invalid("a deposit must be more than zero")
    reference = f"deposit:{reference}"
    if session.scalar(select(LedgerEntry.id).where(LedgerEntry.reference == reference).limit(1)):
        raise Taken(f"{reference} is booked already")
    move(session, account_id, available=amount)
    transfer = Transfer(account_id, amount, "deposits", "available", "deposit", reference, note)
    post(session, [transfer], now)


def balance(session: Session, account_id: int) -> Balance:
    return session.get_one(Balance, account_id)


def entries(
    session: Session, account_id: int, *, before_id: int | None = None, limit: int = 50
) -> Sequence[LedgerEntry]:
    """The account's own side of its latest entries (`available` and `held`), newest first."""
    query = select(LedgerEntry).where(
        LedgerEntry.account_id == account_id, LedgerEntry.book.in_(("available", "held"))
    )
    if before_id is not None:
        query = query.where(LedgerEntry.id < before_id)
    return session.scalars(query.order_by(LedgerEntry.id.desc()).limit(limit)).all()


def verify(session: Session) -> list[str]:
    """Recompute everything from the entries; each difference is a sentence, none is the proof."""
    problems = []
    total = session.scalar(select(func.sum(LedgerEntry.amount))) or 0
    if total:
        problems.append(f"all entries together sum to {total}, not 0")
    unbalanced = select(LedgerEntry.reference).group_by(LedgerEntry.reference)
    unbalanced = unbalanced.having(func.sum(LedgerEntry.amount) != 0).limit(10)
    problems += [f"transfer {name} does not sum to 0" for name in session.scalars(unbalanced)]
    return problems + _wrong_balances(session)


def _wrong_balances(session: Session) -> list[str]:
    sums: dict[tuple[int, str], int] = {
        (row[0], row[1]): int(row[2])
        for row in session.execute(
            select(LedgerEntry.account_id, LedgerEntry.book, func.sum(LedgerEntry.amount)).group_by(
                LedgerEntry.account_id, LedgerEntry.book
            )
        )
    }
    return [
        f"account {row.account_id}: {book} is {kept}, its entries say {booked}"
        for row in session.scalars(select(Balance).order_by(Balance.account_id))
        for book, kept in (("available", row.available), ("held", row.held))
        if kept != (booked := sums.get((row.account_id, book), 0))
    ]
