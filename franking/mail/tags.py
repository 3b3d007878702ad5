"""Which messages have a tag: for those who look for it (`franking.mail.messages.search`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index, String, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from franking.tables import Base, BigId, QueueId, utcnow

LONGEST = 64  # characters; none is longer


class MessageTag(Base):
    __tablename__ = "message_tag"
    __table_args__ = (
        ForeignKeyConstraint(
            ["queue_id", "node"], ["message.queue_id", "message.node"], ondelete="CASCADE"
        ),
        Index("ix_message_tag_account_id_tag", "account_id", "tag", "accepted_at", "queue_id"),
    )

    queue_id: Mapped[str] = mapped_column(QueueId, primary_key=True)
    node: Mapped[str] = mapped_column(String(63), primary_key=True)
    tag: Mapped[str] = mapped_column(String(LONGEST), primary_key=True)
    account_id: Mapped[int] = mapped_column(BigId)
    accepted_at: Mapped[datetime] = mapped_column(default=utcnow)


_INSERT = insert(MessageTag.__table__)  # type: ignore[arg-type]


def store(
    session: Session, key: Mapping[str, str], account_id: int, tags: Iterable[str], at: datetime
) -> None:
    """With the message whose tags they are; `key` is its queue_id and node."""
    rows = [
        {**key, "account_id": account_id, "tag": tag, "accepted_at": at}
        for tag in sorted({tag[:LONGEST] for tag in tags})
    ]
    if rows:
        session.connection().execute(_INSERT, rows)
