"""Table of what the last look at a node's own addresses has found."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from franking.tables import Base


class NodeCheck(Base):
    """`subject`: an address, a listener or a name; `fix` is empty when `status` is ok."""

    __tablename__ = "node_check"
    __table_args__ = (CheckConstraint("status in ('ok', 'warn', 'fail')", name="status"),)

    node: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(48), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), primary_key=True, default="")
    status: Mapped[str] = mapped_column(String(8))
    detail: Mapped[str] = mapped_column(Text)
    fix: Mapped[str] = mapped_column(Text, default="")
    checked_at: Mapped[datetime]
