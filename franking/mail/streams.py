"""Streams: an account's mail by kind, such as `receipts` or `newsletter`.

Each credential names the stream that its mail belongs to; who complains or unsubscribes gets no
more mail of that stream.  What is marked bulk, to many people at once, gets links to unsubscribe
(`milterd.unsubscribe`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.accounts.credential_options import check_stream
from franking.accounts.models import Account, Credential
from franking.db import utcnow
from franking.mail.models import Stream

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True)
class Known:
    """`credentials`: how many of those in use name it."""

    name: str
    bulk: bool
    credentials: int


def all_of(session: Session, account: Account) -> Sequence[Known]:
    """Those that a credential in use names, and those that something was said about; by name."""
    named = (
        select(Credential.stream, func.count())
        .where(Credential.account_id == account.id, Credential.revoked_at.is_(None))
        .group_by(Credential.stream)
    )
    counts = dict(session.execute(named).all())
    rows = select(Stream.name, Stream.bulk).where(Stream.account_id == account.id)
    marked = dict(session.execute(rows).all())
    return [
        Known(name, marked.get(name, False), counts.get(name, 0))
        for name in sorted(counts.keys() | marked.keys())
    ]


def mark(session: Session, account: Account, name: str, *, bulk: bool) -> None:
    """Whether it is bulk, from the next message on.  Raises Invalid when it is no such name."""
    check_stream(name)
    insert = _INSERTS[session.get_bind().dialect.name](Stream)
    row = insert.values(account_id=account.id, name=name, bulk=bulk, created_at=utcnow())
    session.execute(
        row.on_conflict_do_update(
            index_elements=[Stream.account_id, Stream.name], set_={"bulk": bulk}
        )
    )
