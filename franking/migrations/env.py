"""What Alembic runs around every migration; the engine comes from `franking.migrations.config`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import context
from sqlalchemy import Connection, text

from franking.models import Base

engine = context.config.attributes["engine"]


@contextmanager
def without_cascades(connection: Connection) -> Iterator[None]:
    """SQLite alters a table by copying and dropping it; the drop would delete what refers to it.

    The pragma does nothing inside a transaction (https://sqlite.org/lang_altertable.html §7).
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
        if broken := driver.execute("PRAGMA foreign_key_check").fetchall():
            raise RuntimeError(f"the migration left rows without what they refer to: {broken[:5]}")
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


with engine.connect() as connection, without_cascades(connection):
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite cannot alter in place
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":  # tables may be large
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        context.run_migrations()
