"""The loop of `franking-worker housekeeping`.

Each duty is tried again at its next time; one that fails does not keep the others from being done.
Those that wait for others' servers, or read for long, have threads of their own.
"""

from __future__ import annotations

import time
from datetime import timedelta
from threading import Event

from franking.db import Database, utcnow
from franking.nodes import nodes
from franking.notify import notify
from franking.settings import Settings
from worker.duty import Duty, beside
from worker.housekeeping import alerts, ledger
from worker.housekeeping.condition import measure
from worker.housekeeping.held import Held, Release, deletion, postsuper
from worker.housekeeping.mail import Mailing
from worker.housekeeping.metrics import served
from worker.housekeeping.month import Month
from worker.housekeeping.purge import purge
from worker.housekeeping.retention import Keeping
from worker.housekeeping.topup import EVERY as TOPUP_EVERY
from worker.housekeeping.topup import Topup

PURGE_EVERY = 60.0  # seconds
LEDGER_EVERY = 60.0  # seconds between looks whether the hour is over
RETENTION_EVERY = 60.0  # seconds between looks whether the hour is over
MONTH_EVERY = 60.0  # seconds between looks whether a new month has begun


class Service:
    def __init__(self, settings: Settings, stop: Event, *, release: Release | None = None) -> None:
        self._settings = settings
        self._stop = stop
        self._database = Database(settings.database_url)
        own = settings.maillog
        self._held = Held(
            self._database,
            settings.node,
            own.queue_directory,
            release or postsuper(own.config_directory),
            delete=deletion(own.config_directory),
        )
        every = settings.housekeeping.alerts_every
        self._duties = [
            Duty("condition", self._report),
            Duty("held mail", self._held.look),
            Duty("alerts", self._alert, every),
        ]
        mailing = Mailing(self._database, settings)
        month = Month(self._database, settings.node, settings.invoices, stop)
        self._beside = [
            Duty("notices", mailing.look, settings.notices.every),
            Duty("ledger", self._check_ledger, LEDGER_EVERY),
            Duty("month", month.look, MONTH_EVERY),
            Duty("old rows", self._purge, PURGE_EVERY),
            Duty("retention", Keeping(self._database, settings.node, stop).look, RETENTION_EVERY),
            Duty("payments", Topup(self._database, settings).look, TOPUP_EVERY),
        ]

    def run(self) -> None:
        """Until `stop` is set."""
        with served(self._database, self._settings), beside(self._beside, self._stop):
            notify("READY=1")
            while not self._stop.is_set():
                self.turn()
                notify("WATCHDOG=1")
                self._stop.wait(self._settings.housekeeping.every)
        self._database.close()

    def turn(self) -> None:
        """Everything that is due, save what has a thread of its own."""
        for duty in self._duties:
            if not self._stop.is_set():
                duty.turn()

    def _report(self) -> None:
        condition = measure(self._settings.maillog.queue_directory, time.time())
        with self._database.transaction() as session:
            nodes.report(session, self._settings.node, condition, self._settings.overload, utcnow())

    def _purge(self) -> None:
        reports = timedelta(days=self._settings.dmarc.keep_days)
        own = self._settings.protection
        purge(self._database, own, utcnow(), reports, stopped=self._stop.is_set)

    def _alert(self) -> None:
        every = timedelta(seconds=self._settings.housekeeping.alerts_every)
        alerts.look(self._database, self._settings.node, every)

    def _check_ledger(self) -> None:
        ledger.check(self._database, self._settings.node)
