"""How long files stay, as each account's plan says; then they go, and some day their rows, too."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, aliased

from franking.accounting.files import folder
from franking.accounting.models import AccountingFile
from franking.accounts.models import Account
from franking.db import Database
from franking.money.terms import terms_of

BATCH = 500  # rows of one transaction
UNLINKED = timedelta(days=1)  # a file's row is deleted so long after it


def retire(database: Database, now: datetime) -> int:
    """Mark what is older than its account's plan keeps; it is in no list and no manifest from now
    on.  Returns how many files that were."""
    with database.session() as session:
        oldest = (
            select(AccountingFile.account_id, func.min(AccountingFile.created_at))
            .where(AccountingFile.removed_at.is_(None))
            .group_by(AccountingFile.account_id)
        )
        outdated = [
            (number, cutoff)
            for number, at in session.execute(oldest).all()
            if at < (cutoff := now - _kept(session, number))
        ]
    return sum(_retire(database, number, cutoff, now) for number, cutoff in outdated)


def remove(database: Database, directory: Path, now: datetime) -> None:
    """Delete what is marked, after the manifests that no longer name it; then forget it.

    The newest one of an account and format is remembered: the next has its hash and its sequence.
    """
    with database.session() as session:
        query = select(AccountingFile, Account.name).join(Account)
        marked = session.execute(query.where(AccountingFile.removed_at.is_not(None)))
        for row, account in marked.yield_per(BATCH):
            (folder(directory, account) / row.name).unlink(missing_ok=True)
    later = aliased(AccountingFile)
    gone = delete(AccountingFile).where(
        AccountingFile.removed_at < now - UNLINKED,
        select(later.id)
        .where(
            later.account_id == AccountingFile.account_id,
            later.format == AccountingFile.format,
            later.sequence > AccountingFile.sequence,
            later.removed_at.is_not(None),
        )
        .exists(),
    )
    with database.transaction() as session:
        session.execute(gone.execution_options(synchronize_session=False))


def _kept(session: Session, account_id: int) -> timedelta:
    account = session.get_one(Account, account_id)
    return timedelta(days=terms_of(account.plan.terms).retention.accounting)


def _retire(database: Database, account_id: int, cutoff: datetime, now: datetime) -> int:
    with database.transaction() as session:
        query = select(AccountingFile).where(
            AccountingFile.account_id == account_id,
            AccountingFile.removed_at.is_(None),
            AccountingFile.created_at < cutoff,
        )
        rows = session.scalars(query).all()
        for row in rows:
            row.removed_at = now
        return len(rows)
