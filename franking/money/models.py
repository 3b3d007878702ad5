"""Tables of money.  Every amount is an integer of micro-units (1,000,000 = one unit of currency).

*Balance* is the running total of an account's `available` and `held` books; *LedgerEntry* is the
truth it is recomputed from.  Only `franking.money.ledger` and `.reservations` write them.
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


class Plan(Base):
    __tablename__ = "plan"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    currency: Mapped[str] = mapped_column(String(3))
    rules: Mapped[str] = mapped_column(Text, default="{}", server_default="{}")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class PriceTier(Base):
    """What one message costs on a plan from a date on."""

    __tablename__ = "price_tier"
    __table_args__ = (
        UniqueConstraint("plan_id", "starts_at"),
        CheckConstraint("unit_price >= 0", name="unit_price"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"))
    unit_price: Mapped[int] = mapped_column(BigInteger)
    starts_at: Mapped[datetime] = mapped_column(default=utcnow)


class Balance(Base):
    __tablename__ = "balance"
    __table_args__ = (
        CheckConstraint("available >= 0", name="available"),
        CheckConstraint("held >= 0", name="held"),
    )

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False
    )
    available: Mapped[int] = mapped_column(BigInteger, default=0)
    held: Mapped[int] = mapped_column(BigInteger, default=0)


class LedgerEntry(Base):
    """One side of a transfer; append-only.  Entries with one `reference` sum to zero."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        UniqueConstraint("reference", "book"),
        CheckConstraint("book in ('available','held','revenue','deposits','refunds')", name="book"),
        Index("ix_ledger_entry_account_id_id", "account_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    book: Mapped[str] = mapped_column(String(16))
    amount: Mapped[int] = mapped_column(BigInteger)
    cause: Mapped[str] = mapped_column(String(16))
    reference: Mapped[str] = mapped_column(String(120))
    note: Mapped[str | None] = mapped_column(String(200))
    at: Mapped[datetime] = mapped_column(default=utcnow)


class Reservation(Base):
    """Money set aside for one queue file; leaves `reserved` exactly once."""

    __tablename__ = "reservation"
    __table_args__ = (
        CheckConstraint("state in ('reserved','captured','voided','unknown')", name="state"),
        CheckConstraint("amount >= 0", name="amount"),
        Index(
            "ix_reservation_open",
            "node",
            "reserved_at",
            sqlite_where=text("state = 'reserved'"),
            postgresql_where=text("state = 'reserved'"),
        ),
    )

    queue_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    node: Mapped[str] = mapped_column(String(63), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    amount: Mapped[int] = mapped_column(BigInteger)
    unit_price: Mapped[int] = mapped_column(BigInteger)
    price_tier_id: Mapped[int] = mapped_column(ForeignKey("price_tier.id"))
    state: Mapped[str] = mapped_column(String(16), default="reserved")
    reserved_at: Mapped[datetime] = mapped_column(default=utcnow)
    settled_at: Mapped[datetime | None]
    evidence: Mapped[str | None] = mapped_column(String(200))
