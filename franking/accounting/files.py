"""The files that an account can fetch: which there are, and where they lie.

    <directory>/<account>/events-20261121T2100Z-0000017.jsonl.gz
                          events-20261121T2100Z-0000017.csv.gz
                          manifest.jsonl
    <directory>/.staging/<sha256>

A file is staged under its own hash, then its row is committed, then it is renamed: so what an
account sees has a row, and what has a row is there or can still be renamed
(`franking.accounting.publishing`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from franking.accounting.models import AccountingFile
from franking.accounts.models import Account
from franking.money.terms import terms_of
from franking.reasons import NotFound

MANIFEST = "manifest.jsonl"
STAGING = ".staging"
EXTENSIONS = {"gzip": "gz", "zstd": "zst"}
MEDIA_TYPES = {".gz": "application/gzip", ".zst": "application/zstd"}


def allowed(account: Account) -> bool:
    """Whether files are written for this account; those that there are can be fetched anyway."""
    return account.status != "closed" and "sftp" in terms_of(account.plan.terms).features


def folder(directory: Path, account: str) -> Path:
    return directory / account


def name_of(hour: datetime, sequence: int, form: str, compression: str) -> str:
    """In the order of names is in the order of sequences."""
    return f"events-{hour:%Y%m%dT%H%M}Z-{sequence:07d}.{form}.{EXTENSIONS[compression]}"


@dataclass(frozen=True)
class Pair:
    """The same events in both formats."""

    jsonl: AccountingFile
    csv: AccountingFile | None


def listed(
    session: Session, account: Account, *, before: int | None = None, limit: int
) -> list[Pair]:
    """Newest first; `before` is a sequence."""
    newest = _there(account).where(AccountingFile.format == "jsonl")
    if before is not None:
        newest = newest.where(AccountingFile.sequence < before)
    rows = session.scalars(newest.order_by(AccountingFile.sequence.desc()).limit(limit)).all()
    sequences = [row.sequence for row in rows]
    others = _there(account).where(
        AccountingFile.format == "csv", AccountingFile.sequence.in_(sequences)
    )
    csvs = {row.sequence: row for row in session.scalars(others)}
    return [Pair(row, csvs.get(row.sequence)) for row in rows]


def get(session: Session, account: Account, name: str) -> AccountingFile:
    """Raises NotFound."""
    query = _there(account).where(AccountingFile.name == name)
    found = session.scalars(query).one_or_none()
    if found is None:
        raise NotFound(f"there is no file {name!r}")
    return found


def _there(account: Account) -> Select[AccountingFile]:
    return select(AccountingFile).where(
        AccountingFile.account_id == account.id, AccountingFile.removed_at.is_(None)
    )
