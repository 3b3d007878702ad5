"""The loop of `franking-worker webhooks`.

One thread speaks to the database about deliveries: in one transaction it writes down how they
ended, and claims what is due for the threads that post.  So many outcomes cost one transaction, and
none is open while somebody's server takes its time.  Others fill the outbox (`events`).  Any number
of these processes may run, on any number of nodes.

An endpoint that has not taken a delivery from this process yet, or not the last one, gets one
thread at a time.  Those, and the ones that are slow, together get three quarters of the threads;
those that are known to be failing one half, and so do the slow ones: however many are dead, the
others do not wait for them.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from datetime import timedelta
from queue import Empty, SimpleQueue

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from franking import log, sealing
from franking.db import Database, utcnow
from franking.notify import notify
from franking.sealing import SealError
from franking.settings import Settings
from franking.webhooks import endpoints, queue, standing
from franking.webhooks.models import Endpoint
from franking.webhooks.queue import Claimed, Done, Outcome
from worker.duty import beside
from worker.webhooks import guard
from worker.webhooks.chunk import Chunk
from worker.webhooks.events import Events
from worker.webhooks.post import Target, post

PATIENCE = 8.0  # seconds that a stop waits for answers; what is broken off is posted again
PACE = 0.05  # seconds from one transaction to the next: on SQLite it keeps other writers out
DEPTH = 16  # deliveries that are claimed for one thread of a fast endpoint
SLICE = 0.5  # seconds that a thread stays at one endpoint, if others wait
FAST = 1.0  # seconds for an answer; slower ones may not have most of the threads
MARGIN = 5.0  # seconds between the end of a try and of the lease


class Service:
    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._rules = settings.webhooks
        self._stop = stop
        self._database = Database(settings.database_url)
        self._sealer = sealing.sealer(settings)
        self._jobs: SimpleQueue[Chunk | None] = SimpleQueue()
        # An outcome; a thread that is free again; None: there is something new to be claimed.
        self._done: SimpleQueue[Done | Chunk | None] = SimpleQueue()
        self._unwritten: list[Done] = []
        self._unposted: list[Claimed] = []
        self._flying: Counter[int] = Counter()  # endpoint: threads that are at it
        self._took: dict[int, float] = {}  # endpoints that took the last one: seconds
        self._failing: set[int] = set()  # of those in `_flying`: failing when they were claimed
        self._events = Events(self._database, stop, lambda: self._done.put(None))
        self._threads = [
            threading.Thread(target=self._work, name=f"post-{number}", daemon=True)
            for number in range(self._rules.threads)
        ]

    def run(self) -> None:
        """Until `stop` is set; then what is on its way is finished."""
        for thread in self._threads:
            thread.start()
        with beside(self._events.duties(self._rules.poll), self._stop):
            notify("READY=1")
            while not self._stop.is_set():
                self._turn()
                notify("WATCHDOG=1")
            self._finish()
        self._database.close()

    def _turn(self) -> None:
        began = time.monotonic()
        try:
            self._exchange()
        except SQLAlchemyError as error:
            log.database_trouble("webhooks", error)
            self._stop.wait(self._rules.poll)
        except Exception as error:
            log.unexpected("webhooks", error)
            self._unwritten.clear()  # their leases end, and they are posted again
            self._unposted.clear()
        self._gather(self._rules.poll)
        self._stop.wait(max(0.0, PACE - (time.monotonic() - began)))
        self._gather(0.0)

    # --- the database ----------------------------------------------------------------------

    def _exchange(self) -> None:
        """Write down what came of it, and hand out what is due, as far as there are threads."""
        plan, ready = self._plan()
        if not (plan or self._unwritten or self._unposted):
            return
        with self._database.transaction() as session:
            self._write(session)
            chunks = [self._claim(session, each, plan[each]) for each in plan]
        self._unwritten.clear()
        self._unposted.clear()
        for chunk in filter(None, chunks):
            self._flying[chunk.endpoint_id] += chunk.threads
            for _ in range(chunk.threads):
                self._jobs.put(chunk)
        self._failing = {each for each in self._flying if ready.get(each, each in self._failing)}

    def _write(self, session: Session) -> None:
        """Nothing is forgotten before it is committed.  Endpoints come before deliveries."""
        if self._unwritten:
            written = queue.record(session, self._unwritten, utcnow())
            for endpoint in standing.gone(session, written, utcnow()):
                log.endpoint_paused(endpoint.id, endpoint.disabled_reason or "")
        if self._unposted:
            queue.release(session, self._unposted)

    def _claim(self, session: Session, endpoint_id: int, threads: int) -> Chunk | None:
        count = threads * (DEPTH if self._took.get(endpoint_id, FAST) < FAST else 1)
        claimed = queue.claim(session, endpoint_id, utcnow(), count)
        if not claimed:
            return None
        target = self._target(session.get_one(Endpoint, endpoint_id))
        return Chunk(endpoint_id, target, claimed, threads)

    # --- who gets how many threads -----------------------------------------------------------

    def _plan(self) -> tuple[dict[int, int], dict[int, bool]]:
        """How many threads may begin at which endpoints; and which of them are failing."""
        threads = self._rules.threads
        free = threads - self._flying.total()
        if free <= 0:
            return {}, {}
        with self._database.session() as session:
            ready = queue.ready(session, utcnow(), but=self._full())
        rooms = self._rooms()
        plan: dict[int, int] = {}
        for each in random.sample(sorted(ready), len(ready)):  # else the first would always be
            kinds = self._kinds(each, failing=ready[each])
            most = self._most(each) - self._flying[each]
            count = min(free, most, *(rooms[kind] for kind in kinds))
            if count > 0:
                plan[each] = count
                free -= count
                for kind in kinds:
                    rooms[kind] -= count
        return plan, ready

    def _rooms(self) -> dict[str, int]:
        """How many more threads there are for each kind of endpoint that may make others wait."""
        threads = self._rules.threads
        rooms = {"doubtful": threads * 3 // 4, "failing": threads // 2, "slow": threads // 2}
        rooms = {kind: max(1, room) for kind, room in rooms.items()}
        for each, count in self._flying.items():
            for kind in self._kinds(each, failing=each in self._failing):
                rooms[kind] -= count
        return rooms

    def _kinds(self, endpoint_id: int, *, failing: bool) -> list[str]:
        took = self._took.get(endpoint_id)
        if took is None:
            return ["doubtful", "failing"] if failing else ["doubtful"]
        return [] if took < FAST else ["doubtful", "slow"]

    def _most(self, endpoint_id: int) -> int:
        return self._rules.per_endpoint if endpoint_id in self._took else 1

    def _full(self) -> list[int]:
        """Endpoints that have as many threads as they may have."""
        return [each for each, count in self._flying.items() if count >= self._most(each)]

    def _target(self, endpoint: Endpoint) -> Target:
        try:
            return Target(
                endpoint.url, tuple(endpoints.secrets_of(endpoint, self._sealer, utcnow()))
            )
        except SealError as error:
            log.unexpected(f"secret of endpoint {endpoint.id}", error)
            return Target(endpoint.url, ())

    # --- posting ---------------------------------------------------------------------------

    def _work(self) -> None:
        """One thread: chunks in, outcomes out."""
        patience = timedelta(seconds=self._rules.timeout + MARGIN)
        with guard.session(self._rules) as http:
            while (chunk := self._jobs.get()) is not None:
                until = time.monotonic() + SLICE
                while (claimed := chunk.next(utcnow(), patience)) is not None:
                    outcome = self._post(http, chunk.target, claimed)
                    if outcome.error is not None:
                        chunk.stop()
                    self._done.put((claimed, outcome))
                    if self._stop.is_set() or time.monotonic() >= until:
                        break
                self._done.put(chunk)

    def _post(self, http: guard.Session, target: Target, claimed: Claimed) -> Outcome:
        if not target.secrets:
            return Outcome(None, "the secret cannot be opened; rotate it")
        try:
            return post(http, target, claimed, timeout=self._rules.timeout, now=utcnow())
        except Exception as error:
            log.unexpected(f"webhook {claimed.webhook_id}", error)
            return Outcome(None, "trouble of ours")

    # --- what came of it -------------------------------------------------------------------

    def _gather(self, patience: float) -> None:
        """Wait so long for the first thing to happen, and take all there is."""
        try:
            self._happened(
                self._done.get(timeout=patience) if patience else self._done.get_nowait()
            )
            while True:
                self._happened(self._done.get_nowait())
        except Empty:
            pass

    def _happened(self, what: Done | Chunk | None) -> None:
        if isinstance(what, Chunk):
            self._free(what)
        elif what is not None:
            claimed, outcome = what
            if outcome.error is None:
                self._took[claimed.endpoint_id] = outcome.exchange.took if outcome.exchange else 0.0
            else:
                self._took.pop(claimed.endpoint_id, None)
            self._unwritten.append(what)

    def _free(self, chunk: Chunk) -> None:
        """One thread is done with it; the last one leaves what was not posted."""
        chunk.threads -= 1
        self._flying[chunk.endpoint_id] -= 1
        if not self._flying[chunk.endpoint_id]:
            del self._flying[chunk.endpoint_id]
        if not chunk.threads:
            self._unposted += chunk.rest()

    def _finish(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + PATIENCE
        while self._flying and time.monotonic() < deadline:
            self._gather(0.1)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._gather(0.0)
        try:
            with self._database.transaction() as session:
                self._write(session)
        except SQLAlchemyError as error:
            log.database_trouble("webhooks", error)
