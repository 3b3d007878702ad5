"""The loop of `franking-worker dns`: domains that are due are looked at (`rechecks`).

What else has to do with the DNS has a thread of its own beside it.  Any number of these processes
may run, on any number of nodes: whose turn it is, the database says.
"""

from __future__ import annotations

from threading import Event

from franking import log
from franking.db import Database
from franking.dns.answers import Lookup
from franking.dns.lookups import Resolvers
from franking.notify import notify
from franking.settings import Settings
from worker.dns.deliverability import LOOK as DELIVERABILITY_EVERY
from worker.dns.deliverability import Deliverability
from worker.dns.rechecks import Rechecks
from worker.dns.rotation import Rotation
from worker.duty import Duty, beside


class Service:
    def __init__(self, settings: Settings, stop: Event, *, lookup: Lookup | None = None) -> None:
        self._stop = stop
        self._database = Database(settings.database_url)
        asking = lookup or Resolvers(settings.dns)
        self._rechecks = Rechecks(self._database, settings, asking, stop)
        rotation = Rotation(self._database, settings, asking)
        deliverability = Deliverability(self._database, settings, asking)
        self._beside = [
            Duty("rotation of keys", rotation.look, settings.dkim.every),
            Duty("deliverability", deliverability.look, DELIVERABILITY_EVERY),
        ]

    def run(self) -> None:
        """Until `stop` is set."""
        with beside(self._beside, self._stop):
            notify("READY=1")
            while not self._stop.is_set():
                self._turn()
                notify("WATCHDOG=1")
            self._rechecks.finish()
        self._database.close()

    def _turn(self) -> None:
        try:
            self._rechecks.turn()
        except Exception as error:
            log.unexpected("dns", error)
            self._stop.wait(1.0)
