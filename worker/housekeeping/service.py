"""The loop of `franking-worker housekeeping`.

Each duty is tried again at the next turn; one that fails does not keep the others from being done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

from sqlalchemy.exc import SQLAlchemyError

from franking import log
from franking.db import Database, utcnow
from franking.nodes import nodes
from franking.notify import notify
from franking.settings import Settings
from worker.housekeeping.condition import measure
from worker.housekeeping.held import Held, Release, postsuper
from worker.housekeeping.purge import purge

PURGE_EVERY = 60.0  # seconds


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
        )
        self._purge_at = 0.0

    def run(self) -> None:
        """Until `stop` is set."""
        notify("READY=1")
        while not self._stop.is_set():
            self.turn()
            notify("WATCHDOG=1")
            self._stop.wait(self._settings.housekeeping.every)
        self._database.close()

    def turn(self) -> None:
        """Everything that is due."""
        self._do(self._report)
        self._do(self._held.look)
        if time.monotonic() >= self._purge_at:
            self._purge_at = time.monotonic() + PURGE_EVERY
            self._do(self._purge)

    def _do(self, duty: Callable[[], object]) -> None:
        if self._stop.is_set():
            return
        try:
            duty()
        except SQLAlchemyError as error:
            log.database_trouble("housekeeping", error)
        except Exception as error:
            log.unexpected("housekeeping", error)

    def _report(self) -> None:
        condition = measure(self._settings.maillog.queue_directory, time.time())
        with self._database.transaction() as session:
            nodes.report(session, self._settings.node, condition, self._settings.overload, utcnow())

    def _purge(self) -> None:
        purge(self._database, self._settings.protection, utcnow())
