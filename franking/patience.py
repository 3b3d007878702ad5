"""How long we wait for a PostgreSQL server that does not answer.

A server that is stopped or swapped out still acknowledges packets, so neither tcp_user_timeout nor
its own statement_timeout ends the wait.  `PatientConnection` ends it on our side: one statement
waits at most `LONGEST_WAIT` seconds, and inside `within(seconds)` all of them together no longer
than that.  The connection is then closed and the caller gets an OperationalError.  What the server
does with an abandoned COMMIT is settled later from evidence (`franking.money.reservations`).
SQLite needs none of this: its only wait is for a lock, and ends by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event

LONGEST_WAIT = 4.0  # seconds; more than the server's statement_timeout, which has better manners

LEAST_CONNECT = 2.0  # seconds; libpq knows no shorter connect_timeout

_until: ContextVar[float | None] = ContextVar("until", default=None)
_longest: ContextVar[float] = ContextVar("longest", default=LONGEST_WAIT)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """All waiting for the database inside the block ends after this many seconds."""
    outer, inner = _until.get(), time.monotonic() + seconds
    token = _until.set(inner if outer is None else min(inner, outer))
    try:
        yield
    finally:
        _until.reset(token)


@contextmanager
def at_length(seconds: float) -> Iterator[None]:
    """One statement inside the block may take this many seconds: nobody waits for its answer."""
    token = _longest.set(seconds)
    try:
        yield
    finally:
        _longest.reset(token)


def _left() -> float:
    until, longest = _until.get(), _longest.get()
    return longest if until is None else min(longest, until - time.monotonic())


class PatientConnection(psycopg.Connection[Any]):
    """psycopg's connection with an end to its waits."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        left = max(_left(), 0.0)
        try:
            return super().wait(gen, interval, left if timeout is None else min(timeout, left))
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:  # still unanswered
                self.pgconn.finish()
            raise


def install(engine: Engine) -> None:
    """Make this PostgreSQL engine open patient connections."""

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:
        if _left() < LEAST_CONNECT:  # the wait for an old connection has used it up
            raise psycopg.OperationalError("no time left to connect again")
        return PatientConnection.connect(*arguments, **parameters)
