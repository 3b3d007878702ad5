"""An account's refusals, newest first, by what was refused and why.

Pages are keyset pages.  A filter reads on through the account's own refusals only, of which there
are no more than so many a minute (`franking.mail.cap`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from franking.accounts.models import Account, Credential
from franking.mail.models import Event


@dataclass(frozen=True)
class Filter:
    """`key` is one of the catalogue's, `credential` a user name; None means all."""

    key: str | None = None
    recipient: str | None = None
    credential: str | None = None


def search(
    session: Session, account: Account, wanted: Filter, *, before: int | None = None,
    limit: int = 50,
) -> Sequence[Event]:  # fmt: skip
    """`before` is the ID of the page before's last refusal; a foreign one is ignored."""
    query = select(Event).where(Event.account_id == account.id, Event.kind == "rejected")
    if wanted.key:
        query = query.where(Event.detail["reply_key"].as_string() == wanted.key)
    if wanted.recipient:
        query = query.where(func.lower(Event.recipient) == wanted.recipient.lower())
    if wanted.credential:
        named = select(Credential.id).where(
            Credential.account_id == account.id, Credential.username == wanted.credential
        )
        query = query.where(Event.credential_id.in_(named))
    last = _own(session, account, before)
    if last is not None:
        earlier = or_(Event.at < last.at, and_(Event.at == last.at, Event.id < last.id))
        query = query.where(Event.at <= last.at, earlier)
    return session.scalars(query.order_by(Event.at.desc(), Event.id.desc()).limit(limit)).all()


def _own(session: Session, account: Account, event_id: int | None) -> Event | None:
    if event_id is None:
        return None
    return session.scalars(
        select(Event).where(Event.id == event_id, Event.account_id == account.id)
    ).first()
