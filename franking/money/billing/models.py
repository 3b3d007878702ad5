"""Table of an account's own settings about money; no row means the defaults."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, ForeignKey, String, Text, true
from sqlalchemy.orm import Mapped, mapped_column

from franking.tables import Base


class BillingSettings(Base):
    """Amounts in micro-units; None switches off.

    `topup_below` and `topup_amount`: when less than the first is available, the saved card is
    charged the second.  `low_since` and `empty_since`: the alert was given at that time and the
    balance has not recovered since.  `cap_told_on`: the last day on which the account was told
    that its cap was reached.
    """

    __tablename__ = "billing_settings"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id"), primary_key=True, autoincrement=False
    )
    daily_cap: Mapped[int | None] = mapped_column(BigInteger)
    low_balance_at: Mapped[int | None] = mapped_column(BigInteger)
    alerts_by_mail: Mapped[bool] = mapped_column(default=True, server_default=true())
    topup_below: Mapped[int | None] = mapped_column(BigInteger)
    topup_amount: Mapped[int | None] = mapped_column(BigInteger)
    topup_failures: Mapped[int] = mapped_column(default=0, server_default="0")
    topup_last_at: Mapped[datetime | None]
    invoice_name: Mapped[str | None] = mapped_column(String(200))
    invoice_address: Mapped[str | None] = mapped_column(Text)
    tax_id: Mapped[str | None] = mapped_column(String(64))
    low_since: Mapped[datetime | None]
    empty_since: Mapped[datetime | None]
    cap_told_on: Mapped[date | None]
