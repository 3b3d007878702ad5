"""The migrations lead to exactly the schema that the models describe, and guard the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from franking import migrations
from franking.accounts import account as accounts
from franking.db import Database
from franking.models import Base
from franking.money import ledger, pricing


@pytest.fixture
def migrated(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path}/migrated.db")
    migrations.upgrade(database.engine)
    return database


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
