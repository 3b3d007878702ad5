"""Recomputes the books from their entries: the proof that they are right.

Call it in a session that sees one moment: SQLite's readers do; on PostgreSQL, `Database.snapshot`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from franking.money.models import Balance, LedgerEntry, Reservation
from franking.money.statements import statement

MOST = 10  # differences of one kind


def verify(session: Session) -> list[str]:
    """Each difference is a sentence, the most telling first; none is the proof."""
    return [*_sums(session), *_balances(session), *statement.verify(session)]


def _sums(session: Session) -> Iterator[str]:
    total = session.scalar(select(func.sum(LedgerEntry.amount))) or 0
    if total:
        yield f"all entries together sum to {total}, not 0"
    unbalanced = (
        select(LedgerEntry.reference, func.sum(LedgerEntry.amount))
        .group_by(LedgerEntry.reference)
        .having(func.sum(LedgerEntry.amount) != 0)
        .order_by(func.min(LedgerEntry.id))
        .limit(MOST)
    )
    for reference, amount in session.execute(unbalanced):
        yield f"transfer {reference} sums to {amount}, not 0"


def _balances(session: Session) -> Iterator[str]:
    """The running totals against the entries, and what is held against what it is held for."""
    booked: dict[tuple[int, str], int] = {
        (account_id, book): int(amount)
        for account_id, book, amount in session.execute(
            select(LedgerEntry.account_id, LedgerEntry.book, func.sum(LedgerEntry.amount)).group_by(
                LedgerEntry.account_id, LedgerEntry.book
            )
        )
    }
    reserved: dict[int, int] = {
        account_id: int(amount)
        for account_id, amount in session.execute(
            select(Reservation.account_id, func.sum(Reservation.amount))
            .where(Reservation.state.in_(("reserved", "unknown")))
            .group_by(Reservation.account_id)
        )
    }
    for account_id, available, held in session.execute(
        select(Balance.account_id, Balance.available, Balance.held).order_by(Balance.account_id)
    ):
        for book, kept in (("available", available), ("held", held)):
            if kept != (entered := booked.get((account_id, book), 0)):
                yield f"account {account_id}: {book} is {kept}, its entries say {entered}"
        if held != (open_ones := reserved.get(account_id, 0)):
            yield f"account {account_id}: {held} is held, for reservations of {open_ones}"
