"""Tables of sending domains.

Names are stored as lower-case A-labels (IDNA 2008, UTS 46), so that equality in the database is
equality of domains.  A domain that was removed keeps its row, because messages point at it, and
loses everything else: keys, token, checks (`franking.domains.ownership.remove`).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from franking.tables import Base, BigId, utcnow

VERIFIED = text("verified_at IS NOT NULL")
HAS_ADDRESS = text("dmarc_token IS NOT NULL")
KEY_STATES = ("pending", "active", "retiring")
METHODS = ("txt", "cname")


class Domain(Base):
    """`verified_at`: this account, and no other, may send from it.

    `failing_since`: its required records have been wrong since then; `suspended_at`: nothing is
    signed for it any more, so no mail from it is accepted.  `dkim_method`: how the customer
    publishes keys, as TXT records of their own or as CNAMEs into the relay's zone, where `token`
    is part of the target's name.  `return_path_at`: its return-path record is published, and
    envelope senders use it.
    """

    __tablename__ = "domain"
    __table_args__ = (
        UniqueConstraint("account_id", "name"),
        CheckConstraint("dkim_method in ('txt', 'cname')", name="dkim_method"),
        CheckConstraint("dmarc_stage in ('none', 'quarantine', 'reject')", name="dmarc_stage"),
        # A domain is verified by one account at a time, whoever else has added it.
        Index(
            "uq_domain_verified_name",
            "name",
            unique=True,
            sqlite_where=VERIFIED,
            postgresql_where=VERIFIED,
        ),
        # Not a constraint: on PostgreSQL, who changes a column that foreign keys could refer to
        # waits for all mail of the domain that is just being accepted.
        Index(
            "uq_domain_dmarc_token",
            "dmarc_token",
            unique=True,
            sqlite_where=HAS_ADDRESS,
            postgresql_where=HAS_ADDRESS,
        ),
        Index("ix_domain_check_due_at", "check_due_at"),
        Index("ix_domain_dkim_due_at", "dkim_due_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    name: Mapped[str] = mapped_column(String(253))
    ownership_token: Mapped[str] = mapped_column(String(64))
    verified_at: Mapped[datetime | None]
    verified_by: Mapped[str | None] = mapped_column(String(16))
    allow_subdomains: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    removed_at: Mapped[datetime | None]

    checked_at: Mapped[datetime | None]
    check_due_at: Mapped[datetime | None]  # None: never (removed)
    failing_since: Mapped[datetime | None]
    warned_at: Mapped[datetime | None]  # `domain.failing` was told
    suspended_at: Mapped[datetime | None]

    dkim_method: Mapped[str] = mapped_column(String(8), default="txt", server_default="txt")
    dkim_token: Mapped[str | None] = mapped_column(String(32))
    dkim_due_at: Mapped[datetime | None] = mapped_column(default=utcnow)  # keys: next look
    return_path_host: Mapped[str] = mapped_column(
        String(63), default="bounce", server_default="bounce"
    )
    return_path_at: Mapped[datetime | None]
    tracking_host: Mapped[str | None] = mapped_column(String(63))

    dmarc_token: Mapped[str | None] = mapped_column(String(32))
    dmarc_stage: Mapped[str] = mapped_column(String(16), default="none", server_default="none")
    dmarc_since: Mapped[datetime | None]  # the published record has had that stage since then
    dmarc_days: Mapped[int] = mapped_column(default=30, server_default="30")


class DkimKey(Base):
    """A signing key; the private half is encrypted (`franking.domains.dkim`).

    pending: made, and either not yet seen at every resolver or before its turn, `activate_at`;
    active: signs; retiring: signs no more, its record stays until `remove_at` for mail that is
    under way, and the row goes with it.  `told_at`: the customer was asked to publish it.
    """

    __tablename__ = "dkim_key"
    __table_args__ = (
        UniqueConstraint("domain_id", "selector"),
        CheckConstraint("state in ('pending', 'active', 'retiring')", name="state"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    selector: Mapped[str] = mapped_column(String(63))
    algorithm: Mapped[str] = mapped_column(String(16))
    public_key: Mapped[str] = mapped_column(Text)
    sealed_private_key: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(8), default="active", server_default="active")
    method: Mapped[str] = mapped_column(String(8), default="txt", server_default="txt")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    activate_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]  # since when, at every resolver
    activated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    remove_at: Mapped[datetime | None]


class UsedSelector(Base):
    """A TXT record's selector that a domain's key has had, of whichever account.

    Rows stay for good, after keys and accounts: receivers may remember the record, and a customer
    may have left it in the zone, so no other key ever gets its name.
    """

    __tablename__ = "used_selector"

    domain: Mapped[str] = mapped_column(String(253), primary_key=True)
    selector: Mapped[str] = mapped_column(String(63), primary_key=True)


class DnsCheck(Base):
    """What the last look at one expected record has found; written by the worker.

    `status`: not_started, pending, verified, wrong, missing or temporary_failure; `fault` is a key
    of `franking.domains.checks.faults`; `advice` the sentence that says what to do.
    """

    __tablename__ = "dns_check"
    __table_args__ = (UniqueConstraint("domain_id", "purpose", "name"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id", ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(320))
    status: Mapped[str] = mapped_column(String(20), default="not_started")
    fault: Mapped[str | None] = mapped_column(String(32))
    found: Mapped[list[str]] = mapped_column(JSON, default=list)
    advice: Mapped[str] = mapped_column(Text, default="")
    seen_at: Mapped[datetime | None]  # first right
    checked_at: Mapped[datetime | None]


class ZoneEntry(Base):
    """A TXT record of the relay's own zone: what it shall be, and what its server was told.

    None means that there is none.  A row whose both are None is deleted.
    """

    __tablename__ = "zone_entry"

    name: Mapped[str] = mapped_column(String(253), primary_key=True)
    value: Mapped[str | None] = mapped_column(Text)
    published: Mapped[str | None] = mapped_column(Text)
    published_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(200))
