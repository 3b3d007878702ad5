"""Tables of accounts.

*Account*: a tenant; owns money, domains, credentials, messages.  *User*: a person who logs in to
the panel.  *Credential*: a user name and secret with which an application submits mail.
*CredentialUse*: who still uses which of its secrets.  *AuthFailure* and *RateCounter* count.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from franking.money.models import Plan
from franking.tables import Base, BigId, utcnow


class Account(Base):
    __tablename__ = "account"
    __table_args__ = (CheckConstraint("status in ('active','suspended','closed')", name="status"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"))
    status: Mapped[str] = mapped_column(String(16), default="active")
    suspended_reason: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    plan: Mapped[Plan] = relationship(lazy="joined", innerjoin=True)


class User(Base):
    """A person.  The column names are those that Flask-Security expects of a user."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    email: Mapped[str] = mapped_column(String(255), unique=True)
    password: Mapped[str] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    account: Mapped[Account] = relationship(lazy="joined", innerjoin=True)


class Credential(Base):
    """An SMTP user name and the hash of its secret.

    `previous_*` is the secret before the last rotation, good until `previous_until`.
    `sealed_secret` is set only where the operator lets customers see secrets again: encrypted
    with the master key (`franking.sealing`).  An empty list means no restriction.
    """

    __tablename__ = "credential"
    __table_args__ = (
        CheckConstraint("mode in ('live','test')", name="mode"),
        Index("ix_credential_account_id_created_at", "account_id", "created_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    name: Mapped[str] = mapped_column(String(64))
    username: Mapped[str] = mapped_column(String(32), unique=True)
    secret_sha256: Mapped[str] = mapped_column(String(64))
    secret_hint: Mapped[str] = mapped_column(String(8))
    sealed_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_sha256: Mapped[str | None] = mapped_column(String(64))
    previous_hint: Mapped[str | None] = mapped_column(String(8))
    previous_until: Mapped[datetime | None]
    mode: Mapped[str] = mapped_column(String(8), default="live")
    stream: Mapped[str] = mapped_column(String(32), default="default", server_default="default")
    rules: Mapped[str] = mapped_column(Text, default="{}", server_default="{}")
    source_networks: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    sending_domains: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    allow_plaintext: Mapped[bool] = mapped_column(default=False, server_default=false())
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    last_used_ip: Mapped[str | None] = mapped_column(String(45))
    last_used_helo: Mapped[str | None] = mapped_column(String(255))
    # What its messages of one day (UTC) cost; counted while it has a daily cap.
    spent: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    spent_on: Mapped[date | None]
    cap_told_on: Mapped[date | None]  # when its account was told the last time

    account: Mapped[Account] = relationship(lazy="joined", innerjoin=True)


class CredentialUse(Base):
    """A client that logged in with one of a credential's secrets, told by its last characters."""

    __tablename__ = "credential_use"
    __table_args__ = (UniqueConstraint("credential_id", "secret_hint", "client_ip"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    credential_id: Mapped[int] = mapped_column(ForeignKey("credential.id"))
    secret_hint: Mapped[str] = mapped_column(String(8))
    client_ip: Mapped[str] = mapped_column(String(45))
    client_helo: Mapped[str | None] = mapped_column(String(255))
    listener: Mapped[str | None] = mapped_column(String(32))
    first_used_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_used_at: Mapped[datetime] = mapped_column(default=utcnow)


class AuthFailure(Base):
    """Failed logins from one source address (`address:192.0.2.1`), to one account (`account:17`) or
    with a name that nobody has (`name:<SHA-256>`)."""

    __tablename__ = "auth_failure"

    subject: Mapped[str] = mapped_column(String(80), primary_key=True)
    failures: Mapped[int]
    first_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)


class RateCounter(Base):
    """What one subject has sent in one calendar window that begins at `starts_at`.

    Subjects: `account:17`, `credential:4`, `address:17:192.0.2.1`, `address:17:2001:db8::/64`, each
    with `/recipients` behind it where recipients are counted, and with `test:` before it for what
    a test credential sends.
    """

    __tablename__ = "rate_counter"

    subject: Mapped[str] = mapped_column(String(96), primary_key=True)
    unit: Mapped[str] = mapped_column(String(8), primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    used: Mapped[int] = mapped_column(BigInteger)


class AuditEntry(Base):
    """Who changed what; written beside the change, in the same transaction."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_account_id_id", "account_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    actor: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    note: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(default=utcnow)
