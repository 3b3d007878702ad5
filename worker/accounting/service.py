"""The loop of `franking-worker accounting`: files at the end of each period, users at any time.

It runs as root where SFTP is offered: sshd chroots only into folders that are root's.  One process
cuts at a time; several may run where `accounting.directory` is one storage for all of them.
"""

from __future__ import annotations

from datetime import timedelta
from threading import Event

from franking.accounting import extrausers
from franking.accounting.cutting import Cutter, begun_at
from franking.db import Database, utcnow
from franking.nodes import duties
from franking.notify import notify
from franking.settings import Settings, SettingsError
from worker.duty import Duty

EVERY = 1.0  # seconds between looks whether a period is over
USERS_EVERY = 5.0  # seconds after which a new key works at the latest
NAME = "accounting log"
LEASE = timedelta(minutes=5)  # until another process goes on; two at once do no harm


class Service:
    def __init__(self, settings: Settings, stop: Event) -> None:
        self._rules = settings.accounting
        if self._rules.directory is None:
            raise SettingsError("accounting.directory is not set: there is nothing to do here")
        self._node = settings.node
        self._stop = stop
        self._database = Database(settings.database_url)
        self._cutter = Cutter(self._database, self._rules, self._rules.directory)
        self._duties = [Duty(NAME, self._cut)]
        if self._rules.sftp_host:
            self._duties.append(Duty("users of the accounting log", self._sync, USERS_EVERY))

    def run(self) -> None:
        """Until `stop` is set."""
        notify("READY=1")
        while not self._stop.is_set():
            self.turn()
            notify("WATCHDOG=1")
            self._stop.wait(EVERY)
        self._database.close()

    def turn(self) -> None:
        """Everything that is due.  Never raises."""
        for duty in self._duties:
            duty.turn()

    def _cut(self) -> None:
        now = utcnow()
        boundary = begun_at(self._rules, now)
        period = timedelta(minutes=self._rules.minutes)
        if not duties.begin(self._database, NAME, self._node, lease=LEASE, now=now, period=period):
            return
        self._cutter.round(boundary, now)
        with self._database.transaction() as session:
            duties.finish(session, NAME, self._node, due_at=boundary + period)

    def _sync(self) -> None:
        with self._database.session() as session:
            extrausers.sync(session, self._rules)
