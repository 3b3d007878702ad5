"""Makes committed files visible to their accounts, and keeps the manifests.

Everything here can be done again: renaming what is staged under its hash, writing a manifest from
the rows.  A file that has a row and is neither staged nor in place is lost (`missing`); that also
shows two hosts that cut into directories of their own, which `accounting.directory` forbids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select, union
from sqlalchemy.orm import Session

from franking import log
from franking.accounting import disk, manifest
from franking.accounting.files import MANIFEST, STAGING, folder
from franking.accounting.manifest import Line
from franking.accounting.models import AccountingFile, SftpAccess
from franking.accounts.models import Account
from franking.db import Database

ABANDONED = timedelta(hours=1)  # what is staged for so long and has no row will never have one


def publish(database: Database, directory: Path, rows: Iterable[AccountingFile]) -> None:
    """Rename what is staged, where that is not done yet."""
    rows = list(rows)
    with database.session() as session:
        accounts = {row.account_id: session.get_one(Account, row.account_id) for row in rows}
        names = {number: account.name for number, account in accounts.items()}
    for row in rows:
        home = place(directory, names[row.account_id])
        try:
            (directory / STAGING / row.sha256).rename(home / row.name)
        except FileNotFoundError:
            if not (home / row.name).exists():
                log.accounting_file_missing(str(home / row.name))
    for name in names.values():
        disk.sync(folder(directory, name))


def recover(database: Database, directory: Path, now: datetime) -> None:
    """What was staged and committed, and not renamed, by a process that was killed over it."""
    for path in sorted((directory / STAGING).glob("*")):
        try:
            at = datetime.fromtimestamp(path.stat().st_mtime, now.tzinfo)
        except FileNotFoundError:
            continue  # another process is at it
        with database.session() as session:
            row = session.scalars(
                select(AccountingFile).where(
                    AccountingFile.created_at > at - ABANDONED,
                    AccountingFile.sha256 == path.name,
                    AccountingFile.removed_at.is_(None),
                )
            ).first()
        if row is not None:
            publish(database, directory, [row])
        elif at < now - ABANDONED:
            path.unlink(missing_ok=True)


def manifests(database: Database, directory: Path, now: datetime) -> int:
    """Write those of all accounts that have files, or a user name to look for some."""
    with database.session() as session:
        with_files = select(AccountingFile.account_id).where(AccountingFile.removed_at.is_(None))
        numbers = union(with_files, select(SftpAccess.account_id)).subquery()
        query = select(Account.id, Account.name).join(numbers, numbers.c[0] == Account.id)
        accounts = session.execute(query.order_by(Account.id)).all()
    for number, name in accounts:
        home = place(directory, name)
        with database.session() as session:
            lines = list(_lines(session, number))
        lost = [line.name for line in lines if not (home / line.name).exists()]
        if lost:  # one of them says it
            log.accounting_file_missing(str(home / lost[0]))
        disk.replace(home / MANIFEST, manifest.written(name, now, lines).encode(), 0o644)
    return len(accounts)


def _lines(session: Session, account_id: int) -> Iterator[Line]:
    one = AccountingFile
    before = func.lag(one.sha256).over(partition_by=one.format, order_by=one.sequence)
    all_of_them = (
        select(one.id, before.label("previous")).where(one.account_id == account_id).subquery()
    )
    query = (
        select(one, all_of_them.c.previous)
        .join(all_of_them, all_of_them.c.id == one.id)
        .where(one.removed_at.is_(None))
        .order_by(one.sequence, one.format)
    )
    for row, previous in session.execute(query):
        yield Line(
            name=row.name, format=row.format, sequence=row.sequence, events=row.events,
            first_event=row.first_event_id, last_event=row.last_event_id, size=row.size,
            sha256=row.sha256, previous_sha256=previous, cut_at=row.created_at,
        )  # fmt: skip


def place(directory: Path, account: str) -> Path:
    """An account's folder; sshd wants it to be root's and nobody else's to write."""
    home = folder(directory, account)
    if not home.is_dir():
        home.mkdir(mode=0o755, parents=True, exist_ok=True)
        home.chmod(0o755)
    return home
