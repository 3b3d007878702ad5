"""Which clients log in with which of a credential's secrets.

It is what makes a rotation safe: the old secret may end when nobody uses it any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.accounts.models import Credential, CredentialUse

MOST_CLIENTS = 50  # of one credential; who was away the longest goes
LONGEST_HELO = 255

_CLIENT = ("credential_id", "secret_hint", "client_ip")
_quiet: dict[str, Any] = {"synchronize_session": False}


def of(session: Session, credential: Credential) -> Sequence[CredentialUse]:
    """Newest first."""
    return session.scalars(
        select(CredentialUse)
        .where(CredentialUse.credential_id == credential.id)
        .order_by(CredentialUse.last_used_at.desc(), CredentialUse.id.desc())
    ).all()


def logged_in(
    session: Session,
    credential_id: int,
    *,
    secret_hint: str,
    client_ip: str | None,
    listener: str | None,
    at: datetime,
) -> None:
    """Note a login; the caller limits how often."""
    session.execute(
        update(Credential)
        .where(Credential.id == credential_id)
        .values(last_used_at=at, last_used_ip=client_ip)
        .execution_options(**_quiet)
    )
    if client_ip is None:
        return
    values: dict[str, Any] = {"listener": listener or None, "last_used_at": at}
    known = session.execute(
        update(CredentialUse)
        .where(
            CredentialUse.credential_id == credential_id,
            CredentialUse.secret_hint == secret_hint,
            CredentialUse.client_ip == client_ip,
        )
        .values(values)
        .returning(CredentialUse.id)
        .execution_options(**_quiet)
    ).first()
    if known is None:
        _add(session, credential_id, secret_hint, client_ip, values)


def _add(
    session: Session,
    credential_id: int,
    secret_hint: str,
    client_ip: str,
    values: Mapping[str, Any],
) -> None:
    row = {
        "credential_id": credential_id,
        "secret_hint": secret_hint,
        "client_ip": client_ip,
        "first_used_at": values["last_used_at"],
        **values,
    }
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(  # another node may have added it since
        insert(CredentialUse)
        .values(row)
        .on_conflict_do_update(index_elements=_CLIENT, set_=dict(values))
    )
    kept = (
        select(CredentialUse.id)
        .where(CredentialUse.credential_id == credential_id)
        .order_by(CredentialUse.last_used_at.desc(), CredentialUse.id.desc())
        .limit(MOST_CLIENTS)
    )
    session.execute(
        delete(CredentialUse)
        .where(CredentialUse.credential_id == credential_id, CredentialUse.id.not_in(kept))
        .execution_options(**_quiet)
    )


def greeted(
    session: Session,
    credential_id: int,
    *,
    secret_hint: str | None,
    client_ip: str,
    helo: str,
    at: datetime,
) -> None:
    """Note that a session sends, and what the client called itself in EHLO.

    `secret_hint` None: it goes to whichever login from this address is the newest.
    """
    name = "".join(c if " " < c <= "~" else "?" for c in helo[:LONGEST_HELO])
    session.execute(
        update(Credential)
        .where(Credential.id == credential_id)
        .values(last_used_at=at, last_used_ip=client_ip, last_used_helo=name)
        .execution_options(**_quiet)
    )
    newest = (
        select(CredentialUse.id)
        .where(CredentialUse.credential_id == credential_id, CredentialUse.client_ip == client_ip)
        .order_by(CredentialUse.last_used_at.desc(), CredentialUse.id.desc())
        .limit(1)
    )
    if secret_hint is not None:
        newest = newest.where(CredentialUse.secret_hint == secret_hint)
    session.execute(
        update(CredentialUse)
        .where(CredentialUse.id == newest.scalar_subquery())
        .values(last_used_at=at, client_helo=name)
        .execution_options(**_quiet)
    )
