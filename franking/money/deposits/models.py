"""Tables of deposits.

*Deposit*: one payment from the moment it is asked for.  *ProviderEvent*: what a provider has told
us already, so that a repeat changes nothing.  *SavedCard*: what automatic top-up charges.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from franking.tables import Base, BigId, utcnow

PROVIDERS = ("manual", "stripe", "btcpay")
STATES = ("pending", "paid", "expired", "failed", "reversed")


class Deposit(Base):
    """`amount` was asked for; `credited` is in the ledger now.

    `paid` and `taken_back` (refunds, disputes) are what the provider last said, `reversed` is what
    the operator took back: `credited` is the first less the others, never below zero.
    `reference` is ours and fit to show (`D-7K2M9QX4TC`); `provider_reference` is the provider's own
    for what was asked (by hand: the bank's), `payment_reference` for what was paid.
    `version` counts the changes, so that an answer of before the last one is not applied.
    """

    __tablename__ = "deposit"
    __table_args__ = (
        UniqueConstraint("provider", "provider_reference"),
        CheckConstraint("provider in ('manual', 'stripe', 'btcpay')", name="provider"),
        CheckConstraint(
            "state in ('pending', 'paid', 'expired', 'failed', 'reversed')", name="state"
        ),
        Index("ix_deposit_account_id_id", "account_id", "id"),
        Index(
            "ix_deposit_pending",
            "created_at",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index(  # of an account, one automatic top-up at a time is in flight
            "uq_deposit_in_flight",
            "account_id",
            unique=True,
            sqlite_where=text("automatic AND state = 'pending'"),
            postgresql_where=text("automatic AND state = 'pending'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    provider: Mapped[str] = mapped_column(String(16))
    reference: Mapped[str] = mapped_column(String(32), unique=True)
    provider_reference: Mapped[str | None] = mapped_column(String(255))
    payment_reference: Mapped[str | None] = mapped_column(String(255), index=True)
    amount: Mapped[int] = mapped_column(BigInteger)
    paid: Mapped[int] = mapped_column(BigInteger, default=0)
    taken_back: Mapped[int] = mapped_column(BigInteger, default=0)
    reversed: Mapped[int] = mapped_column(BigInteger, default=0)
    credited: Mapped[int] = mapped_column(BigInteger, default=0)
    currency: Mapped[str] = mapped_column(String(3))
    state: Mapped[str] = mapped_column(String(16), default="pending")
    automatic: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str | None] = mapped_column(String(200))
    pay_url: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    checked_at: Mapped[datetime | None]  # the provider was asked
    settled_at: Mapped[datetime | None]


class ProviderEvent(Base):
    __tablename__ = "provider_event"
    __table_args__ = (Index("ix_provider_event_received_at", "received_at"),)

    provider: Mapped[str] = mapped_column(String(16), primary_key=True)
    event_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    kind: Mapped[str] = mapped_column(String(64))
    deposit_id: Mapped[int | None] = mapped_column(ForeignKey("deposit.id"))
    received_at: Mapped[datetime] = mapped_column(default=utcnow)


class SavedCard(Base):
    """References that only the operator's own key at the provider can use; no card data."""

    __tablename__ = "saved_card"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False
    )
    customer_reference: Mapped[str] = mapped_column(String(255), index=True)
    method_reference: Mapped[str | None] = mapped_column(String(255))
    label: Mapped[str | None] = mapped_column(String(64))
    saved_at: Mapped[datetime] = mapped_column(default=utcnow)
