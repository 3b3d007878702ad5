"""SMTP credentials: create, revoke, authenticate.

A secret is returned once, by `create`; the database keeps its SHA-256.  `authenticate` does the
same work for unknown and known user names and says the same of both, so that a stranger cannot
tell which user names exist; only who holds the right secret learns that it was revoked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from franking.accounts import secret as secrets_format
from franking.accounts.models import Account, Credential
from franking.db import utcnow
from franking.mail import replies
from franking.reasons import Invalid, NotFound

LONGEST_NAME = 64
_NOBODY = secrets_format.fingerprint("nobody")


@dataclass(frozen=True)
class Created:
    credential: Credential
    secret: str


class AuthenticationFailed(Exception):
    """`reason` is said to the client; `credential` is set when the user name is known."""

    def __init__(self, reason: str, credential: Credential | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.credential = credential


def create(
    session: Session,
    account: Account,
    name: str,
    *,
    prefix: str,
    mode: str = "live",
    now: datetime | None = None,
) -> Created:
    """A new credential; `name` is what the customer calls it, `mode` is live or test."""
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise Invalid(f"a credential needs a name of 1 to {LONGEST_NAME} characters")
    if mode not in ("live", "test"):
        raise Invalid("a credential's mode is live or test")
    username, secret = secrets_format.generate(prefix, mode)
    credential = Credential(
        account=account,
        name=name,
        username=username,
        secret_sha256=secrets_format.fingerprint(secret),
        secret_hint=secret[-4:],
        mode=mode,
        created_at=now or utcnow(),
    )
    session.add(credential)
    session.flush()
    return Created(credential, secret)


def all_of(session: Session, account: Account) -> Sequence[Credential]:
    """Newest first, revoked ones included."""
    return session.scalars(
        select(Credential)
        .where(Credential.account_id == account.id)
        .order_by(Credential.created_at.desc(), Credential.id.desc())
    ).all()


def get(session: Session, account: Account, username: str) -> Credential:
    credential = session.scalar(
        select(Credential).where(
            Credential.username == username, Credential.account_id == account.id
        )
    )
    if credential is None:
        raise NotFound(f"there is no credential {username!r}")
    return credential


def revoke(
    session: Session, account: Account, username: str, now: datetime | None = None
) -> Credential:
    """From now on 535; revoking twice changes nothing."""
    credential = get(session, account, username)
    credential.revoked_at = credential.revoked_at or now or utcnow()
    session.flush()
    return credential


def authenticate(session: Session, username: str, secret: str) -> Credential:
    """The credential that user name and secret prove; the secret in both fields is fine too.

    Raises AuthenticationFailed with the text for the client.
    """
    if username == secret and (parsed := secrets_format.parse(secret)) is not None:
        username = parsed.username
    credential = session.scalar(select(Credential).where(Credential.username == username))
    stored = credential.secret_sha256 if credential is not None else _NOBODY
    if not secrets_format.matches(secret, stored) or credential is None:
        raise AuthenticationFailed(replies.AUTH_FAILED, credential)
    if credential.revoked_at is not None:
        raise AuthenticationFailed(replies.AUTH_REVOKED, credential)
    if credential.account.status != "active":
        raise AuthenticationFailed(replies.AUTH_SUSPENDED, credential)
    return credential


def touch(session: Session, credential_id: int, ip: str | None, at: datetime) -> None:
    """Note the last use; the caller limits how often."""
    session.execute(
        update(Credential)
        .where(Credential.id == credential_id)
        .values(last_used_at=at, last_used_ip=ip)
        .execution_options(synchronize_session=False)
    )
