"""The migrations lead to exactly the schema that the models describe, and guard the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError

from franking import migrations
from franking.accounts import account as accounts
from franking.db import Database
from franking.mail.models import Message, Recipient
from franking.models import Base
from franking.money import ledger, pricing
from tests.upgrades import upgraded_with_domains


@pytest.fixture
def migrated(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path}/migrated.db")
    migrations.upgrade(database.engine)
    return database


# Alembic sees no expressions in indexes on SQLite; tests/stack/test_partitions.py compares those.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based")
def test_models_and_migrations_agree(migrated: Database) -> None:
    with migrated.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_upgrading_twice_changes_nothing(migrated: Database) -> None:
    migrations.upgrade(migrated.engine)
    assert migrations.current(migrated.engine) == migrations.head()


@pytest.mark.parametrize(
    "statement", ["UPDATE ledger_entry SET amount = 0", "DELETE FROM ledger_entry"]
)
def test_the_ledger_is_append_only(migrated: Database, statement: str) -> None:
    with migrated.transaction() as session:
        plan = pricing.create_plan(session, "p", currency="EUR", unit_price=1)
        account = accounts.create(session, "acme", plan=plan)
        ledger.deposit(session, account.id, 100, reference="d")
    with pytest.raises(DatabaseError, match="append-only"), migrated.transaction() as session:
        session.execute(text(statement))


FOUNDATION = (
    "insert into plan (name, currency, created_at) values ('p', 'EUR', '2026-01-01')",
    "insert into account (name, plan_id, status, created_at)"
    " values ('a', 1, 'active', '2026-01-01')",
    "insert into credential (account_id, name, username, secret_sha256, secret_hint, mode,"
    " created_at) values (1, 'c', 'frank_a', 'x', 'x', 'live', '2026-01-01')",
    "insert into domain (account_id, name, ownership_token, created_at)"
    " values (1, 'example.com', 't', '2026-01-01')",
    "insert into message (queue_id, node, account_id, credential_id, domain_id, from_address,"
    " envelope_sender, subject, message_id, size, recipient_count, tags, status, cost, signatures,"
    " accepted_at) values ('q', 'n', 1, 1, 1, 'f', 'e', 's', 'm', 1, 1, '[]', 'queued', 1, '[]',"
    " '2026-01-01')",
    "insert into message_recipient (queue_id, node, address, status, attempts)"
    " values ('q', 'n', 'a@example.net', 'queued', 0)",
)


def test_an_upgrade_keeps_every_row(tmp_path: Path) -> None:
    """SQLite alters a table by dropping it, and a drop cascades to the rows that refer to it."""
    database = Database(f"sqlite:///{tmp_path}/old.db")
    migrations.upgrade(database.engine, "0001")
    with database.transaction() as session:
        for statement in FOUNDATION:
            session.execute(text(statement))
    migrations.upgrade(database.engine)
    with database.session() as session:
        assert session.scalars(select(Recipient.address)).all() == ["a@example.net"]
        message = session.scalars(select(Message)).one()
        assert (message.labels, message.mode, message.status) == ({}, "live", "queued")
        assert session.scalar(text("pragma foreign_keys")) == 1
    with database.transaction() as session:
        session.execute(text("update message set status = 'held'"))


def test_domains_that_were_there_before(tmp_path: Path) -> None:
    upgraded_with_domains(Database(f"sqlite:///{tmp_path}/domains.db"))
