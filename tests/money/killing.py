"""A process that dies between any two of its statements.

Counted are: before every statement (BEGIN is one), before every COMMIT, after every COMMIT, and
whatever else calls `Fuse.step`.  At the chosen one `Killed` is raised; the session rolls back,
which is what the database does for a process that is gone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from franking.db import Database
from franking.models import Base

Result = TypeVar("Result")


class Killed(Exception):
    """kill -9."""


class Fuse:
    def __init__(self) -> None:
        self._left: int | None = None

    def step(self) -> None:
        if self._left is None:
            return
        self._left -= 1
        if self._left < 0:
            self._left = None
            raise Killed

    def run(self, process: Callable[[], Result], steps: int | None) -> Result:
        """What `process` returns, unless it takes more than so many steps: Killed."""
        self._left = steps
        try:
            return process()
        finally:
            self._left = None


class FragileDatabase(Database):
    """SQLite in memory, on one connection; `reset` brings back the tables as they were made."""

    def __init__(self, fuse: Fuse) -> None:
        self._memory = sqlite3.connect(":memory:", check_same_thread=False)
        self._empty = sqlite3.connect(":memory:", check_same_thread=False)
        self._fuse = fuse
        engine = create_engine("sqlite://", creator=lambda: self._memory, poolclass=StaticPool)
        super().__init__(engine)
        Base.metadata.create_all(engine)
        self._memory.backup(self._empty)
        event.listen(engine, "before_cursor_execute", lambda *_: fuse.step())
        event.listen(engine, "commit", lambda *_: fuse.step())

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with super().transaction() as session:
            yield session
        self._fuse.step()

    @property
    def writes(self) -> int:
        """Rows written so far: when it has not grown, nothing has changed."""
        return self._memory.total_changes

    def keep(self) -> None:
        """`reset` goes back to what is there now."""
        self._memory.backup(self._empty)

    def reset(self) -> None:
        self._empty.backup(self._memory)

    def close(self) -> None:
        super().close()
        self._memory.close()
        self._empty.close()
