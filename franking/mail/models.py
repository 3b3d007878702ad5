"""Tables of mail.

A *message* is one accepted queue file; its key is (queue_id, node), Postfix's long queue ID being
unique for ever on one node.  A *recipient* row holds the present state, *event* rows the history.
`log_position` is how far the maillog worker has read; it moves in the transaction that wrote what
was read, so a replay changes nothing.

*Suppression*: who must not be written to.  *SoftFailure*: what may lead to one, when it repeats.
*Stream*: what an account says about mail of one kind.  *HeldMessage*: waits for a limit's next
window.  *IdempotencyKey* and *MessageAlias*: which message a repeat stands for.
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
    false,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from franking.tables import Base, BigId, CurrentTransaction, QueueId, utcnow

MESSAGE_STATES = (
    "queued", "held", "deferred", "delivered", "bounced", "expired", "partial", "voided",
    "suppressed", "sandboxed",
)  # fmt: skip
EVENT_KINDS = (
    "accepted", "held", "released", "delivered", "deferred", "bounced", "expired", "rejected",
    "voided", "suppressed", "sandboxed", "requeued", "notified", "complained", "unsubscribed",
)  # fmt: skip
FINAL_KINDS = ("delivered", "bounced", "expired", "suppressed", "sandboxed")
SUPPRESSION_SCOPES = ("account", "domain", "stream")
SUPPRESSION_REASONS = ("hard_bounce", "soft_bounce", "complaint", "unsubscribe", "manual")


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} in ({', '.join(repr(v) for v in values)})"


class Message(Base):
    __tablename__ = "message"
    __table_args__ = (
        CheckConstraint(_one_of("status", MESSAGE_STATES), name="status"),
        # Newest first, all of them or those that one filter leaves.
        Index("ix_message_account_id_accepted_at", "account_id", "accepted_at", "queue_id"),
        Index("ix_message_account_id_status", "account_id", "status", "accepted_at", "queue_id"),
        Index("ix_message_credential_id", "credential_id", "accepted_at", "queue_id"),
        Index("ix_message_message_id", "message_id"),
    )

    queue_id: Mapped[str] = mapped_column(QueueId, primary_key=True)
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
    refunded: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    client_ip: Mapped[str | None] = mapped_column(String(45))
    client_helo: Mapped[str | None] = mapped_column(String(255))
    tls: Mapped[str | None] = mapped_column(String(64))
    auth_method: Mapped[str | None] = mapped_column(String(16))
    signatures: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)
    # `metadata` is SQLAlchemy's own name on a declarative class.
    labels: Mapped[dict[str, str]] = mapped_column(
        "metadata", JSON, default=dict, server_default="{}"
    )
    mode: Mapped[str] = mapped_column(String(8), default="live", server_default="live")
    return_path: Mapped[str | None] = mapped_column(String(320))
    accepted_at: Mapped[datetime] = mapped_column(default=utcnow)
    # The counters that were raised for it (`franking.accounts.limits.Counted`).
    counted: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))


class Recipient(Base):
    __tablename__ = "message_recipient"
    __table_args__ = (
        ForeignKeyConstraint(
            ["queue_id", "node"], ["message.queue_id", "message.node"], ondelete="CASCADE"
        ),
    )

    queue_id: Mapped[str] = mapped_column(QueueId, primary_key=True)
    node: Mapped[str] = mapped_column(String(63), primary_key=True)
    address: Mapped[str] = mapped_column(String(320), primary_key=True)
    status: Mapped[str] = mapped_column(String(16), default="queued")
    attempts: Mapped[int] = mapped_column(default=0)
    final_at: Mapped[datetime | None]


Index("ix_message_account_id_from", Message.account_id, func.lower(Message.from_address),
      Message.accepted_at, Message.queue_id)  # fmt: skip
Index("ix_message_recipient_address", func.lower(Recipient.address), Recipient.queue_id)


class Event(Base):
    """Something that happened to one recipient of one message, or a refusal (no queue_id).

    `category`: why a delivery failed (`franking.mail.bounce_classes`).  `xid` is the transaction
    that wrote it: whoever reads on from where they stopped goes by it (`franking.mail.reading`).
    """

    __tablename__ = "event"
    __table_args__ = (
        CheckConstraint(_one_of("kind", EVENT_KINDS), name="kind"),
        # At least once becomes exactly once here; rows without a queue_id never collide.
        UniqueConstraint("queue_id", "node", "recipient", "kind", "attempt"),
        Index("ix_event_account_id_kind_at", "account_id", "kind", "at"),
        Index("ix_event_account_id_id", "account_id", "id"),
        Index("ix_event_xid", "xid", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    credential_id: Mapped[int | None] = mapped_column(ForeignKey("credential.id"))
    node: Mapped[str] = mapped_column(String(63))
    queue_id: Mapped[str | None] = mapped_column(QueueId)
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
    category: Mapped[str | None] = mapped_column(String(24))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    xid: Mapped[int] = mapped_column(BigInteger, server_default=CurrentTransaction())


class EventReader(Base):
    """How far somebody has read all accounts' events."""

    __tablename__ = "event_reader"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    xid: Mapped[int] = mapped_column(BigInteger, default=0)
    event_id: Mapped[int] = mapped_column(BigInteger, default=0)
    read_at: Mapped[datetime] = mapped_column(default=utcnow)


