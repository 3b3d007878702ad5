"""Keeps what the plans keep, and frees the space of the rest: once an hour, by one node for all
(rules: `franking.mail.retention`, `franking.partitions`).

Rows go in batches, with a pause after each: on SQLite one writes at a time.  What is not finished
within `LONGEST` goes on at the next turn.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event

from franking import log, partitions
from franking.db import Database, utcnow
from franking.mail import retention
from franking.mail.retention import Kept
from franking.nodes import duties

NAME = "retention"
EVERY = timedelta(hours=1)
LEASE = timedelta(minutes=50)
LONGEST = timedelta(minutes=40)
ANALYSE = timedelta(days=1)
MESSAGES = 100  # of one transaction; of more at once PostgreSQL would read whole months
EVENTS = 500
PAUSE = 0.02  # seconds


class Keeping:
    def __init__(
        self, database: Database, node: str, stop: Event, clock: Callable[[], datetime] = utcnow
    ) -> None:
        self._database = database
        self._node = node
        self._stop = stop
        self._clock = clock

    def look(self) -> None:
        """Nothing when it is another node's turn."""
        began = self._clock()
        if not self._takes(NAME, began, EVERY):
            return
        made = partitions.make_ahead(self._database, began)
        months = self._drop_months(began)
        rows = self._delete_rows(began)
        while self._database.shrink() and self._may_go_on(began):
            pass
        if self._takes("analyse", began, ANALYSE):
            partitions.analyse(self._database)
            self._finish("analyse", began + ANALYSE)
        log.retention(made, months, rows, (self._clock() - began).total_seconds())
        self._finish(NAME, began + EVERY)

    def _drop_months(self, now: datetime) -> int:
        dropped = 0
        for table in partitions.TABLES:
            with self._database.session() as session:
                months = retention.outdated_months(session, table, now)
            for month in months:
                if table == "message":
                    with partitions.at_length(self._database) as session:
                        retention.forget_held(session, month)
                dropped += partitions.drop(self._database, table, month)
        return dropped

    def _delete_rows(self, now: datetime) -> int:
        with self._database.session() as session:
            accounts = retention.of_accounts(session)
        return sum(
            self._delete(work, batch, kept, now)
            for work, batch in (
                (retention.delete_messages, MESSAGES),
                (retention.delete_events, EVENTS),
            )
            for kept in accounts
        )

    def _delete(self, work: Callable[..., int], batch: int, kept: Kept, now: datetime) -> int:
        gone = 0
        while self._may_go_on(now):
            with self._database.transaction() as session:
                count = work(session, kept, now, batch)
            gone += count
            if count < batch:
                break
            self._stop.wait(PAUSE)
        return gone

    def _may_go_on(self, began: datetime) -> bool:
        return not self._stop.is_set() and self._clock() - began < LONGEST

    def _takes(self, name: str, now: datetime, period: timedelta) -> bool:
        return duties.begin(self._database, name, self._node, lease=LEASE, now=now, period=period)

    def _finish(self, name: str, due_at: datetime) -> None:
        with self._database.transaction() as session:
            duties.finish(session, name, self._node, due_at=due_at)
