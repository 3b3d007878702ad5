"""Retention on PostgreSQL: months go when no plan keeps them, rows where another plan does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from threading import Event as Stop

import pytest
from sqlalchemy import insert, select, text

from franking import migrations, partitions
from franking.db import Database
from franking.mail import events, queue_ids, reading
from franking.mail.events import Attempt
from franking.mail.models import Event, HeldMessage, Message, Recipient
from franking.mail.tags import MessageTag
from franking.money.models import Reservation
from franking.money.terms import Retention, Terms, stored
from stack.cluster import Cluster
from tests import factories, history
from tests.stack import fresh
from worker.housekeeping.retention import Keeping

pytestmark = [
    pytest.mark.one_engine,
    pytest.mark.rest,
]  # tests/worker/housekeeping/test_retention.py is SQLite's

NODE = "n1"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TABLES = (Message, Recipient, MessageTag, Event)
LONG, SHORT = Retention(messages=90, events=60), Retention(messages=20, events=10)


class Office:
    """An account on a plan of its own; `accept` gives the queue ID."""

    def __init__(self, database: Database, kept: Retention) -> None:
        self.database = database
        with database.transaction() as session:
            owner = factories.funded(session)
            owner.plan.terms = stored(Terms(retention=kept))
            self.account_id = owner.id
            credential = factories.credential(session, owner).credential
            self.username, self.credential_id = credential.username, credential.id
            name = f"d{owner.id}.example"
            self.domain_id = factories.verified_domain(session, owner, name).id

    def accept(self, days: float, *, delivered: bool = True) -> str:
        at = NOW - timedelta(days=days)
        queue_id = f"{queue_ids.since(at)}0001z{self.account_id}"
        with self.database.transaction() as session:
            factories.message(session, self.username, self.domain_id, queue_id, at, tags=["a"])
            if delivered:
                attempt = Attempt(queue_id, "anna@example.org", "delivered", at, 250)
                events.record(session, NODE, [attempt])
        return queue_id

    def refuse(self, days: float) -> None:
        row = {"account_id": self.account_id, "node": NODE, "kind": "rejected", "detail": {},
               "at": NOW - timedelta(days=days)}  # fmt: skip
        with self.database.transaction() as session:
            session.execute(insert(Event), [row])


@pytest.fixture(scope="module")
def template(cluster: Cluster) -> str:
    """Of a relay that has been running for a year."""
    made = fresh.database(cluster)
    migrations.upgrade(made.engine)
    with made.transaction() as session:
        history.months(session, NOW - timedelta(days=365))
        session.execute(text(f"UPDATE event_reader SET xid = {2**60}"))  # up to date
    made.close()
    return fresh.name_of(made)


@pytest.fixture
def database(cluster: Cluster, template: str) -> Iterator[Database]:
    made = fresh.database(cluster, template)
    yield made
    made.close()


def look(database: Database, now: datetime = NOW) -> None:
    Keeping(database, NODE, Stop(), lambda: now).look()


def left(database: Database) -> list[set[str]]:
    with database.session() as session:
        return [
            set(session.scalars(select(table.queue_id).where(table.queue_id.is_not(None))))
            for table in TABLES
        ]


def months(database: Database, table: str) -> list[date]:
    with database.session() as session:
        return partitions.months(session.connection(), table)


def test_months_go_as_a_whole(database: Database) -> None:
    """August ended 82 days ago, July 113."""
    office = Office(database, LONG)
    july, august, october = (office.accept(days) for days in (120, 90, 40))
    size = _size(database)
    look(database)
    assert left(database) == [{august, october}] * 3 + [{october}]
    assert july not in left(database)[0]
    assert months(database, "message")[0] == months(database, "message_tag")[0] == date(2026, 8, 1)
    assert months(database, "event")[0] == date(2026, 9, 1)
    assert _size(database) < size
    with database.session() as session:
        assert len(session.scalars(select(Reservation.queue_id)).all()) == 3


def test_rows_go_where_another_plan_keeps_more(database: Database) -> None:
    more, less = Office(database, LONG), Office(database, SHORT)
    kept = [more.accept(days) for days in (25, 15, 1)]
    _, other, last = (less.accept(days) for days in (25, 15, 1))
    look(database)
    messages = {*kept, other, last}
    assert left(database) == [messages] * 3 + [{*kept, last}]


def test_refusals_are_in_no_month(database: Database) -> None:
    office = Office(database, LONG)
    for days in (61, 59, 1):
        office.refuse(days)
    look(database)
    with database.session() as session:
        assert len(session.scalars(select(Event.id)).all()) == 2


def test_what_a_reader_has_not_come_to_stays_for_a_while(database: Database) -> None:
    office = Office(database, LONG)
    queue_id = office.accept(95)  # its events' month ended more than 60 days ago
    with database.transaction() as session:
        reading.move(session, "accounting", reading.Place(), NOW)
    look(database)
    assert left(database)[-1] == {queue_id}
    look(database, NOW + timedelta(days=31))
    assert left(database)[-1] == set()


def test_a_month_with_held_mail_stays(database: Database) -> None:
    office = Office(database, LONG)
    queue_id = office.accept(130, delivered=False)
    with database.transaction() as session:
        session.execute(
            insert(HeldMessage).values(
                queue_id=queue_id, node=NODE, account_id=office.account_id,
                credential_id=office.credential_id, recipients=1, reason="no money",
                held_at=NOW - timedelta(days=130),
            )
        )  # fmt: skip
    look(database)
    assert left(database)[0] == {queue_id}
    with database.transaction() as session:
        session.execute(text("UPDATE held_message SET released_at = now()"))
    look(database, NOW + timedelta(hours=2))
    assert left(database)[0] == set()
    with database.session() as session:
        assert session.scalars(select(HeldMessage.queue_id)).all() == []


def test_months_are_made_on_the_way(database: Database) -> None:
    look(database, NOW + timedelta(days=100))
    assert months(database, "event")[-1] == date(2027, 6, 1)


def _size(database: Database) -> int:
    with database.session() as session:
        return int(session.scalar(text("SELECT pg_database_size(current_database())")) or 0)
