"""`franking database`: the space that it takes."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import click
from sqlalchemy import text

from franking import partitions, patience
from franking.cli.context import Context
from franking.db import Database
from franking.mail import reading


@click.group()
def database() -> None:
    """Look after the database."""


@database.command()
@click.pass_obj
def compact(context: Context) -> None:
    """Give the space of deleted rows back, now.

    SQLite: rewrites the file, which needs as much space again and keeps everybody else waiting:
    stop the relay first.  From then on the file becomes smaller by itself, as one does that was
    made by this version.  PostgreSQL: vacuums; months that no plan keeps are dropped by
    housekeeping, which gives theirs back at once.
    """
    with context.explained():
        before = _size(context.database)
        _compact(context.database)
        click.echo(f"{before} bytes before, {_size(context.database)} now")


@database.command()
@click.pass_obj
def restored(context: Context) -> None:
    """Have webhooks and the accounting log read on after PostgreSQL was restored from a dump.

    The dump has the transaction numbers of the old server.  Run it before the relay starts again;
    some events are told twice, none is left out.  Does nothing where nothing is wrong.
    """
    with context.explained():
        with partitions.at_length(context.database) as session:
            if needed := reading.is_restored(session):
                reading.begin_anew(session)
        click.echo("events are read on" if needed else "there is nothing to do")


def _compact(own: Database) -> None:
    if own.engine.dialect.name == "sqlite":
        with own.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            try:
                driver.execute("PRAGMA auto_vacuum=INCREMENTAL")
                driver.execute("VACUUM")
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.OperationalError as error:
                raise click.ClickException(f"database: {error}") from error
        return
    with (
        patience.at_length(partitions.LONGEST),
        own.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM (ANALYZE)"))


def _size(own: Database) -> int:
    if own.engine.dialect.name == "sqlite":
        return Path(str(own.engine.url.database)).stat().st_size
    with own.session() as session:
        query = text("SELECT pg_database_size(current_database())")
        return int(session.execute(query).scalar_one())


def register(main: click.Group) -> None:
    main.add_command(database)
