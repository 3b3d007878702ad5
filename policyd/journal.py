"""What policyd writes to the database: refusals and uses, after the answer was given.

A thread of its own takes them from a bounded queue, as many in one transaction as there are: a
slow or absent database delays no answer, and what cannot be written is counted in the log and
dropped.  `refused`, `used` and `greeted` never block and never fail; only the event loop's thread
calls them, so what they remember needs no lock.

Tallies wait as numbers, not as entries: a flood of forged bounces must not fill the queue.
Refusals are capped per account and minute: a client in a loop must not fill the database.  Postfix
asks again when the connection broke before the answer, so the same question (`Refusal.once`) is
recorded once.

The EHLO name is not in the auth protocol, and the secret is not in the policy protocol: what joins
them is that a client's RCPT soon follows its AUTH.  Two clients of one credential, at the same
moment from one address with different secrets, may be taken for each other until their next use.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from franking import log
from franking.accounts import networks, uses
from franking.db import Database
from franking.mail import cap, events
from franking.mail.replies import Reply
from franking.nodes import tallies
from policyd.memory import Recent

LONGEST_QUEUE = 2_000
LARGEST_BATCH = 200
ATTEMPTS = 2  # each waits up to LOCK_TIMEOUT of franking.db
USE_SECONDS = 60.0  # between two notes of the same client's use
MOST_CLIENTS = 100_000  # remembered for that
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
    """A login from this address with the secret that ends so."""

    credential_id: int
    ip: str | None
    at: datetime
    secret_hint: str
    listener: str = ""


@dataclass(frozen=True)
class Greeting:
    """What a logged-in client called itself; `secret_hint` None when its login was long ago."""

    credential_id: int
    ip: str
    helo: str
    at: datetime
    secret_hint: str | None


class Counted:
    """Tallies are waiting to be written."""


Entry = Refusal | Use | Greeting | Counted


def _turn(entry: Entry) -> int:
    """Rows of credentials are updated in one order by all nodes, so that two cannot deadlock."""
    return 0 if isinstance(entry, Refusal | Counted) else entry.credential_id


class Journal:
    def __init__(
        self, database: Database, node: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._node = node
        self._queue: queue.Queue[Entry | None] = queue.Queue(LONGEST_QUEUE)
        self._cap = cap.PerMinute(cap.REFUSALS, clock)
        self._seen = Recent(size=10_000, seconds=600, clock=clock)
        self._noted = Recent(size=MOST_CLIENTS, seconds=USE_SECONDS, clock=clock)
        self._hints: OrderedDict[tuple[int, str | None], str] = OrderedDict()
        self._counts: Counter[tallies.Name] = Counter()
        self._counting = threading.Lock()
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
        client = (use.credential_id, use.ip)
        self._hints[client] = use.secret_hint
        self._hints.move_to_end(client)
        if len(self._hints) > MOST_CLIENTS:
            self._hints.popitem(last=False)
        if self._noted.first((*client, use.secret_hint)):
            self._put(use)

    def greeted(self, credential_id: int, client_ip: str, helo: str, at: datetime) -> None:
        """For each RCPT of a logged-in client: sessions may be long, and it is a use too."""
        client_ip = str(networks.address(client_ip) or client_ip)
        hint = self._hints.get((credential_id, client_ip))
        if self._noted.first((credential_id, client_ip, hint, helo)):
            self._put(Greeting(credential_id, client_ip, helo, at, hint))

    def counted(self, name: tallies.Name) -> None:
        with self._counting:
            first = not self._counts
            self._counts[name] += 1
        if first:
            self._put(Counted())

    def close(self) -> None:
        """Write what is waiting; gives up on a database that does not answer."""
        for account_id, count in self._cap.capped(now=True):
            log.refusals_capped(account_id, count)
        try:
            self._queue.put(None, timeout=STOP_SECONDS)
        except queue.Full:
            return
        self._thread.join(STOP_SECONDS)

    def _put(self, entry: Entry) -> None:
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

    def _write(self, entries: Sequence[Entry]) -> None:
        with self._counting:  # from here on, more of them are another entry
            counts, self._counts = self._counts, Counter()
        for _ in range(ATTEMPTS):
            try:
                with self._database.transaction() as session:
                    for entry in sorted(entries, key=_turn):
                        self._record(session, entry)
                    for name in sorted(counts):  # last: `franking.nodes.tallies`
                        tallies.add(session, self._node, name, counts[name])
                return
            except SQLAlchemyError as error:
                trouble: Exception = error
                log.database_trouble("journal", error)
            except Exception as error:  # a bug must not end the thread
                trouble = error
                log.unexpected("journal", error)
        log.journal_dropped(len(entries), type(trouble).__name__)

    def _record(self, session: Session, entry: Entry) -> None:
        if isinstance(entry, Counted):
            return
        if isinstance(entry, Use):
            uses.logged_in(
                session,
                entry.credential_id,
                secret_hint=entry.secret_hint,
                client_ip=entry.ip,
                listener=entry.listener,
                at=entry.at,
            )
            return
        if isinstance(entry, Greeting):
            uses.greeted(
                session,
                entry.credential_id,
                secret_hint=entry.secret_hint,
                client_ip=entry.ip,
                helo=entry.helo,
                at=entry.at,
            )
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
