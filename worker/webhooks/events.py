"""What fills the outbox, beside the loop that empties it: mail's events, and replays.

Both are prepared while no transaction is open, and written in one short transaction a time; any
number of processes may do so at once, and one of them gets through.  Endpoints that take nothing
are looked at here, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from franking import log
from franking.db import Database, utcnow
from franking.webhooks import fanout, replays, retention, standing
from worker.duty import Duty

PAUSE = 0.02  # seconds between two steps: on SQLite each keeps all other writers out
REPLAYS_EVERY = 1.0  # seconds
STANDING_EVERY = 60.0


class Events:
    """`filled` is called whenever something new is in the outbox."""

    def __init__(
        self, database: Database, stop: threading.Event, filled: Callable[[], None]
    ) -> None:
        self._database = database
        self._stop = stop
        self._filled = filled

    def duties(self, every: float) -> list[Duty]:
        """`every`: seconds between looks for new events."""
        return [
            Duty("events for webhooks", self.fan_out, every),
            Duty("replays of webhooks", self.replay, REPLAYS_EVERY),
            Duty("endpoints", self.look, STANDING_EVERY),
        ]

    def fan_out(self) -> None:
        """All there are."""
        more = True
        while more and not self._stop.is_set():
            with self._database.session() as session:
                prepared = fanout.prepare(session, utcnow())
            if prepared is None:
                return
            with self._database.transaction() as session:
                more = fanout.write(session, prepared, utcnow()) and prepared.full
            if prepared.rows:
                self._filled()
            if more:
                self._stop.wait(PAUSE)

    def replay(self) -> None:
        """One step of each."""
        with self._database.session() as session:
            numbers = replays.open_replays(session)
        for number in numbers:
            with self._database.session() as session:
                step = replays.prepare(session, number, utcnow())
            if step is None:
                continue
            with self._database.transaction() as session:
                replays.write(session, step, utcnow())
            self._filled()
            if self._stop.wait(PAUSE):
                return

    def look(self) -> None:
        """Who has taken nothing for long, and what waits for those that are switched off."""
        with self._database.transaction() as session:
            for endpoint in standing.look(session, utcnow()):
                log.endpoint_paused(endpoint.id, endpoint.disabled_reason or "")
        more = True
        while more and not self._stop.wait(PAUSE):
            with self._database.transaction() as session:
                more = retention.give_up(session, utcnow()) >= retention.BATCH
