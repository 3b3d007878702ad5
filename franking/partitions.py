"""Partitions of what grows with every message: on PostgreSQL, one for each month (UTC).

A range of long queue IDs is a range of time (`franking.mail.queue_ids`), and the key of a message
says in which partition all that belongs to it is.  The default partition takes what is outside of
all months, and refusals, which have no queue ID.

Months are made `AHEAD` of time.  That needs a lock on the whole table for a moment; who cannot have
it within `LOCK` gives up and comes back, for everybody who writes waits behind it.  SQLite has no
partitions: nothing here does anything then.  Decision: docs/decisions/0025.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from franking import patience
from franking.db import Database
from franking.mail import queue_ids

# What refers to others comes before them.
TABLES = ("message_recipient", "message_tag", "message", "event")
AHEAD = 3  # months
LOCK = "300ms"
LONGEST = 3600.0  # seconds of one statement that keeps nobody waiting

_CHILDREN = text(
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = to_regclass(:parent) ORDER BY c.relname"
)
_CHECK = "being_made"


def month_of(moment: datetime) -> date:
    return moment.astimezone(UTC).date().replace(day=1)


def month_after(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def name(table: str, month: date) -> str:
    return f"{table}_{month:%Y_%m}"


def bounds(month: date) -> tuple[str, str]:
    """The first queue ID of the month, and of the next."""
    first, last = _start(month), _start(month_after(month))
    return queue_ids.since(first), queue_ids.since(last)


def creation(table: str, month: date) -> str:
    """The statement that makes one; the names are our own."""
    first, last = bounds(month)
    return (
        f"CREATE TABLE {name(table, month)} PARTITION OF {table}"
        f" FOR VALUES FROM ('{first}') TO ('{last}')"
    )


def months(connection: Connection, table: str) -> list[date]:
    """Those that this table has partitions for, oldest first; none on SQLite."""
    if connection.dialect.name != "postgresql":
        return []
    found = connection.execute(_CHILDREN, {"parent": table}).scalars()
    own = re.compile(rf"{table}_(\d{{4}})_(\d\d)")
    matches = [match for child in found if (match := own.fullmatch(child))]
    return [date(int(match[1]), int(match[2]), 1) for match in matches]


def make_ahead(database: Database, now: datetime) -> int:
    """Make the months to come that are missing; returns how many it made.

    Not the present one: what has come in meanwhile is in the default partition and stays there.
    """
    made = 0
    for table in TABLES:
        with database.session() as session:
            there = months(session.connection(), table)
        if there:
            made += sum(_make(database, table, m) for m in _coming(now) if m not in there)
    return made


def drop(database: Database, table: str, month: date) -> bool:
    """Give a month's space back at once; False when it has to be tried again."""
    return _at_once(database, [f"DROP TABLE IF EXISTS {name(table, month)}"])


def analyse(database: Database) -> None:
    """The planner's figures of whole tables: autovacuum looks at the partitions alone."""
    with at_length(database) as session:
        for table in TABLES if months(session.connection(), TABLES[0]) else ():
            session.execute(text(f"ANALYZE {table}"))


@contextmanager
def at_length(database: Database) -> Iterator[Session]:
    """A transaction whose statements may take long; they keep nobody else waiting."""
    with patience.at_length(LONGEST), database.transaction() as session:
        if session.connection().dialect.name == "postgresql":
            session.execute(text(f"SET LOCAL statement_timeout = {int(LONGEST * 1000)}"))
        yield session


def _coming(now: datetime) -> Iterable[date]:
    month = month_of(now)
    for _ in range(AHEAD):
        month = month_after(month)
        yield month


def _make(database: Database, table: str, month: date) -> bool:
    """PostgreSQL reads all of the default partition to see that nothing in it belongs to the new
    one, and lets nobody write meanwhile, unless a constraint has said so before."""
    default = f"{table}_default"
    first, last = bounds(month)
    outside = f"NOT (queue_id IS NOT NULL AND queue_id >= '{first}' AND queue_id < '{last}')"
    forget = f"ALTER TABLE {default} DROP CONSTRAINT IF EXISTS {_CHECK}"
    add = f"ALTER TABLE {default} ADD CONSTRAINT {_CHECK} CHECK ({outside}) NOT VALID"
    if not _at_once(database, [forget, add]):
        return False
    try:
        with at_length(database) as session:
            session.execute(text(f"ALTER TABLE {default} VALIDATE CONSTRAINT {_CHECK}"))
        made = _at_once(database, [creation(table, month), forget])
    except IntegrityError:  # something of that month is there already, and stays there
        made = False
    if not made:
        _at_once(database, [forget])
    return made


def _at_once(database: Database, statements: Sequence[str]) -> bool:
    """False when somebody had the lock; nothing is done then."""
    try:
        with database.transaction() as session:
            session.execute(text(f"SET LOCAL lock_timeout = '{LOCK}'"))
            for statement in statements:
                session.execute(text(statement))
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":  # lock_not_available
            raise
        return False
    return True


def end_of(month: date) -> datetime:
    return _start(month_after(month))


def _start(month: date) -> datetime:
    return datetime(month.year, month.month, month.day, tzinfo=UTC)
