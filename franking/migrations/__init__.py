"""Alembic migrations, run by `franking init` (and by the upgrade playbook).

They use the settings' database, not an alembic.ini; see `upgrade`.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from franking import patience

LONGEST = 24 * 3600.0  # seconds of one statement


def config(engine: Engine | None = None) -> Config:
    """Alembic's configuration for our versions folder; `env.py` finds the engine in it."""
    cfg = Config()
    cfg.set_main_option("script_location", str(Path(__file__).parent))
    cfg.set_main_option("path_separator", "os")
    cfg.attributes["engine"] = engine
    return cfg


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to `revision`; all in one transaction."""
    with patience.at_length(LONGEST):
        command.upgrade(config(engine), revision)


def head() -> str | None:
    """The newest revision that this code knows."""
    return ScriptDirectory.from_config(config()).get_current_head()


def current(engine: Engine) -> str | None:
    """The revision that the database is at; None when it was never initialised."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()
