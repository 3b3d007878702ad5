"""Tables of webhooks.

*Endpoint*: a customer's URL.  *Delivery*: one event for one endpoint; the outbox, claimed with a
lease (`leased_until`), tried again until `delivered_at` or `dead_at` is set.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from franking.tables import Base, BigId, utcnow

_DUE = text("delivered_at IS NULL AND dead_at IS NULL")


class Endpoint(Base):
    """`events` are kinds such as `balance.low`; empty means all.  Secrets are sealed.

    After a rotation `sealed_previous` signs too, until `previous_until`.  `failing_since`: nothing
    has been taken since the first try that failed.
    """

    __tablename__ = "endpoint"
    __table_args__ = (Index("ix_endpoint_account_id", "account_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(JSON, default=list)
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_previous: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_until: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class Delivery(Base):
    """`webhook_id` stays the same over all attempts: receivers know repeats by it."""

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
        Index("ix_endpoint_delivery_endpoint_id_id", "endpoint_id", "id"),
        Index("ix_endpoint_delivery_created_at", "created_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("endpoint.id"))
    webhook_id: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32))
    body: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(default=utcnow)
    leased_until: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
