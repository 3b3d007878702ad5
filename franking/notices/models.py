"""Table of notices: written beside what they tell of, in the same transaction; sent afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from franking.tables import Base, BigId, utcnow


class Notice(Base):
    """`mail_due_at` is None when nothing is to be mailed (any more).

    `mail_results` has for each address that is done with `sent`, or the reply that refused it.
    """

    __tablename__ = "notice"
    __table_args__ = (
        Index("ix_notice_account_id_id", "account_id", "id"),
        Index("ix_notice_at", "at"),
        Index(
            "ix_notice_mail_due_at",
            "mail_due_at",
            sqlite_where=text("mail_due_at IS NOT NULL"),
            postgresql_where=text("mail_due_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    kind: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(default=utcnow)
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    mail_due_at: Mapped[datetime | None]
    mailed_at: Mapped[datetime | None]
    mail_attempts: Mapped[int] = mapped_column(default=0)
    mail_error: Mapped[str | None] = mapped_column(String(200))
    mail_results: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
