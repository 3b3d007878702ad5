"""What one node does for all that share the database: whose turn it is.

A duty is a row with the time at which it is due.  Whoever moves that time forward first has the
turn; `lease` is how long the others leave it alone, so a node that dies over it is followed by
another.  `finish` says when it is due next, `drop` that it is not due any more.

A clock that was ahead for a moment must not stop a duty for a year: what is due later than its
`period` and a day from now is due at once.  So no duty may be spoilt by being done twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.db import Database
from franking.nodes.models import Duty

DAY = timedelta(days=1)
MONTH = 32 * DAY  # a month, and the hour after it

_INTRODUCE: dict[str, Any] = {
    "sqlite": sqlite.insert(Duty).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(Duty).on_conflict_do_nothing(),
}


def introduce(session: Session, name: str, *, due_at: datetime) -> None:
    """There is such a duty from now on; nothing if there is already."""
    connection = session.connection()
    connection.execute(_INTRODUCE[connection.dialect.name], {"name": name, "due_at": due_at})


def due(session: Session, name: str, now: datetime, *, period: timedelta = MONTH) -> bool:
    """Whether it is worth asking for the turn: writes nothing.

    `period`: the longest time from one turn to the next, or of a lease.
    """
    found = session.get(Duty, name)
    return found is None or not now < found.due_at <= now + period + DAY


def take(
    session: Session, name: str, node: str, *, lease: timedelta, now: datetime,
    period: timedelta = MONTH,
) -> bool:  # fmt: skip
    """Whether this node has the turn; the caller commits before it begins."""
    introduce(session, name, due_at=now)
    connection = session.connection()
    taken = update(Duty).where(Duty.name == name, _due(now, period))
    values = taken.values(due_at=now + lease, node=node)
    return bool(connection.execute(values).rowcount)


def begin(
    database: Database, name: str, node: str, *, lease: timedelta, now: datetime,
    period: timedelta = MONTH,
) -> bool:  # fmt: skip
    """Whether this node has the turn; nothing is written as long as it is not due."""
    with database.session() as session:
        if not due(session, name, now, period=period):
            return False
    with database.transaction() as session:
        return take(session, name, node, lease=lease, now=now, period=period)


def finish(session: Session, name: str, node: str, *, due_at: datetime) -> None:
    """Done; nothing if another node has taken it meanwhile."""
    mine = update(Duty).where(Duty.name == name, Duty.node == node)
    session.connection().execute(mine.values(due_at=due_at))


def waiting(
    session: Session, prefix: str, now: datetime, *, period: timedelta = MONTH
) -> Sequence[str]:
    """The duties that are due and whose names begin so."""
    query = select(Duty.name).where(
        Duty.name.startswith(prefix, autoescape=True), _due(now, period)
    )
    return session.scalars(query.order_by(Duty.name)).all()


def drop(session: Session, name: str, node: str) -> None:
    """Done for good; nothing if another node has taken it meanwhile."""
    session.connection().execute(delete(Duty).where(Duty.name == name, Duty.node == node))


def _due(now: datetime, period: timedelta) -> ColumnElement[bool]:
    return or_(Duty.due_at <= now, Duty.due_at > now + period + DAY)
