"""Tables of what was used: totals per day, and issued invoices.

Two kinds of daily totals.  *UsageDay* is by the day on which a message was accepted, which is what
a chart shows.  *ChargeDay* is by the day on which its money was booked, which is what statements
and invoices are made of: a message that is captured after a month was invoiced belongs to the next
month.  Days and months are UTC, amounts micro-units.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from franking.tables import Base, BigId, utcnow

DIMENSIONS = ("account", "credential", "domain", "tag")


class UsageDay(Base):
    """What an account's messages of one day cost, in all and by something.

    `value` is a tag, or the number of a credential or domain; empty for the whole account, and
    for the tags of a day that has too many.  Only captured messages count.
    """

    __tablename__ = "usage_day"
    __table_args__ = (
        CheckConstraint(
            "dimension in ('account', 'credential', 'domain', 'tag')", name="dimension"
        ),
    )

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False
    )
    dimension: Mapped[str] = mapped_column(String(16), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(String(128), primary_key=True)
    messages: Mapped[int] = mapped_column(BigInteger, default=0)
    recipients: Mapped[int] = mapped_column(BigInteger, default=0)
    amount: Mapped[int] = mapped_column(BigInteger, default=0)
    refunded: Mapped[int] = mapped_column(BigInteger, default=0)


class ChargeDay(Base):
    """The ledger's captures and refunds of one day, by the price of a unit.

    A message whose units do not all cost the same is counted, and refunded, with its first unit.
    """

    __tablename__ = "charge_day"
    __table_args__ = (Index("ix_charge_day_day_account_id", "day", "account_id"),)

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    tier: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    unit_price: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    messages: Mapped[int] = mapped_column(BigInteger, default=0)
    units: Mapped[int] = mapped_column(BigInteger, default=0)
    amount: Mapped[int] = mapped_column(BigInteger, default=0)
    refunded: Mapped[int] = mapped_column(BigInteger, default=0)


class Invoice(Base):
    """Numbered without gaps; what it says (`data`, JSON) is never changed."""

    __tablename__ = "invoice"
    __table_args__ = (UniqueConstraint("account_id", "period"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    period: Mapped[date]
    issued_at: Mapped[datetime] = mapped_column(default=utcnow)
    currency: Mapped[str] = mapped_column(String(3))
    net: Mapped[int] = mapped_column(BigInteger)
    tax: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[str] = mapped_column(Text)
