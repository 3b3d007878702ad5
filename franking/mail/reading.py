"""Reads all accounts' events one after the other, so that nothing appears behind the reader.

Numbers are given to rows before they are committed: a row with a lower number may appear after one
with a higher number has been read.  On PostgreSQL each event has the number of its transaction, and
only those are read before which no transaction is under way any more: (xid, id) is then an order in
which rows only ever appear at the end.  SQLite has one writer at a time, all its `xid` are 0.

Whoever reads has a row in `event_reader`, and moves it in the transaction that writes what was made
of the events (`place`, then `move`).  On PostgreSQL one at a time reads for each name.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Row, bindparam, func, literal_column, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.accounts.models import Account, Credential
from franking.domains.models import Domain
from franking.mail.models import Event, EventReader, Message
from franking.tables import utcnow

_event, _message = Event.__table__, Message.__table__
_INTRODUCE: dict[str, Any] = {
    "sqlite": sqlite.insert(EventReader).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(EventReader).on_conflict_do_nothing(),
}
# The oldest transaction that is under way, of those that write.
_HORIZON = select(
    literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint", BigInteger)
)
_LAST = 2**63 - 1


class Place(NamedTuple):
    """Behind this event."""

    xid: int = 0
    event_id: int = 0


_FOLLOWING = (
    select(
        *(column for column in _event.c),
        Account.name.label("account"),
        Credential.username.label("credential"),
        Credential.stream.label("stream"),
        Domain.name.label("domain"),
        _message.c.message_id,
        _message.c.from_address,
        _message.c.subject,
        _message.c.tags,
        _message.c.metadata,
        _message.c.mode,
        _message.c.cost,
        _message.c.recipient_count,
        _message.c.accepted_at,
    )
    .select_from(_event)
    .join(Account, Account.id == _event.c.account_id)
    .outerjoin(Credential, Credential.id == _event.c.credential_id)
    .outerjoin(
        _message,
        (_message.c.queue_id == _event.c.queue_id) & (_message.c.node == _event.c.node),
    )
    .outerjoin(Domain, Domain.id == _message.c.domain_id)
    .where(
        tuple_(_event.c.xid, _event.c.id)
        > tuple_(bindparam("xid", type_=BigInteger), bindparam("event_id", type_=BigInteger)),
        _event.c.xid < bindparam("horizon", type_=BigInteger),
    )
    .order_by(_event.c.xid, _event.c.id)
    .limit(bindparam("most"))
)


def following(session: Session, after: Place, limit: int) -> Sequence[Row[*tuple[Any, ...]]]:
    """The next events: all columns of `event`, and of what they belong to `account`, `credential`,
    `stream`, `domain`, `message_id`, `from_address`, `subject`, `tags`, `metadata`, `mode`, `cost`,
    `recipient_count`, `accepted_at` (None where there is no message)."""
    values = {**after._asdict(), "horizon": horizon(session), "most": limit}
    found: Sequence[Row[*tuple[Any, ...]]] = session.connection().execute(_FOLLOWING, values).all()
    return found


def horizon(session: Session) -> int:
    """Events with a lower `xid` are all there."""
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        return _LAST
    return int(connection.execute(_HORIZON).scalar_one())


def place(session: Session, name: str) -> Place | None:
    """How far this reader has come; None while another process reads in its name.

    The row is locked until the end of the transaction.  A new reader begins at the very first.
    """
    connection = session.connection()
    values = {"name": name, "xid": 0, "event_id": 0, "read_at": utcnow()}
    connection.execute(_INTRODUCE[connection.dialect.name], values)
    found = session.execute(
        select(EventReader.xid, EventReader.event_id)
        .where(EventReader.name == name)
        .with_for_update(skip_locked=True)
    ).first()
    return None if found is None else Place(*found)


def move(session: Session, name: str, to: Place, now: datetime) -> None:
    moved = update(EventReader).where(EventReader.name == name)
    session.execute(moved.values(xid=to.xid, event_id=to.event_id, read_at=now))


def behind(session: Session, name: str) -> tuple[int, datetime | None]:
    """How many events this reader has before it, and when the oldest of them was written."""
    found = session.get(EventReader, name)
    at = Place() if found is None else Place(found.xid, found.event_id)
    waiting = tuple_(Event.xid, Event.id) > tuple_(at.xid, at.event_id)
    count, oldest = session.execute(select(func.count(), func.min(Event.at)).where(waiting)).one()
    return count, oldest
