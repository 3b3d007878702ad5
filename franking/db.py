"""The database: one engine, two ways to open a session.

`Database.session()` is for reading.  `Database.transaction()` is for writing: on SQLite it
begins with BEGIN IMMEDIATE, because a transaction that reads first and writes later gets
SQLITE_BUSY at once instead of waiting for its turn (https://sqlite.org/isolation.html).
SQLite runs in WAL mode with synchronous=FULL: a commit that returned has survived a power cut,
which is what lets the milter promise money to a message.  PostgreSQL gets the same promise from
its default synchronous_commit=on.
Both engines wait at most `LOCK_TIMEOUT` seconds for a lock, then raise a SQLAlchemyError, which
callers turn into a temporary failure.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from sqlalchemy import (
    Engine,
    create_engine,
    event,
    exc,
    make_url,
    text,
)
from sqlalchemy.orm import Session

from franking import patience
from franking.models import Base  # all tables: foreign keys name those of other modules
from franking.tables import utcnow

__all__ = ["Base", "Database", "engine_options", "prepare", "utcnow"]

LOCK_TIMEOUT = 3.0
LONGEST_SNAPSHOT = 1800.0  # seconds of one statement
PAGES = 1000  # of 4 kB; others wait meanwhile
INCREMENTAL = 2  # https://sqlite.org/pragma.html#pragma_auto_vacuum
POOL_SIZE = 16  # connections of one process at most; opened when they are needed


def engine_options(url: str) -> dict[str, Any]:
    """Keyword arguments for `create_engine`, shared with Flask-SQLAlchemy."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        # One milter connection's callbacks run on changing threads; the pool hands a connection
        # to one of them at a time.
        arguments = {"timeout": LOCK_TIMEOUT, "check_same_thread": False}
        if parsed.database in (None, "", ":memory:"):  # tests; has a pool of another kind
            return {"connect_args": arguments}
        return {
            "pool_size": POOL_SIZE,
            "max_overflow": 0,  # an overflowing connection would be closed after each use
            "pool_timeout": LOCK_TIMEOUT,
            "connect_args": arguments,
        }
    milliseconds = int(LOCK_TIMEOUT * 1000)
    return {
        "pool_pre_ping": True,
        "pool_size": POOL_SIZE,
        "max_overflow": 0,
        "pool_timeout": LOCK_TIMEOUT,
        "connect_args": {
            "connect_timeout": int(LOCK_TIMEOUT),
            "tcp_user_timeout": milliseconds,
            "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"
            " -c timezone=UTC"
            " -c jit=off",  # compiling a plan of many partitions takes longer than any of ours
        },
    }


def prepare(engine: Engine) -> Engine:
    """Give the engine its per-connection settings; returns it."""
    if engine.dialect.name != "sqlite":
        patience.install(engine)
        return engine

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        # For a new file; of an old one `franking database compact` makes such a one.
        cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


class Database:
    """An engine and the two kinds of session; safe to share between threads, not over fork()."""

    def __init__(self, engine: str | Engine) -> None:
        """`engine` is a SQLAlchemy URL, or an engine that was made with `engine_options`."""
        if isinstance(engine, str):
            engine = create_engine(engine, **engine_options(engine))
        self.engine = prepare(engine)
        self._writing = self.engine.execution_options(sqlite_begin="IMMEDIATE")
        self._turn: Lock | None = Lock() if self.engine.dialect.name == "sqlite" else None

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session for reading; what it changed is lost at the end."""
        with Session(self.engine) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A session for reading that sees one moment, however long it takes."""
        with patience.at_length(LONGEST_SNAPSHOT), Session(self.engine) as session:
            if self.engine.dialect.name == "postgresql":  # SQLite's readers see one anyway
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                session.execute(text("SET TRANSACTION READ ONLY"))
                session.execute(text("SET LOCAL statement_timeout = 0"))
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits when the block ends, and rolls back when it raises."""
        with (
            self._our_turn(),
            Session(self._writing, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def _our_turn(self) -> Iterator[None]:
        """SQLite's waiters poll, and one may starve; so the threads of a process queue here."""
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=LOCK_TIMEOUT):
            raise exc.TimeoutError("other threads of this process keep the database busy")
        try:
            yield
        finally:
            self._turn.release()

    def shrink(self) -> int:
        """Give up to `PAGES` free pages of an SQLite file back; returns how many are left that can
        be given back.  Nothing while another process writes for too long."""
        if self.engine.dialect.name != "sqlite":
            return 0
        with self._our_turn(), self.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            if driver.execute("PRAGMA auto_vacuum").fetchone() != (INCREMENTAL,):
                return 0
            try:  # as a script: `execute` would free one page, because each is a row
                driver.executescript(f"PRAGMA incremental_vacuum({PAGES})")
            except sqlite3.OperationalError:
                return 0
            return int(driver.execute("PRAGMA freelist_count").fetchone()[0])

    def close(self) -> None:
        self.engine.dispose()
