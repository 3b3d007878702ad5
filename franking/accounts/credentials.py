"""SMTP credentials: create, change, rotate, revoke.

A secret is returned once, by `create` and `rotate`; the database keeps its SHA-256, and where the
operator lets customers see secrets again, the secret itself under the master key.  After a
rotation the old secret goes on working for the overlap, so that each client can be given the new
one at its own time.  Who may log in is decided in `franking.accounts.authentication`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts import credential_options
from franking.accounts import secret as secrets_format
from franking.accounts import uses as uses_module
from franking.accounts.credential_options import Options
from franking.accounts.models import Account, Credential, CredentialUse
from franking.accounts.rules import narrowing_of, stored
from franking.db import utcnow
from franking.reasons import Invalid, NotFound
from franking.sealing import Sealer, SealError

__all__ = [
    "Created",
    "Options",
    "all_of",
    "change",
    "create",
    "end_overlap",
    "get",
    "options_of",
    "overlapping",
    "reveal",
    "revoke",
    "rotate",
    "secret_state",
    "state_of",
    "uses",
]

LONGEST_NAME = 64

State = Literal["active", "expired", "revoked"]
SecretState = Literal["current", "previous", "ended"]


@dataclass(frozen=True)
class Created:
    credential: Credential
    secret: str


def create(
    session: Session,
    account: Account,
    name: str,
    *,
    prefix: str,
    mode: str = "live",
    options: Options | None = None,
    sealer: Sealer | None = None,
    now: datetime | None = None,
) -> Created:
    """A new credential; `name` is what the customer calls it, `mode` is live or test.

    With a `sealer` the secret can be shown again (`reveal`).
    """
    moment = now or utcnow()
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise Invalid.of("name", f"a credential needs a name of 1 to {LONGEST_NAME} characters")
    if mode not in ("live", "test"):
        raise Invalid.of("mode", "a credential's mode is live or test")
    username, secret = secrets_format.generate(prefix, mode)
    credential = Credential(
        account=account,
        name=name,
        username=username,
        secret_sha256=secrets_format.fingerprint(secret),
        secret_hint=secrets_format.hint(secret),
        sealed_secret=_sealed(secret, username, sealer),
        mode=mode,
        created_at=moment,
    )
    _apply(session, account, credential, options or Options(), moment)
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


def get(
    session: Session, account: Account, username: str, *, for_update: bool = False
) -> Credential:
    query = select(Credential).where(
        Credential.username == username, Credential.account_id == account.id
    )
    if for_update:
        query = query.with_for_update(of=Credential).execution_options(populate_existing=True)
    credential = session.scalar(query)
    if credential is None:
        raise NotFound(f"there is no credential {username!r}")
    return credential


def state_of(credential: Credential, now: datetime) -> State:
    if credential.revoked_at is not None:
        return "revoked"
    expires_at = credential.expires_at
    return "expired" if expires_at is not None and expires_at <= now else "active"


def options_of(credential: Credential) -> Options:
    return Options(
        stream=credential.stream,
        expires_at=credential.expires_at,
        source_networks=tuple(credential.source_networks),
        sending_domains=tuple(credential.sending_domains),
        allow_plaintext=credential.allow_plaintext,
        rules=narrowing_of(credential.rules),
    )


def change(
    session: Session,
    account: Account,
    username: str,
    options: Options,
    now: datetime | None = None,
) -> Credential:
    """Replace all options; start from `options_of` to change one.  Holds from the next login and
    the next message on."""
    credential = _alive(session, account, username)
    _apply(session, account, credential, options, now or utcnow())
    session.flush()
    return credential


def _apply(
    session: Session, account: Account, credential: Credential, options: Options, now: datetime
) -> None:
    options = credential_options.checked(session, account, options)
    expires_at = options.expires_at
    if expires_at is not None and expires_at != credential.expires_at and expires_at <= now:
        raise Invalid.of(
            "expires_at", f"the expiry {expires_at:%Y-%m-%d %H:%MZ} is not in the future"
        )
    credential.stream = options.stream
    credential.expires_at = expires_at
    credential.source_networks = list(options.source_networks)
    credential.sending_domains = list(options.sending_domains)
    credential.allow_plaintext = options.allow_plaintext
    credential.rules = stored(options.rules)


def rotate(
    session: Session,
    account: Account,
    username: str,
    *,
    overlap: timedelta,
    longest: timedelta,
    sealer: Sealer | None = None,
    now: datetime | None = None,
) -> Created:
    """A new secret for the same user name; the present one works for `overlap` from now on.

    Refused while an overlap runs: a third secret would silently end the oldest, which clients may
    still use, and the button may have been pressed twice.
    """
    moment = now or utcnow()
    if not timedelta() <= overlap <= longest:
        raise Invalid.of("overlap", f"the old secret may work for 0 to {longest.days} days more")
    credential = _alive(session, account, username)
    if state_of(credential, moment) == "expired":
        raise Invalid("the credential has expired; set another expiry date first")
    if overlapping(credential, moment):
        raise Invalid(
            f"the secret …{credential.previous_hint} still works until"
            f" {credential.previous_until:%Y-%m-%d %H:%MZ}; end that overlap first"
        )
    secret = secrets_format.another(username, credential.mode)
    while secrets_format.hint(secret) == credential.secret_hint:  # it tells them apart in lists
        secret = secrets_format.another(username, credential.mode)
    credential.previous_sha256 = credential.secret_sha256
    credential.previous_hint = credential.secret_hint
    credential.previous_until = moment + overlap
    credential.secret_sha256 = secrets_format.fingerprint(secret)
    credential.secret_hint = secrets_format.hint(secret)
    credential.sealed_secret = _sealed(secret, username, sealer)
    session.flush()
    return Created(credential, secret)


def overlapping(credential: Credential, now: datetime) -> bool:
    """Whether the secret before the last rotation still works."""
    return credential.previous_until is not None and credential.previous_until > now


def secret_state(credential: Credential, hint: str, now: datetime) -> SecretState:
    """Of the secret that ends in `hint`: is it the present one, the one before, or over?"""
    if hint == credential.secret_hint:
        return "current"
    if hint == credential.previous_hint and overlapping(credential, now):
        return "previous"
    return "ended"


def end_overlap(
    session: Session, account: Account, username: str, now: datetime | None = None
) -> Credential:
    """From now on the old secret is refused; a second time changes nothing."""
    moment = now or utcnow()
    credential = get(session, account, username, for_update=True)
    if overlapping(credential, moment):
        credential.previous_until = moment
        session.flush()
    return credential


def revoke(
    session: Session, account: Account, username: str, now: datetime | None = None
) -> Credential:
    """From now on 535; revoking twice changes nothing."""
    credential = get(session, account, username, for_update=True)
    credential.revoked_at = credential.revoked_at or now or utcnow()
    session.flush()
    return credential


def uses(session: Session, credential: Credential) -> Sequence[CredentialUse]:
    """The clients that have logged in with it lately, newest first."""
    return uses_module.of(session, credential)


def reveal(credential: Credential, sealer: Sealer) -> str:
    """The present secret; the caller asks first whether this person may see it."""
    if credential.sealed_secret is None:
        raise Invalid("this secret was not kept and cannot be shown again; rotate it for a new one")
    try:
        secret = sealer.open(credential.sealed_secret, context(credential.username))
    except SealError as error:
        raise Invalid(f"this secret cannot be shown: {error}") from error
    return secret.decode("ascii")


def _alive(session: Session, account: Account, username: str) -> Credential:
    credential = get(session, account, username, for_update=True)
    if credential.revoked_at is not None:
        raise Invalid("the credential is revoked for good; create another one")
    return credential


def _sealed(secret: str, username: str, sealer: Sealer | None) -> bytes | None:
    return None if sealer is None else sealer.seal(secret.encode("ascii"), context(username))


def context(username: str) -> str:
    return f"credential:{username}"
