"""Tables of the accounting log.

*AccountingFile*: one published file.  *SftpAccess*: who may fetch an account's files by SFTP.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from franking.tables import Base, BigId, utcnow

FORMATS = ("jsonl", "csv")


class AccountingFile(Base):
    """`sequence` counts an account's files of one format from 1, without gaps.

    `hour` is the one that had just ended when the file was cut; `size` in bytes, compressed;
    `sha256` of the compressed bytes.  `removed_at`: retention has deleted it.
    """

    __tablename__ = "accounting_file"
    __table_args__ = (
        UniqueConstraint("account_id", "format", "sequence"),
        Index("ix_accounting_file_created_at", "created_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    format: Mapped[str] = mapped_column(String(8))
    sequence: Mapped[int]
    hour: Mapped[datetime]
    name: Mapped[str] = mapped_column(String(120))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    events: Mapped[int]
    first_event_id: Mapped[int] = mapped_column(BigInteger)
    last_event_id: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    removed_at: Mapped[datetime | None]


class SftpAccess(Base):
    """`keys`: lines of authorized_keys.  `password_hash`: crypt(3), None when there is none."""

    __tablename__ = "sftp_access"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False
    )
    username: Mapped[str] = mapped_column(String(32), unique=True)
    keys: Mapped[list[str]] = mapped_column(JSON, default=list)
    password_hash: Mapped[str | None] = mapped_column(String(128))
    changed_at: Mapped[datetime] = mapped_column(default=utcnow)
