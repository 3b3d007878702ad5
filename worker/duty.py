"""A thing to be done again and again; when it fails, it is tried again at its next time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from franking import log

PATIENCE = 5.0  # seconds that an end waits for each thread; what is interrupted is repeated later


class Duty:
    """`every` in seconds; 0 is at each turn.  `name` says in logs what went wrong."""

    def __init__(self, name: str, work: Callable[[], object], every: float = 0.0) -> None:
        self._where = name
        self._work = work
        self._every = every
        self._due_at = 0.0

    def turn(self) -> None:
        """Do it if it is due; never raises."""
        if time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + self._every
        try:
            self._work()
        except SQLAlchemyError as error:
            log.database_trouble(self._where, error)
        except Exception as error:
            log.unexpected(self._where, error)

    def run(self, stop: Event) -> None:
        """In a thread of its own: for what waits for others, so that nothing waits for it."""
        while not stop.is_set():
            self.turn()
            stop.wait(max(0.0, self._due_at - time.monotonic()))


@contextmanager
def beside(duties: Sequence[Duty], stop: Event) -> Iterator[None]:
    """Each in a thread of its own while the block runs, which ends when `stop` is set."""
    threads = [Thread(target=duty.run, args=(stop,), daemon=True) for duty in duties]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(PATIENCE)
