"""Asks every hour how the Internet sees this node, and raises the alarm once when that is worse.

Each node does it for itself: nobody else knows its name and its certificates.  What another node's
ports look like from outside, this one tells (`reachable`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from franking import log
from franking.db import Database, utcnow
from franking.deliverability import relay, results
from franking.dns.answers import Lookup
from franking.domains import lost
from franking.settings import Settings

LOOK = 15.0  # seconds between looks whether the hour is over
EVERY = timedelta(hours=1)
FIRST = timedelta(minutes=1)  # after the start: the listeners may not be there before


class Deliverability:
    def __init__(
        self,
        database: Database,
        settings: Settings,
        lookup: Lookup,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self._database = database
        self._settings = settings
        self._lookup = lookup
        self._clock = clock
        self._due_at = clock() + FIRST

    def look(self) -> list[results.Change] | None:
        """What has changed; None when it is not time yet."""
        now = self._clock()
        if now < self._due_at:
            return None
        self._due_at = now + EVERY
        node = self._settings.node
        with self._database.session() as session:
            peers = results.peers(session, node, now)
            zone = lost.known(session, self._settings.dkim.zone, now)
        found = relay.examine(self._settings, self._lookup, now, peers, zone)
        found += relay.look_at_others(self._settings, peers)
        with self._database.transaction() as session:
            changes = results.store(session, node, found, now)
        for change in changes:
            _tell(change)
        return changes


def _tell(change: results.Change) -> None:
    finding = change.finding
    if change.worse:
        log.deliverability_worse(finding.name, finding.subject, finding.status, finding.detail)
    else:
        log.deliverability_better(finding.name, finding.subject, finding.detail)
