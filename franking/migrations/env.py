"""What Alembic runs around every migration; the engine comes from `franking.migrations.config`."""

from alembic import context

from franking.models import Base

engine = context.config.attributes["engine"]

with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite cannot alter in place
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()