class Suppression(Base):
    """An address that must not be written to.

    `scope_name` is empty for the whole account, else a sending domain or a stream.  `event_id` is
    what caused it.
    """

    __tablename__ = "suppression"
    __table_args__ = (
        UniqueConstraint("account_id", "address", "scope", "scope_name"),
        CheckConstraint(_one_of("scope", SUPPRESSION_SCOPES), name="scope"),
        CheckConstraint(_one_of("reason", SUPPRESSION_REASONS), name="reason"),
        Index("ix_suppression_account_id_id", "account_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    address: Mapped[str] = mapped_column(String(320))
    scope: Mapped[str] = mapped_column(String(8), default="account")
    scope_name: Mapped[str] = mapped_column(String(253), default="")
    reason: Mapped[str] = mapped_column(String(16))
    note: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime | None] = mapped_column(index=True)
    event_id: Mapped[int | None] = mapped_column(BigInteger)


class SoftFailure(Base):
    """A message that ended for this address with a failure that suppresses when it repeats."""

    __tablename__ = "soft_failure"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False
    )
    address: Mapped[str] = mapped_column(String(320), primary_key=True)
    queue_id: Mapped[str] = mapped_column(QueueId, primary_key=True)
    node: Mapped[str] = mapped_column(String(63), primary_key=True)
    at: Mapped[datetime] = mapped_column(default=utcnow, index=True)


class Stream(Base):
    """Mail of one kind, by the name that credentials have; those without a row are not bulk."""

    __tablename__ = "stream"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False
    )
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    bulk: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class HeldMessage(Base):
    """A message in Postfix's hold queue until its account's limits have room for it.

    `unpaid`: or until there is money for it.  `recipients` are those that count.  `granted_at`: it
    is counted and paid (or an operator has let it go), and only Postfix has to be told;
    `released_at`: it has left the hold queue.
    """

    __tablename__ = "held_message"
    __table_args__ = (
        ForeignKeyConstraint(
            ["queue_id", "node"], ["message.queue_id", "message.node"], ondelete="CASCADE"
        ),
        Index(
            "ix_held_message_waiting",
            "credential_id",
            "node",
            "held_at",
            sqlite_where=text("released_at IS NULL"),
            postgresql_where=text("released_at IS NULL"),
        ),
    )

    queue_id: Mapped[str] = mapped_column(QueueId, primary_key=True)
    node: Mapped[str] = mapped_column(String(63), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    credential_id: Mapped[int] = mapped_column(ForeignKey("credential.id"))
    recipients: Mapped[int]
    reason: Mapped[str] = mapped_column(String(200))
    unpaid: Mapped[bool] = mapped_column(default=False, server_default=false())
    held_at: Mapped[datetime] = mapped_column(default=utcnow)
    release_requested_at: Mapped[datetime | None]
    granted_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """The first message that came with this key, and what it contained.

    `mode` is the credential's: what a test has sent is no answer to live mail.
    """

    __tablename__ = "idempotency_key"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False
    )
    mode: Mapped[str] = mapped_column(String(8), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    content_sha256: Mapped[str] = mapped_column(String(64))
    queue_id: Mapped[str] = mapped_column(QueueId)
    node: Mapped[str] = mapped_column(String(63))
    created_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)


class MessageAlias(Base):
    """A queue ID that a repeat was answered with; it stands for the first message."""

    __tablename__ = "message_alias"

    queue_id: Mapped[str] = mapped_column(QueueId, primary_key=True)
    node: Mapped[str] = mapped_column(String(63), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    first_queue_id: Mapped[str] = mapped_column(QueueId)
    first_node: Mapped[str] = mapped_column(String(63))
    at: Mapped[datetime] = mapped_column(default=utcnow, index=True)


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
