"""What policyd writes to the database: refusals and last uses, after the answer was given.

A thread of its own takes them from a bounded queue, as many in one transaction as there are: a
slow or absent database delays no answer, and what cannot be written is counted in the log and
dropped.  `refused` and `used` never block and never fail; only the event loop's thread calls them,
so what they remember needs no lock.

Refusals are capped per account and minute: a client in a loop must not fill the database.  Postfix
asks again when the connection broke before the answer, so the same question (`Refusal.once`) is
recorded once.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from franking import log
from franking.accounts import credentials
from franking.db import Database
from franking.mail import cap, events
from franking.mail.replies import Reply
from policyd.memory import Recent

LONGEST_QUEUE = 2_000
LARGEST_BATCH = 200
ATTEMPTS = 2  # each waits up to LOCK_TIMEOUT of franking.db
TOUCH_SECONDS = 60.0  # between two notes of a credential's last use
STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Refusal:
    """A refusal that the customer will see; `once` tells a repeated question from a new one."""

    account_id: int
    credential_id: int
    reply: Reply
    at: datetime
    sender: str | None = None
    recipient: str | None = None
    queue_id: str | None = None
    detail: dict[str, str] = field(default_factory=dict)
    once: Hashable = None


@dataclass(frozen=True)
class Use:
    """A credential was used from this address."""

    credential_id: int
    ip: str | None
    at: datetime


class Journal:
    def __init__(
        self, database: Database, node: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._node = node
        self._queue: queue.Queue[Refusal | Use | None] = queue.Queue(LONGEST_QUEUE)
        self._cap = cap.PerMinute(cap.REFUSALS, clock)
        self._seen = Recent(size=10_000, seconds=600, clock=clock)
        self._touched = Recent(size=100_000, seconds=TOUCH_SECONDS, clock=clock)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def refused(self, refusal: Refusal) -> None:
        if refusal.once is not None and not self._seen.first(refusal.once):
            return
        admitted = self._cap.admit(refusal.account_id)
        for account_id, count in self._cap.capped():
            log.refusals_capped(account_id, count)
        if admitted:
            self._put(refusal)

    def used(self, use: Use) -> None:
        if self._touched.first(use.credential_id):
            self._put(use)

    def close(self) -> None:
        """Write what is waiting; gives up on a database that does not answer."""
        for account_id, count in self._cap.capped(now=True):
            log.refusals_capped(account_id, count)
        try:
            self._queue.put(None, timeout=STOP_SECONDS)
        except queue.Full:
            return
        self._thread.join(STOP_SECONDS)

    def _put(self, entry: Refusal | Use) -> None:
        try:
            self._queue.put_nowait(entry)
        except queue.Full:
            log.journal_dropped(1, "the queue is full")

    def _run(self) -> None:
        going = True
        while going:
            taken = [self._queue.get()]
            while len(taken) < LARGEST_BATCH and not self._queue.empty():
                taken.append(self._queue.get())
            entries = [entry for entry in taken if entry is not None]
            going = len(entries) == len(taken)
            if entries:
                self._write(entries)

    def _write(self, entries: Sequence[Refusal | Use]) -> None:
        for _ in range(ATTEMPTS):
            try:
                with self._database.transaction() as session:
                    for entry in entries:
                        self._record(session, entry)
                return
            except SQLAlchemyError as error:
                trouble: Exception = error
                log.database_trouble("journal", error)
            except Exception as error:  # a bug must not end the thread
                trouble = error
                log.unexpected("journal", error)
        log.journal_dropped(len(entries), type(trouble).__name__)

    def _record(self, session: Session, entry: Refusal | Use) -> None:
        if isinstance(entry, Use):
            credentials.touch(session, entry.credential_id, entry.ip, entry.at)
            return
        events.record_refusal(
            session,
            account_id=entry.account_id,
            credential_id=entry.credential_id,
            node=self._node,
            key=entry.reply.key,
            smtp_code=entry.reply.code,
            enhanced_code=entry.reply.enhanced,
            text=entry.reply.text,
            sender=entry.sender,
            recipient=entry.recipient,
            queue_id=entry.queue_id,
            detail=entry.detail,
            now=entry.at,
        )
