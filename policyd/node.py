"""Whether this node takes new mail, looked up once a second."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from franking.nodes import nodes

SECONDS = 1.0


class NodeState:
    """Safe to use from several threads; while the database fails, the last answer stands."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._next = float("-inf")
        self._refuses = False

    def refuses(self, session: Session) -> bool:
        with self._lock:
            if (now := self._clock()) < self._next:
                return self._refuses
            self._next = now + SECONDS
        # Whatever the caller asks the database next says so, too.
        with contextlib.suppress(SQLAlchemyError):
            self._refuses = nodes.refuses(session, self._name)
        return self._refuses
