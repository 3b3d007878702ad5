"""Looking through an account's suppression list: pages, filters, and what caused each entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.domains.names import to_ascii
from franking.mail.models import Event, Suppression
from franking.reasons import Invalid

# What to say before an entry goes.
WARNINGS = {
    "hard_bounce": "Mail to addresses that do not exist harms your reputation with receivers.",
    "soft_bounce": "The mailbox failed several times, and may do so again.",
    "complaint": "The recipient reported your mail as spam; another complaint harms all your mail.",
    "unsubscribe": "The recipient asked not to be written to; the law often is with them.",
}


@dataclass(frozen=True)
class Filter:
    """What to look for; empty means all.  `text` is an address or a part of one."""

    text: str = ""
    reason: str = ""
    scope: str = ""


@dataclass(frozen=True)
class Listed:
    """An entry and what caused it, while that is kept."""

    entry: Suppression
    event: Event | None


def search(
    session: Session,
    account: Account,
    wanted: Filter,
    now: datetime,
    *,
    before: int | None = None,
    limit: int = 100,
) -> Sequence[Listed]:
    """A page, the newest first; `before` is the ID of the last entry of the page before."""
    query = (
        select(Suppression, Event)
        .outerjoin(Event, and_(Event.id == Suppression.event_id, Event.account_id == account.id))
        .where(
            Suppression.account_id == account.id,
            or_(Suppression.expires_at.is_(None), Suppression.expires_at > now),
            *_filters(wanted),
        )
        .order_by(Suppression.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(Suppression.id < before)
    return [Listed(*row) for row in session.execute(query)]


def _filters(wanted: Filter) -> list[ColumnElement[bool]]:
    text = _part(wanted.text)
    filters: list[ColumnElement[bool]] = []
    if text:
        filters.append(Suppression.address.contains(text, autoescape=True))
    if wanted.reason:
        filters.append(Suppression.reason == wanted.reason)
    if wanted.scope:
        filters.append(Suppression.scope == wanted.scope)
    return filters


def _part(text: str) -> str:
    """`Anna@Bücher.Example`, `@bücher.example` or `anna` as they are in the stored form."""
    local, at, domain = text.strip().lower().rpartition("@")
    try:
        return f"{local}{at}{to_ascii(domain)}"
    except Invalid:
        return f"{local}{at}{domain}"
