"""Settles the reservations that the log did not: the queue decides, and then the log once more.

Every `reconcile_every` seconds, for reservations older than `reconcile_after`:

    queue file committed                    captured
    queue file being written                wait
    queue file left by a killed cleanup  ┐  second look, below, then: unlink, voided
    no queue file                        ┘  second look, below, then: voided,
                                            or unknown when the log has a gap after the reservation

Mail that waits for money (`franking.mail.holding`) is looked after in the same way, only that it
may stay in the hold queue: anywhere else it is on its way without us and is charged.

A message may have been delivered and removed while its lines are still on their way to us.  So
before the second look we log a line of our own through postlogd (`postlog`) and wait until the
follower has read it: by then it has read everything that was logged before, too.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from franking import log
from franking.db import Database
from franking.money import reservations
from franking.money.settling import Settled
from worker.maillog.queuefile import Queue, State
from worker.maillog.settle import load_position, settle

PATIENCE = timedelta(minutes=10)  # then a probe was lost (a gap) and another one is sent
LIMIT = 1000  # reservations of each kind a look
HELD = "queue: hold"  # nothing odd: the log has no line for a message that goes there at once


class Doubt(NamedTuple):
    """A reservation without a committed queue file, at the first look."""

    queue_id: str
    account_id: int
    reserved_at: datetime
    state: str


class Reconciler:
    """`probe(token)` logs a line that the parser gives back as `Probe`, or says False."""

    def __init__(
        self, database: Database, node: str, queue: Queue, after: float,
        probe: Callable[[str], bool],
    ) -> None:  # fmt: skip
        self._database = database
        self._node = node
        self._queue = queue
        self._after = timedelta(seconds=after)
        self._probe = probe
        self._token: str | None = None
        self._asked_at: datetime | None = None
        self._doubts: list[Doubt] = []
        self._waiting_since: datetime | None = None  # the latest that the last look came to

    def look(self, now: datetime) -> None:
        """The first look; call it every `reconcile_every` seconds."""
        if self._asked_at is not None and now - self._asked_at < PATIENCE:
            return
        committed: dict[str, tuple[Settled, str]] = {}
        doubts = []
        for row in self._stale(now):
            state, path = self._queue.look(row.queue_id)
            if state is State.COMMITTED and path is not None:
                if row.state != "waiting" or self._queue.name(path) != "hold":
                    committed[row.queue_id] = ("captured", f"queue: {path.parent.name}")
            elif state is not State.WRITING:
                doubts.append(row)
        self._settle(committed, now)
        if doubts and self._probe(token := secrets.token_hex(16)):
            self._doubts, self._token, self._asked_at = doubts, token, now

    def confirm(self, token: str, now: datetime) -> None:
        """The follower has read this token: everything logged before the first look is settled."""
        if token != self._token:
            return
        doubts, self._doubts = self._doubts, []
        self._token = self._asked_at = None
        verdicts: dict[str, tuple[Settled, str]] = {}
        gap_until = self._gap_until()
        for doubt in doubts:
            verdict = self._verdict(doubt, gap_until)
            if verdict is not None:
                verdicts[doubt.queue_id] = verdict
        moved = self._settle(verdicts, now)
        for doubt in doubts:
            if doubt.queue_id in moved and verdicts[doubt.queue_id][0] == "unknown":
                log.reservation_unknown(doubt.queue_id, doubt.account_id)

    def _verdict(self, doubt: Doubt, gap_until: datetime | None) -> tuple[Settled, str] | None:
        state, path = self._queue.look(doubt.queue_id)
        if state is State.COMMITTED and path is not None:
            if doubt.state == "waiting" and self._queue.name(path) == "hold":
                return None
            return "captured", f"queue: {path.parent.name}"
        if state is State.ORPHAN and path is not None:
            path.unlink(missing_ok=True)
            return "voided", "queue: file left uncommitted by a killed cleanup"
        if state is State.WRITING:
            return None
        if gap_until is not None and doubt.reserved_at <= gap_until:
            return "unknown", f"no queue file, and the log has a gap until {gap_until:%F %T} UTC"
        return "voided", "no queue file, and no line in a log without a gap"

    def _stale(self, now: datetime) -> list[Doubt]:
        with self._database.session() as session:
            before = now - self._after
            rows = [*reservations.open_before(session, self._node, before, LIMIT)]
            since = self._waiting_since
            waiting = reservations.waiting_before(session, self._node, before, since, LIMIT)
            # They may wait for days: the next look goes on where this one stops.
            self._waiting_since = waiting[-1].reserved_at if len(waiting) == LIMIT else None
            return [
                Doubt(row.queue_id, row.account_id, row.reserved_at, row.state)
                for row in [*rows, *waiting]
            ]

    def _gap_until(self) -> datetime | None:
        with self._database.session() as session:
            position = load_position(session, self._node)
            return position.gap_until if position is not None else None

    def _settle(self, changes: dict[str, tuple[Settled, str]], now: datetime) -> set[str]:
        if not changes:
            return set()
        with self._database.transaction() as session:
            states = settle(session, self._node, changes, now)
        moved = {q for q, state in states.items() if state in {"reserved", "waiting"}}
        for queue_id in sorted(moved):
            if changes[queue_id][1] != HELD:
                log.reservation_reconciled(queue_id, *changes[queue_id])
        return moved
