"""What the plans keep stays; the rest goes, and so does the space that it had (SQLite; PostgreSQL
is in tests/stack/test_retention.py)."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event as Stop

import pytest
from sqlalchemy import func, insert, select, text

from franking.db import Base, Database
from franking.mail import events, reading
from franking.mail.events import Attempt
from franking.mail.models import Event, Message, Recipient
from franking.mail.tags import MessageTag
from franking.money.models import Reservation
from franking.money.terms import Retention, Terms, stored
from franking.tables import utcnow
from tests import factories
from worker.housekeeping.retention import Keeping

NOW = utcnow()
TABLES = (Message, Recipient, MessageTag, Event)
KEPT = Retention(messages=30, events=20)


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


class Office:
    """An account, and its mail of other times."""

    def __init__(self, database: Database, kept: Retention = KEPT) -> None:
        self.database = database
        with database.transaction() as session:
            owner = factories.funded(session)
            owner.plan.terms = stored(Terms(retention=kept))
            self.account_id = owner.id
            self.username = factories.credential(session, owner).credential.username
            domain = f"d{owner.id}.example"
            self.domain_id = factories.verified_domain(session, owner, domain).id

    def sent(self, queue_id: str, at: datetime, status: str = "delivered") -> None:
        with self.database.transaction() as session:
            factories.message(session, self.username, self.domain_id, queue_id, at, tags=["spring"])
            if status == "delivered":
                attempt = Attempt(queue_id, "anna@example.org", "delivered", at, 250)
                events.record(session, "n1", [attempt])

    def read(self, name: str, at: int) -> None:
        """A reader has read up to this event."""
        with self.database.transaction() as session:
            reading.place(session, name)
            reading.move(session, name, reading.Place(0, at), NOW)

    def left(self) -> list[tuple[str, ...]]:
        """Queue IDs in each table."""
        with self.database.session() as session:
            return [tuple(sorted(set(session.scalars(select(table.queue_id))))) for table in TABLES]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path}/kept.db")
    Base.metadata.create_all(made.engine)
    return made


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


def look(database: Database, now: datetime = NOW) -> None:
    Keeping(database, "n1", Stop(), lambda: now).look()


def test_messages_and_events_go_when_the_plan_says(office: Office) -> None:
    for queue_id, days in (("Q1", 31), ("Q2", 29), ("Q3", 19)):
        office.sent(queue_id, days_ago(days))
    look(office.database)
    assert office.left() == [("Q2", "Q3"), ("Q2", "Q3"), ("Q2", "Q3"), ("Q3",)]


def test_each_plan_for_itself(office: Office) -> None:
    other = Office(office.database, Retention(messages=365, events=365))
    office.sent("Q1", days_ago(31))
    other.sent("Q2", days_ago(31))
    look(office.database)
    assert office.left() == [("Q2",)] * 4


def test_what_is_still_on_its_way_stays(office: Office) -> None:
    office.sent("Q1", days_ago(40), "queued")
    look(office.database)
    assert office.left() == [("Q1",)] * 3 + [()]


def test_money_stays(office: Office) -> None:
    office.sent("Q1", days_ago(40))
    look(office.database)
    with office.database.session() as session:
        assert session.scalars(select(Reservation.queue_id)).all() == ["Q1"]


def test_what_a_reader_has_not_come_to_stays_for_a_while(office: Office) -> None:
    office.sent("Q1", days_ago(25))
    office.sent("Q2", days_ago(25))
    office.read("accounting", 2)  # all of Q1
    office.read("webhooks", 4)
    look(office.database)
    assert office.left()[-1] == ("Q2",)
    look(office.database, NOW + timedelta(days=31))
    assert office.left()[-1] == ()


def test_refusals_go_with_the_events(office: Office) -> None:
    row = {"account_id": office.account_id, "node": "n1", "kind": "rejected", "detail": {}}
    with office.database.transaction() as session:
        session.execute(insert(Event), [row | {"at": days_ago(d)} for d in (1, 19, 21, 300)])
    look(office.database)
    with office.database.session() as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 2


def test_one_node_at_a_time_and_once_an_hour(office: Office) -> None:
    look(office.database)
    office.sent("Q1", days_ago(40))
    look(office.database, NOW + timedelta(minutes=59))
    assert office.left()[0] == ("Q1",)
    look(office.database, NOW + timedelta(minutes=61))
    assert office.left()[0] == ()


def test_the_file_becomes_smaller(office: Office) -> None:
    """4,000 events of 1 kB, of which a tenth stays."""
    _fill(office, 4_000)
    before = _size(office.database)
    look(office.database)
    with office.database.session() as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 400
        assert session.scalar(text("PRAGMA freelist_count")) == 0
    assert _size(office.database) < before / 5


def test_an_old_file_does_not_become_smaller_by_itself(tmp_path: Path) -> None:
    """Nor does it keep the worker busy; `franking database compact` is for it."""
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE old (x)")
    connection.close()
    database = Database(f"sqlite:///{path}")
    Base.metadata.create_all(database.engine)
    office = Office(database)
    _fill(office, 2_000)
    look(database)
    assert database.shrink() == 0
    with database.session() as session:
        assert session.execute(text("PRAGMA freelist_count")).scalar_one() > 200


def _fill(office: Office, count: int) -> None:
    row = {"account_id": office.account_id, "node": "n1", "kind": "rejected", "detail": {},
           "reply": "x" * 1000}  # fmt: skip
    with office.database.transaction() as session:
        rows = [row | {"at": days_ago(1 if n % 10 == 0 else 100)} for n in range(count)]
        session.execute(insert(Event), rows)


def _size(database: Database) -> int:
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    path = database.engine.url.database
    assert path is not None
    return Path(path).stat().st_size
