"""Tables of relay nodes, of what they count, and of what one of them does for all."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from franking.tables import Base, QueueId, utcnow


class Node(Base):
    """One relay node.

    `state` is what an operator wants of it; `overload` is set by the node itself while its queue
    or its load is above the threshold.  Either makes it refuse new transactions.
    """

    __tablename__ = "node"
    __table_args__ = (CheckConstraint("state in ('active','draining')", name="state"),)

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    state: Mapped[str] = mapped_column(String(16), default="active")
    reason: Mapped[str | None] = mapped_column(String(200))
    changed_at: Mapped[datetime] = mapped_column(default=utcnow)
    overload: Mapped[str | None] = mapped_column(String(200))
    queued: Mapped[int | None]
    oldest_seconds: Mapped[float | None]
    load: Mapped[float | None]
    reported_at: Mapped[datetime | None]


class Duty(Base):
    """Something that one node at a time does for all; `node` did it last, or is about it."""

    __tablename__ = "duty"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    due_at: Mapped[datetime]
    node: Mapped[str | None] = mapped_column(String(63))


class Tally(Base):
    """How often something has happened on a node, ever; for metrics."""

    __tablename__ = "tally"

    node: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(48), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger, default=0)


class AddressBlock(Base):
    """A receiver that refuses mail because of this node's address, and what it said last."""

    __tablename__ = "address_block"

    node: Mapped[str] = mapped_column(String(63), primary_key=True)
    receiver: Mapped[str] = mapped_column(String(253), primary_key=True)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    refusals: Mapped[int] = mapped_column(default=0)
    remote_ip: Mapped[str | None] = mapped_column(String(45))
    reply: Mapped[str] = mapped_column(Text)
    queue_id: Mapped[str] = mapped_column(QueueId)
