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

from sqlalchemy import (
    BigInteger,
    Row,
    bindparam,
    func,
    literal_column,
    select,
    text,
    tuple_,
    update,
)  # fmt: skip
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
_NEXT = select(literal_column("pg_snapshot_xmax(pg_current_snapshot())::text::bigint", BigInteger))
_LAST = 2**63 - 1
MOST_COUNTED = 100_000


class Place(NamedTuple):
    """Behind this event."""

    xid: int = 0
    event_id: int = 0


_EVENTS = (
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
)
_FOLLOWING = (
    _EVENTS.where(
        tuple_(_event.c.xid, _event.c.id)
        > tuple_(bindparam("xid", type_=BigInteger), bindparam("event_id", type_=BigInteger)),
        _event.c.xid < bindparam("horizon", type_=BigInteger),
    )
    .order_by(_event.c.xid, _event.c.id)
    .limit(bindparam("most"))
)
# The times are for PostgreSQL, which has the months apart.
_THESE = _EVENTS.where(
    _event.c.id.in_(bindparam("ids", expanding=True)),
    _event.c.at.between(bindparam("first"), bindparam("last")),
)


def following(session: Session, after: Place, limit: int) -> Sequence[Row[*tuple[Any, ...]]]:
    """The next events: all columns of `event`, and of what they belong to `account`, `credential`,
    `stream`, `domain`, `message_id`, `from_address`, `subject`, `tags`, `metadata`, `mode`, `cost`,
    `recipient_count`, `accepted_at` (None where there is no message)."""
    values = {**after._asdict(), "horizon": horizon(session), "most": limit}
    found: Sequence[Row[*tuple[Any, ...]]] = session.connection().execute(_FOLLOWING, values).all()
    return found


def these(
    session: Session, ids: Sequence[int], first: datetime, last: datetime
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Those with these numbers, of this time, in no order; columns as in `following`."""
    values = {"ids": list(ids), "first": first, "last": last}
    found: Sequence[Row[*tuple[Any, ...]]] = session.connection().execute(_THESE, values).all()
    return found


def at(session: Session, name: str) -> Place:
    """How far this reader has come, as of now: `place` says it for the transaction that moves."""
    found = session.execute(
        select(EventReader.xid, EventReader.event_id).where(EventReader.name == name)
    ).first()
    return Place() if found is None else Place(*found)


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
    """How many events this reader has before it, `MOST_COUNTED` at the most, and when the next of
    them happened."""
    after = at(session, name)
    waiting = (
        select(Event.at)
        .where(tuple_(Event.xid, Event.id) > tuple_(after.xid, after.event_id))
        .order_by(Event.xid, Event.id)
    )
    few = waiting.limit(MOST_COUNTED).subquery()
    count = session.scalar(select(func.count()).select_from(few)) or 0
    return count, session.scalar(waiting.limit(1))


def is_restored(session: Session) -> bool:
    """Whether there are numbers of transactions that this cluster has not had yet: they are those
    of another, from which the database was restored, and readers would wait for years."""
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        return False
    following = int(connection.execute(_NEXT).scalar_one())
    newest = (session.scalar(select(func.max(each))) or 0 for each in (Event.xid, EventReader.xid))
    return max(newest) >= following


def begin_anew(session: Session) -> None:
    """After that: all events that there are count as old ones, in the order of their IDs.  What was
    read around a reader's place it gets again; nothing is left out."""
    if session.connection().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE event IN SHARE ROW EXCLUSIVE MODE"))
    for reader in session.scalars(select(EventReader).order_by(EventReader.name).with_for_update()):
        behind_it = tuple_(Event.xid, Event.id) > tuple_(reader.xid, reader.event_id)
        unread = session.scalar(select(func.min(Event.id)).where(behind_it))
        last = reader.event_id if unread is None else min(reader.event_id, unread - 1)
        reader.xid, reader.event_id = 0, last
    session.flush()
    session.execute(update(Event.__table__).where(Event.xid > 0).values(xid=0))  # type: ignore[arg-type]
