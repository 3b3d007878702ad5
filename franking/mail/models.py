"""Tables of mail.

A *message* is one accepted queue file; its key is (queue_id, node), Postfix's long queue ID being
unique for ever on one node.  A *recipient* row holds the present state, *event* rows the history.
`log_position` is how far the maillog worker has read; it moves in the transaction that wrote what
was read, so a replay changes nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from franking.tables import Base, BigId, utcnow

MESSAGE_STATES = ("queued", "deferred", "delivered", "bounced", "expired", "partial", "voided")
EVENT_KINDS = ("accepted", "delivered", "deferred", "bounced", "expired", "rejected", "voided")
FINAL_KINDS = ("delivered", "bounced", "expired")


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} in ({', '.join(repr(v) for v in values)})"


class Message(Base):
    __tablename__ = "message"
    __table_args__ = (
        CheckConstraint(_one_of("status", MESSAGE_STATES), name="status"),
        Index("ix_message_account_id_accepted_at", "account_id", "accepted_at", "queue_id"),
    )

    queue_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    node: Mapped[str] = mapped_column(String(63), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    credential_id: Mapped[int] = mapped_column(ForeignKey("credential.id"))
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    from_address: Mapped[str] = mapped_column(String(320))
    envelope_sender: Mapped[str] = mapped_column(String(320))
    subject: Mapped[str] = mapped_column(String(250))
    message_id: Mapped[str] = mapped_column(String(250))
    size: Mapped[int] = mapped_column(BigInteger)
    recipient_count: Mapped[int]
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    status: Mapped[str] = mapped_column(String(16), default="queued")
    cost: Mapped[int] = mapped_column(BigInteger)
    client_ip: Mapped[str | None] = mapped_column(String(45))
    client_helo: Mapped[str | None] = mapped_column(String(255))
    tls: Mapped[str | None] = mapped_column(String(64))
    auth_method: Mapped[str | None] = mapped_column(String(16))
    signatures: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)
    accepted_at: Mapped[datetime] = mapped_column(default=utcnow)


class Recipient(Base):
    __tablename__ = "message_recipient"
    __table_args__ = (
        ForeignKeyConstraint(
            ["queue_id", "node"], ["message.queue_id", "message.node"], ondelete="CASCADE"
        ),
    )

    queue_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    node: Mapped[str] = mapped_column(String(63), primary_key=True)
    address: Mapped[str] = mapped_column(String(320), primary_key=True)
    status: Mapped[str] = mapped_column(String(16), default="queued")
    attempts: Mapped[int] = mapped_column(default=0)
    final_at: Mapped[datetime | None]


class Event(Base):
    """Something that happened to one recipient of one message, or a refusal (no queue_id)."""

    __tablename__ = "event"
    __table_args__ = (
        CheckConstraint(_one_of("kind", EVENT_KINDS), name="kind"),
        # At least once becomes exactly once here; rows without a queue_id never collide.
        UniqueConstraint("queue_id", "node", "recipient", "kind", "attempt"),
        Index("ix_event_account_id_kind_at", "account_id", "kind", "at"),
        Index("ix_event_account_id_id", "account_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    credential_id: Mapped[int | None] = mapped_column(ForeignKey("credential.id"))
    node: Mapped[str] = mapped_column(String(63))
    queue_id: Mapped[str | None] = mapped_column(String(32))
    recipient: Mapped[str | None] = mapped_column(String(320))
    sender: Mapped[str | None] = mapped_column(String(320))
    kind: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(default=0)
    at: Mapped[datetime] = mapped_column(default=utcnow)
    smtp_code: Mapped[int | None]
    enhanced_code: Mapped[str | None] = mapped_column(String(12))
    reply: Mapped[str | None] = mapped_column(Text)
    remote_host: Mapped[str | None] = mapped_column(String(255))
    remote_ip: Mapped[str | None] = mapped_column(String(45))
    delay: Mapped[float | None]
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class LogPosition(Base):
    """How far one node's mail log has been read, and until when evidence may be missing."""

    __tablename__ = "log_position"

    node: Mapped[str] = mapped_column(String(63), primary_key=True)
    inode: Mapped[int] = mapped_column(BigInteger)
    offset: Mapped[int] = mapped_column(BigInteger)
    head_sha256: Mapped[str] = mapped_column(String(64))
    boot_id: Mapped[str] = mapped_column(String(36))
    read_at: Mapped[datetime] = mapped_column(default=utcnow)
    gap_until: Mapped[datetime | None]
