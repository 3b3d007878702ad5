"""Tables of webhooks.

*Endpoint*: a customer's URL.  *Delivery*: one event (or a batch) for one endpoint; the outbox,
claimed with a lease (`leased_until`), tried again until `delivered_at` or `dead_at` is set.
*Attempt*: one request and its answer.  *Replay*: an endpoint gets again what happened since a time.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from franking.tables import Base, BigId, QueueId, utcnow

_DUE = text("delivered_at IS NULL AND dead_at IS NULL")
_DEAD = text("dead_at IS NOT NULL")


class Endpoint(Base):
    """`events` are kinds such as `delivered` or `balance.low`; empty means all, as do `domains`,
    `credentials` (user names), `tags` and `streams`, which choose among messages' events.
    `batch`: so many events in one request.  Secrets are sealed.

    After a rotation `sealed_previous` signs too, until `previous_until`.  `failing_since`: nothing
    has been taken since the first try that failed; `warned_at`: the account was told.
    `removed_at`: it is there for nobody any more, and goes when its deliveries have gone.
    """

    __tablename__ = "endpoint"
    __table_args__ = (Index("ix_endpoint_account_id", "account_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(JSON, default=list)
    domains: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    credentials: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    tags: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    streams: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    batch: Mapped[int] = mapped_column(default=1, server_default="1")
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_previous: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_until: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    warned_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None] = mapped_column(String(200))
    removed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class Delivery(Base):
    """`webhook_id` stays the same over all attempts: receivers know repeats by it.

    `body` is None when it is too old to be kept.  `queue_id` and `node` are of the message that it
    is about, when it is about one.
    """

    __tablename__ = "endpoint_delivery"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "webhook_id"),
        Index(
            "ix_endpoint_delivery_due",
            "endpoint_id",
            "due_at",
            sqlite_where=_DUE,
            postgresql_where=_DUE,
        ),
        Index(
            "ix_endpoint_delivery_dead",
            "endpoint_id",
            "id",
            sqlite_where=_DEAD,
            postgresql_where=_DEAD,
        ),
        Index("ix_endpoint_delivery_endpoint_id_id", "endpoint_id", "id"),
        Index("ix_endpoint_delivery_created_at", "created_at"),
        Index("ix_endpoint_delivery_queue_id", "queue_id", "node"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("endpoint.id"))
    webhook_id: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32))
    body: Mapped[str | None] = mapped_column(Text)
    events: Mapped[int] = mapped_column(default=1, server_default="1")
    queue_id: Mapped[str | None] = mapped_column(QueueId)
    node: Mapped[str | None] = mapped_column(String(63))
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(default=utcnow)
    leased_until: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class Attempt(Base):
    """`took` in seconds.  `response` is the beginning of the answer's body, as text."""

    __tablename__ = "endpoint_attempt"
    __table_args__ = (Index("ix_endpoint_attempt_delivery_id", "delivery_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("endpoint_delivery.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    took: Mapped[float]
    url: Mapped[str] = mapped_column(Text)
    status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(String(500))
    request_headers: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    response_headers: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    response: Mapped[str | None] = mapped_column(Text)


class Replay(Base):
    """Events of `since` to `until` are put into the outbox again.

    Done are those up to (`reached`, `event_id`); `events`: so many of them were wanted.
    """

    __tablename__ = "endpoint_replay"
    __table_args__ = (Index("ix_endpoint_replay_endpoint_id", "endpoint_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("endpoint.id", ondelete="CASCADE"))
    since: Mapped[datetime]
    until: Mapped[datetime]
    reached: Mapped[datetime]
    event_id: Mapped[int] = mapped_column(BigInteger, default=0)
    events: Mapped[int] = mapped_column(BigInteger, default=0)
    requested_at: Mapped[datetime] = mapped_column(default=utcnow)
    done_at: Mapped[datetime | None]
