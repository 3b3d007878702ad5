"""Tables of money.  Every amount is an integer of micro-units (1,000,000 = one unit of currency).

*Balance* is the running total of an account's `available` and `held` books; *LedgerEntry* is the
truth it is recomputed from.  Only `franking.money.ledger` and `.reservations` write them.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    JSON,
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

from franking.tables import Base, BigId, QueueId, utcnow


class Plan(Base):
    """`rules` and `terms` are JSON of `franking.accounts.rules.Rules` and `.terms.Terms`."""

    __tablename__ = "plan"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    currency: Mapped[str] = mapped_column(String(3))
    rules: Mapped[str] = mapped_column(Text, default="{}", server_default="{}")
    terms: Mapped[str] = mapped_column(Text, default="{}", server_default="{}")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class PriceList(Base):
    """What sending costs on a plan from a date on; never changed once that date has come.

    `tiers` is JSON, `[[0, 1000], [10000, 800]]`: beyond so many units a month, the price of one.
    """

    __tablename__ = "price_list"
    __table_args__ = (UniqueConstraint("plan_id", "starts_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"))
    tiers: Mapped[str] = mapped_column(Text)
    starts_at: Mapped[datetime] = mapped_column(default=utcnow)


class Balance(Base):
    """`available` is below zero while an overdraft is used, or after a payment was taken back.

    `volume` counts the units of the month that begins on `period`, `spent` what the messages of
    the day `spent_on` cost (UTC); both are written in the statement that moves the money.
    """

    __tablename__ = "balance"
    __table_args__ = (CheckConstraint("held >= 0", name="held"),)

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False
    )
    available: Mapped[int] = mapped_column(BigInteger, default=0)
    held: Mapped[int] = mapped_column(BigInteger, default=0)
    volume: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    period: Mapped[date | None]
    spent: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    spent_on: Mapped[date | None]


# An account's movements that no message makes: few enough for statements to list them all.
BY_HAND = "book = 'available' and cause in ('deposit','reversal','adjustment','fee')"
# What changes the sum of available and held: what the account itself calls its ledger.
LINES = (
    "book = 'held' and cause = 'capture' or book = 'available'"
    " and cause in ('deposit','reversal','adjustment','fee','refund')"
)


class LedgerEntry(Base):
    """One side of a transfer; append-only.  Entries with one `reference` sum to zero."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        UniqueConstraint("reference", "book"),
        CheckConstraint(
            "book in ('available','held','revenue','deposits','refunds','adjustments')",
            name="book",
        ),
        Index("ix_ledger_entry_account_id_id", "account_id", "id"),
        Index(
            "ix_ledger_entry_account_id_at",
            "account_id",
            "at",
            sqlite_where=text(BY_HAND),
            postgresql_where=text(BY_HAND),
        ),
        Index(
            "ix_ledger_entry_lines",
            "account_id",
            "cause",
            "at",
            "id",
            sqlite_where=text(LINES),
            postgresql_where=text(LINES),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    book: Mapped[str] = mapped_column(String(16))
    amount: Mapped[int] = mapped_column(BigInteger)
    cause: Mapped[str] = mapped_column(String(16))
    reference: Mapped[str] = mapped_column(String(120))
    note: Mapped[str | None] = mapped_column(String(200))
    event_id: Mapped[int | None] = mapped_column(BigInteger)  # why it was refunded
    at: Mapped[datetime] = mapped_column(default=utcnow)


class Reservation(Base):
    """Money set aside for one queue file; leaves `reserved` exactly once.

    `waiting`: accepted on an empty balance and held back; no money has moved for it yet.
    `capped_credential_id`: it counts for this credential's cap.
    `tier` and `unit_price` are those of its first unit: 0 is included in the plan, 1 the first
    tier of its price list.  When its units do not all cost the same, `parts` has
    `[[units, tier, unit_price], ...]`.
    """

    __tablename__ = "reservation"
    __table_args__ = (
        CheckConstraint(
            "state in ('waiting','reserved','captured','voided','unknown')", name="state"
        ),
        CheckConstraint("amount >= 0", name="amount"),
        Index(
            "ix_reservation_open",
            "node",
            "reserved_at",
            sqlite_where=text("state = 'reserved'"),
            postgresql_where=text("state = 'reserved'"),
        ),
        Index(
            "ix_reservation_unsettled",
            "state",
            "reserved_at",
            sqlite_where=text("state in ('waiting','unknown')"),
            postgresql_where=text("state in ('waiting','unknown')"),
        ),
    )

    queue_id: Mapped[str] = mapped_column(QueueId, primary_key=True)
    node: Mapped[str] = mapped_column(String(63), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    capped_credential_id: Mapped[int | None] = mapped_column(BigId)
    amount: Mapped[int] = mapped_column(BigInteger)
    units: Mapped[int] = mapped_column(default=1, server_default="1")
    tier: Mapped[int] = mapped_column(default=1, server_default="1")
    unit_price: Mapped[int] = mapped_column(BigInteger)
    price_list_id: Mapped[int] = mapped_column(ForeignKey("price_list.id"))
    parts: Mapped[list[list[int]] | None] = mapped_column(JSON(none_as_null=True))
    state: Mapped[str] = mapped_column(String(16), default="reserved")
    reserved_at: Mapped[datetime] = mapped_column(default=utcnow)
    settled_at: Mapped[datetime | None]
    evidence: Mapped[str | None] = mapped_column(String(200))
