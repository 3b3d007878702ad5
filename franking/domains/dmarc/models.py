"""Tables of DMARC aggregate reports: what receivers say about mail that bears a domain's name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from franking.tables import Base, BigId, utcnow


class DmarcReport(Base):
    """An aggregate report of one receiver about one domain (RFC 7489 §7.2, appendix C)."""

    __tablename__ = "dmarc_report"
    __table_args__ = (
        UniqueConstraint("domain_id", "org_name", "report_id"),
        Index("ix_dmarc_report_domain_id_begin_at", "domain_id", "begin_at"),
        Index("ix_dmarc_report_domain_id_received_at", "domain_id", "received_at"),
        Index("ix_dmarc_report_received_at", "received_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id", ondelete="CASCADE"))
    org_name: Mapped[str] = mapped_column(String(255))
    report_id: Mapped[str] = mapped_column(String(255))
    begin_at: Mapped[datetime]
    end_at: Mapped[datetime]
    policy: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    received_at: Mapped[datetime] = mapped_column(default=utcnow)


class DmarcRow(Base):
    """One source of one report: messages that came from an address, and how they fared."""

    __tablename__ = "dmarc_row"
    __table_args__ = (Index("ix_dmarc_row_report_id", "report_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    report_id: Mapped[int] = mapped_column(ForeignKey("dmarc_report.id", ondelete="CASCADE"))
    source_ip: Mapped[str] = mapped_column(String(45))
    messages: Mapped[int]
    disposition: Mapped[str] = mapped_column(String(16))
    dkim_aligned: Mapped[bool]
    spf_aligned: Mapped[bool]
    header_from: Mapped[str] = mapped_column(String(253))
    envelope_from: Mapped[str | None] = mapped_column(String(253))
    dkim_domains: Mapped[list[str]] = mapped_column(JSON, default=list)
    source: Mapped[str] = mapped_column(String(64), default="unknown")  # a known source's name


class DmarcSource(Base):
    """A source that reports have named, and what the customer says: is its mail theirs?

    `messages`: of all reports.  `told_at`: the customer was told that there is this source.
    """

    __tablename__ = "dmarc_source"
    __table_args__ = (CheckConstraint("verdict in ('mine', 'foreign')", name="verdict"),)

    domain_id: Mapped[int] = mapped_column(
        ForeignKey("domain.id", ondelete="CASCADE"), primary_key=True
    )
    source: Mapped[str] = mapped_column(String(64), primary_key=True)  # name, or network
    verdict: Mapped[str | None] = mapped_column(String(8))
    messages: Mapped[int] = mapped_column(BigInteger, default=0)
    first_seen_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_seen_at: Mapped[datetime] = mapped_column(default=utcnow)
    told_at: Mapped[datetime | None]
