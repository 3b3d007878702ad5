"""Who is it?  User name and secret, and whether that secret may be used now and from there.

The reason of a refusal is told only to who has proved a secret; everybody else hears the same,
for the same work, whether the user name exists or not.  So the proof comes first, then what ended
the credential for good, then what its holder can mend.  The one exception says nothing about
what exists: no user name has an @ in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from franking.accounts import networks
from franking.accounts import secret as secrets_format
from franking.accounts.models import Account, Credential
from franking.mail import replies

_NO_SECRET = "-" * 64  # compared with when there is none; no SHA-256 is written like this
_credentials = Credential.__table__.c
_CREDENTIAL = (
    select(
        _credentials.id,
        _credentials.account_id,
        _credentials.username,
        _credentials.secret_sha256,
        _credentials.secret_hint,
        _credentials.previous_sha256,
        _credentials.previous_hint,
        _credentials.previous_until,
        _credentials.source_networks,
        _credentials.allow_plaintext,
        _credentials.expires_at,
        _credentials.revoked_at,
        Account.__table__.c.status,
    )
    .join(Account.__table__, Account.__table__.c.id == _credentials.account_id)
    .where(_credentials.username == bindparam("username"))
)


@dataclass(frozen=True)
class Identity:
    """A credential.  `secret_hint` is the end of the secret that was proved, else empty."""

    credential_id: int
    account_id: int
    username: str
    secret_hint: str = ""


class AuthenticationFailed(Exception):
    """`reason` is said to the client; `identity` is set when the user name is known, for the
    account's own eyes.  `proved`: a secret of it, perhaps its last one, was right."""

    def __init__(
        self, reason: str, identity: Identity | None = None, *, proved: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.identity = identity
        self.proved = proved


def authenticate(
    session: Session,
    username: str,
    secret: str,
    *,
    client_ip: str | None,
    secured: bool,
    now: datetime,
) -> Identity:
    """The credential that user name and secret prove; the secret in both fields is fine too.

    `secured` is true inside TLS.  Raises AuthenticationFailed.
    """
    email = "@" in username
    parsed = secrets_format.parse(secret) if email or username == secret else None
    values = {"username": parsed.username if parsed else username}
    row = session.connection().execute(_CREDENTIAL, values).one_or_none()
    current = secrets_format.matches(secret, row.secret_sha256 if row else _NO_SECRET)
    previous = secrets_format.matches(secret, (row.previous_sha256 if row else None) or _NO_SECRET)
    if row is None or not (current or previous):
        known = None if row is None or email else _identity(row)
        raise AuthenticationFailed(replies.AUTH_EMAIL if email else replies.AUTH_FAILED, known)
    identity = _identity(row, row.secret_hint if current else row.previous_hint)
    if email:
        raise AuthenticationFailed(replies.AUTH_EMAIL, identity, proved=True)
    reason = (
        replies.AUTH_ROTATED
        if not current and row.previous_until <= now
        else _objection(row, client_ip, secured, now)
    )
    if reason is not None:
        raise AuthenticationFailed(reason, identity, proved=True)
    return identity


def _identity(row: Row[*tuple[Any, ...]], secret_hint: str = "") -> Identity:
    return Identity(row.id, row.account_id, row.username, secret_hint)


def _objection(
    row: Row[*tuple[Any, ...]], client_ip: str | None, secured: bool, now: datetime
) -> str | None:
    """The first one; only for who holds a secret that is still good."""
    if row.revoked_at is not None:
        return replies.AUTH_REVOKED
    if row.status != "active":
        return replies.AUTH_SUSPENDED
    if row.expires_at is not None and row.expires_at <= now:
        return replies.AUTH_EXPIRED
    if row.source_networks and not networks.on_list(client_ip, row.source_networks):
        return replies.AUTH_ADDRESS
    if not secured and not (row.allow_plaintext and row.source_networks):
        return replies.AUTH_PLAINTEXT
    return None
