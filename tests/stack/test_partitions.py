"""PostgreSQL's partitions by month: what is written, found, deduplicated and given back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from franking import migrations, partitions
from franking.db import Database, utcnow
from franking.mail import events, messages, queue_ids
from franking.mail.events import Attempt
from franking.mail.models import Event, Message, Recipient
from franking.mail.tags import MessageTag
from franking.models import Base
from stack.cluster import Cluster
from tests import factories
from tests.stack import fresh

pytestmark = [pytest.mark.one_engine, pytest.mark.rest]  # it is PostgreSQL's own

NODE = "n1"
NOW = datetime.now(UTC)
LAST_MONTH = NOW.replace(day=1) - timedelta(days=10)


def queue_id(at: datetime, number: int = 1) -> str:
    """As Postfix makes it: seconds, microseconds, `z`, inode."""
    return f"{queue_ids.since(at)}0{number:03d}z{number:x}"


@pytest.fixture(scope="module")
def template(cluster: Cluster) -> str:
    database = fresh.database(cluster)
    migrations.upgrade(database.engine)
    database.close()
    return fresh.name_of(database)


@pytest.fixture
def migrated(cluster: Cluster, template: str) -> Iterator[Database]:
    database = fresh.database(cluster, template)
    yield database
    database.close()


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[Database]:
    database = fresh.database(cluster)
    yield database
    database.close()


@pytest.fixture
def sent(migrated: Database) -> tuple[Database, list[str]]:
    """One message of this month, and one of the last."""
    with migrated.transaction() as session:
        owner = factories.funded(session)
        username = factories.credential(session, owner).credential.username
        domain = factories.verified_domain(session, owner).id
        ids = [
            factories.message(session, username, domain, queue_id(at), at, tags=["spring"])
            for at in (NOW, LAST_MONTH)
        ]
    return migrated, ids


def partition_of(session: Session, table: str, column: str, value: str) -> set[str]:
    query = f"SELECT tableoid::regclass::text FROM {table} WHERE {column} = :value"
    return set(session.scalars(text(query), {"value": value}))


def test_models_and_migrations_agree(migrated: Database) -> None:
    """But for what would keep partitions from being dropped."""
    with migrated.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _is_ours})
        found = compare_metadata(context, Base.metadata)
    assert {(each[0], each[1].name) for each in found} == {
        ("add_fk", "fk_message_recipient_queue_id_node_message"),
        ("add_fk", "fk_message_tag_queue_id_node_message"),
        ("add_fk", "fk_held_message_queue_id_node_message"),
        ("remove_index", "ix_event_id"),  # instead of the primary key
    }


def _is_ours(_object: object, name: str, kind: str, *_: object) -> bool:
    """Partitions are in no model."""
    return kind != "table" or name in Base.metadata.tables


def test_what_was_there_before(empty: Database) -> None:
    migrations.upgrade(empty.engine, "0004")
    at = LAST_MONTH
    with empty.transaction() as session:
        for statement in BEFORE:
            session.execute(text(statement), {"id": queue_id(at), "at": at})
    migrations.upgrade(empty.engine)
    month = partitions.month_of(at)
    with empty.session() as session:
        for table in partitions.TABLES:
            where = partition_of(session, table, "queue_id", queue_id(at))
            assert where == {partitions.name(table, month)}
        assert partition_of(session, "event", "kind", "rejected") == {"event_default"}
        assert session.scalars(select(MessageTag.tag)).all() == ["spring"]
        assert session.scalar(text("SELECT nextval('event_id_seq')")) == 3


BEFORE = (
    "insert into plan (name, currency, created_at) values ('p', 'EUR', :at)",
    "insert into account (name, plan_id, status, created_at) values ('a', 1, 'active', :at)",
    "insert into credential (account_id, name, username, secret_sha256, secret_hint, mode,"
    " created_at) values (1, 'c', 'frank_a', 'x', 'x', 'live', :at)",
    "insert into domain (account_id, name, ownership_token, created_at, check_due_at, dkim_due_at)"
    " values (1, 'example.com', 't', :at, :at, :at)",
    "insert into message (queue_id, node, account_id, credential_id, domain_id, from_address,"
    " envelope_sender, subject, message_id, size, recipient_count, tags, status, cost, signatures,"
    " accepted_at) values (:id, 'n1', 1, 1, 1, 'f', 'e', 's', 'm', 1, 1, '[\"spring\"]', 'queued',"
    " 1, '[]', :at)",
    "insert into message_recipient (queue_id, node, address, status, attempts)"
    " values (:id, 'n1', 'a@example.net', 'queued', 0)",
    "insert into event (account_id, node, queue_id, recipient, kind, attempt, at, detail)"
    " values (1, 'n1', :id, 'a@example.net', 'accepted', 0, :at, '{}')",
    "insert into event (account_id, node, kind, attempt, at, detail)"
    " values (1, 'n1', 'rejected', 0, :at, '{}')",
)


def test_a_message_is_in_the_partition_of_its_queue_id(sent: tuple[Database, list[str]]) -> None:
    database, ids = sent
    with database.transaction() as session:
        for each in ids:
            attempt = Attempt(each, "anna@example.org", "delivered", utcnow(), 250)
            assert events.record(session, NODE, [attempt])
            assert not events.record(session, NODE, [attempt])
    with database.session() as session:
        for each, at in zip(ids, (NOW, LAST_MONTH), strict=True):
            for table in partitions.TABLES:
                month = partitions.month_of(at)
                if at is LAST_MONTH:  # the tables began with this one
                    assert partition_of(session, table, "queue_id", each) == {f"{table}_default"}
                else:
                    where = partition_of(session, table, "queue_id", each)
                    assert where == {partitions.name(table, month)}
            message = session.get_one(Message, (each, NODE))
            history = messages.timeline(session, message)
            assert [event.kind for event in history] == ["accepted", "delivered"]
            assert session.get_one(Event, history[-1].id) is history[-1]
            assert message.status == "delivered"
            assert messages.recipients(session, message)[0].status == "delivered"


def test_an_event_is_there_once(sent: tuple[Database, list[str]]) -> None:
    database, ids = sent
    with database.session() as session:
        event = session.scalars(select(Event).where(Event.queue_id == ids[0])).one()
        row = {column.name: getattr(event, column.name) for column in Event.__table__.c}
    del row["id"], row["xid"]
    with (
        pytest.raises(IntegrityError, match="queue_id_node_recipient_kind"),
        database.transaction() as session,
    ):
        session.execute(insert(Event), [row | {"at": NOW + timedelta(days=40)}])


def test_months_are_made_ahead(migrated: Database) -> None:
    later = NOW + timedelta(days=200)
    with migrated.transaction() as session:
        owner = factories.account(session)
        values = {"account_id": owner.id, "node": NODE, "kind": "rejected", "detail": {}}
        session.execute(insert(Event), [values] * 100)
    assert partitions.make_ahead(migrated, NOW) == 0
    assert partitions.make_ahead(migrated, later) == partitions.AHEAD * len(partitions.TABLES)
    assert partitions.make_ahead(migrated, later) == 0
    with migrated.session() as session:
        last = partitions.months(session.connection(), "event")[-1]
    first, end = partitions.bounds(last)
    assert first < queue_id(datetime(last.year, last.month, 28, tzinfo=UTC)) < end


def test_who_writes_is_not_kept_waiting(migrated: Database) -> None:
    """Without the lock there is no partition, and nothing that would refuse rows later."""
    later = NOW + timedelta(days=200)
    with migrated.transaction() as session:
        session.execute(text("LOCK TABLE event IN ROW EXCLUSIVE MODE"))
        others = (len(partitions.TABLES) - 1) * partitions.AHEAD
        assert partitions.make_ahead(migrated, later) == others
        assert not partitions.drop(migrated, "event", partitions.month_of(NOW))
    with migrated.session() as session:
        left = "SELECT count(*) FROM pg_constraint WHERE conname = 'being_made'"
        assert session.scalar(text(left)) == 0
    assert partitions.make_ahead(migrated, later) == partitions.AHEAD


def test_what_came_too_early_stays_where_it_is(migrated: Database) -> None:
    """Months that nobody made in time: mail goes on, in the default partition."""
    later = NOW + timedelta(days=200)
    early = queue_id(later + timedelta(days=40))
    with migrated.transaction() as session:
        owner = factories.funded(session)
        username = factories.credential(session, owner).credential.username
        domain = factories.verified_domain(session, owner).id
        factories.message(session, username, domain, early, later)
    partitions.make_ahead(migrated, later)
    with migrated.transaction() as session:
        assert partition_of(session, "message", "queue_id", early) == {"message_default"}
        factories.message(session, username, domain, queue_id(later + timedelta(days=41)), later)


def test_a_dropped_month_is_gone_at_once(sent: tuple[Database, list[str]]) -> None:
    database, ids = sent
    month = partitions.month_of(NOW)
    before = _size(database)
    for table in partitions.TABLES:
        assert partitions.drop(database, table, month)
    with database.session() as session:
        assert session.scalars(select(Message.queue_id)).all() == ids[1:]
        assert session.scalars(select(Recipient.queue_id)).all() == ids[1:]
        assert month not in partitions.months(session.connection(), "event")
    assert _size(database) < before


def _size(database: Database) -> int:
    with database.session() as session:
        size = session.scalar(text("SELECT pg_database_size(current_database())"))
    assert isinstance(size, int)
    return size


def test_queue_ids_are_in_the_order_of_time() -> None:
    times = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=s**3) for s in range(1, 400)]
    ids = [queue_ids.since(time) for time in times]
    assert ids == sorted(ids)
    # What Postfix 3.7 gave at this second; see global/mail_queue.h for the alphabet.
    assert queue_ids.since(datetime.fromtimestamp(0, UTC)) == "000000"
    assert partitions.bounds(date(2026, 12, 1))[1] == partitions.bounds(date(2027, 1, 1))[0]


def test_nothing_to_do_on_sqlite(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/franking.db")
    migrations.upgrade(database.engine)
    assert partitions.make_ahead(database, NOW) == 0
    partitions.analyse(database)
