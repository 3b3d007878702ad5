"""The loop of `franking-worker webhooks`.

One thread speaks to the database: it writes down how deliveries ended, claims what is due and
hands it to the threads that post.  So many outcomes cost one transaction, and none is open while
somebody's server takes its time.  Any number of these processes may run, on any number of nodes.

An endpoint that has not taken a delivery from this process yet, or not the last one, gets one
thread at a time.  All of them together get three quarters of the threads, and those that are known
to be failing one half: however many are dead, the others do not wait for them.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from queue import Empty, SimpleQueue

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from franking import log, sealing
from franking.db import Database, utcnow
from franking.notify import notify
from franking.sealing import SealError
from franking.settings import Settings
from franking.webhooks import endpoints, outbox
from franking.webhooks.models import Endpoint
from franking.webhooks.outbox import Claimed, Outcome
from worker.webhooks import guard
from worker.webhooks.post import Target, post

PATIENCE = 8.0  # seconds that a stop waits for answers; what is broken off is posted again

Job = tuple[Target, Claimed]
Done = tuple[Claimed, Outcome]


class Service:
    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._rules = settings.webhooks
        self._stop = stop
        self._database = Database(settings.database_url)
        self._sealer = sealing.sealer(settings)
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._done: SimpleQueue[Done] = SimpleQueue()
        self._unwritten: list[Done] = []
        self._flying: Counter[int] = Counter()  # endpoint: deliveries that threads have
        self._proven: set[int] = set()  # endpoints that took the last one
        self._failing: set[int] = set()  # of those in `_flying`: failing when they were claimed
        self._threads = [
            threading.Thread(target=self._work, name=f"post-{number}", daemon=True)
            for number in range(self._rules.threads)
        ]

    def run(self) -> None:
        """Until `stop` is set; then what is on its way is finished."""
        for thread in self._threads:
            thread.start()
        notify("READY=1")
        while not self._stop.is_set():
            self._turn()
            notify("WATCHDOG=1")
        self._finish()
        self._database.close()

    def _turn(self) -> None:
        try:
            claimed = self._claim()
        except SQLAlchemyError as error:
            log.database_trouble("webhooks", error)
            claimed = 0
        except Exception as error:
            log.unexpected("webhooks", error)
            claimed = 0
        self._gather(0.0 if claimed else self._rules.poll)
        try:
            self._write()
        except SQLAlchemyError as error:
            log.database_trouble("webhooks", error)
            self._stop.wait(self._rules.poll)
        except Exception as error:
            log.unexpected("webhooks", error)
            self._unwritten.clear()  # their leases end, and they are posted again

    # --- what is due -----------------------------------------------------------------------

    def _claim(self) -> int:
        """Hand out what is due, as far as there are threads for it; returns how many."""
        if self._unwritten or self._flying.total() >= self._rules.threads:
            return 0
        with self._database.session() as session:
            ready = outbox.ready(session, utcnow(), but=self._full())
        plan = self._plan(ready)
        if not plan:
            return 0
        with self._database.transaction() as session:
            jobs = [job for each in plan for job in self._take(session, each, plan[each])]
        for job in jobs:
            self._flying[job[1].endpoint_id] += 1
            self._jobs.put(job)
        self._failing = {each for each in self._flying if ready.get(each, each in self._failing)}
        return len(jobs)

    def _full(self) -> list[int]:
        """Endpoints that have as many threads as they may have."""
        return [
            each
            for each, count in self._flying.items()
            if count >= (self._rules.per_endpoint if each in self._proven else 1)
        ]

    def _plan(self, ready: dict[int, bool]) -> dict[int, int]:
        """How many of each endpoint's deliveries may be begun; `ready` says which are failing."""
        threads = self._rules.threads
        free = threads - self._flying.total()
        unproven = [each for each in self._flying if each not in self._proven]
        room = max(1, threads * 3 // 4) - len(unproven)
        failing_room = max(1, threads // 2) - len(self._failing.intersection(unproven))
        plan: dict[int, int] = {}
        for each in random.sample(sorted(ready), len(ready)):  # else the first would always be
            if each in self._proven:
                count = min(free, self._rules.per_endpoint - self._flying[each])
            else:
                count = min(free, room, failing_room if ready[each] else 1, 1)
                room -= max(0, count)
                failing_room -= max(0, count) if ready[each] else 0
            if count > 0:
                plan[each] = count
                free -= count
        return plan

    def _take(self, session: Session, endpoint_id: int, count: int) -> list[Job]:
        claimed = outbox.claim(session, endpoint_id, utcnow(), count)
        if not claimed:
            return []
        target = self._target(session.get_one(Endpoint, endpoint_id))
        return [(target, each) for each in claimed]

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
        """One thread: jobs in, outcomes out."""
        with guard.session(self._rules) as http:
            while (job := self._jobs.get()) is not None:
                target, claimed = job
                self._done.put((claimed, self._post(http, target, claimed)))

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
        """Wait so long for a first outcome, and take all there are."""
        try:
            self._landed(self._done.get(timeout=patience) if patience else self._done.get_nowait())
            while True:
                self._landed(self._done.get_nowait())
        except Empty:
            pass

    def _landed(self, done: Done) -> None:
        claimed, outcome = done
        self._flying[claimed.endpoint_id] -= 1
        if not self._flying[claimed.endpoint_id]:
            del self._flying[claimed.endpoint_id]
        if outcome.error is None:
            self._proven.add(claimed.endpoint_id)
        else:
            self._proven.discard(claimed.endpoint_id)
        self._unwritten.append(done)

    def _write(self) -> None:
        if not self._unwritten:
            return
        taken = {c.endpoint_id: outcome.error is None for c, outcome in self._unwritten}
        with self._database.transaction() as session:
            for endpoint_id in sorted(taken):
                outbox.standing(session, endpoint_id, taken=taken[endpoint_id], now=utcnow())
            for claimed, outcome in self._unwritten:
                written = outbox.record(session, claimed, outcome, utcnow())
                if written and outcome.gone:
                    log.endpoint_gone(claimed.endpoint_id, outcome.status)
        self._unwritten.clear()

    def _finish(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + PATIENCE
        while self._flying and time.monotonic() < deadline:
            self._gather(0.1)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        try:
            self._write()
        except SQLAlchemyError as error:
            log.database_trouble("webhooks", error)
