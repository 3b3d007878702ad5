"""Looks at domains' records when they are due, many at once (`franking.domains.life`).

A domain is claimed with a lease, so that several nodes share the work, and none is lost with a
process that dies.  As many as there are threads are looked at, and as many again wait for one:
that is all that is ever in memory.  Each look ends with a short transaction of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from franking import log
from franking.db import Database, utcnow
from franking.dns.answers import Answer, Lookup
from franking.domains import life
from franking.settings import Settings

POLL = 1.0  # seconds between two questions what is due


class Rechecks:
    """`turn` is called by one thread, until `stop` is set; then `finish`."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        lookup: Lookup,
        stop: threading.Event,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self._database = database
        self._settings = settings
        self._lookup = _UntilStopped(lookup, stop)
        self._stop = stop
        self._clock = clock
        self._threads = settings.dns.concurrency
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="look")
        self._flying: dict[Future[bool], int] = {}
        self._left: list[int] = []

    def turn(self) -> None:
        """Begin what is due, as far as there is room, and wait a moment for what was begun."""
        claimed = self._claim() if len(self._flying) <= self._threads else []
        for domain_id in claimed:
            self._flying[self._pool.submit(self._look, domain_id)] = domain_id
        if not self._flying:
            self._stop.wait(POLL)
            return
        ended, _ = wait(self._flying, timeout=POLL, return_when=FIRST_COMPLETED)
        for future in ended:
            domain_id = self._flying.pop(future)
            if not future.result():
                self._left.append(domain_id)

    def finish(self) -> None:
        """What was not looked at is left to others; a look that waits ends with its question."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        over = [each for each in self._flying if each.cancelled() or not each.result()]
        left = self._left + [self._flying[each] for each in over]
        self._flying.clear()
        try:
            with self._database.transaction() as session:
                life.release(session, left, self._clock())
        except SQLAlchemyError as error:
            log.database_trouble("dns: ending", error)  # their leases will end

    def _claim(self) -> Sequence[int]:
        """As many as there are threads, so that claiming costs one transaction for all of them."""
        now = self._clock()
        try:
            with self._database.session() as session:
                if not life.due(session, now, 1):
                    return []
            with self._database.transaction() as session:
                return life.claim(session, now, self._threads)
        except SQLAlchemyError as error:
            log.database_trouble("dns: what is due", error)
            self._stop.wait(POLL)
            return []

    def _look(self, domain_id: int) -> bool:
        """One thread's work; False when we were stopped over it.  What it runs into is tried again
        when the lease is over."""
        try:
            examined = life.examine(self._database, self._settings, self._lookup, domain_id)
            if self._stop.is_set():
                return False
            if examined is not None:
                life.record(self._database, self._settings, examined, self._clock())
        except SQLAlchemyError as error:
            log.database_trouble(f"dns: domain {domain_id}", error)
        except Exception as error:
            log.unexpected(f"dns: domain {domain_id}", error)
        return True


class _UntilStopped:
    """A `Lookup` that asks nothing more once the process has been told to end."""

    def __init__(self, lookup: Lookup, stop: threading.Event) -> None:
        self._lookup = lookup
        self._stop = stop

    def authoritative(self, name: str, type: str) -> Answer:
        return self._ended(name, type) or self._lookup.authoritative(name, type)

    def resolved(self, name: str, type: str) -> Sequence[Answer]:
        ended = self._ended(name, type)
        return [ended] if ended else self._lookup.resolved(name, type)

    def zone_of(self, name: str) -> str | None:
        return None if self._stop.is_set() else self._lookup.zone_of(name)

    def in_zone(self, zone: str, name: str, type: str) -> Answer:
        return self._ended(name, type) or self._lookup.in_zone(zone, name, type)

    def _ended(self, name: str, type: str) -> Answer | None:
        if not self._stop.is_set():
            return None
        return Answer(name, type, "trouble", problem="not asked: the worker is ending")
