"""Moves DKIM keys on, and tells the server of the relay's zone: one node does it for all.

Per domain three steps: read what to ask, ask the DNS with no transaction open, write.  A domain
that fails is left alone for an hour, and does not keep the others waiting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from franking import log
from franking.db import Database, utcnow
from franking.dns.answers import Lookup
from franking.domains import publication
from franking.domains.models import Domain
from franking.domains.records import Record
from franking.domains.rotation import steps
from franking.domains.rotation.visibility import sees
from franking.nodes import duties
from franking.reasons import Refused
from franking.settings import Settings

NAME = "dkim"
LEASE = timedelta(minutes=10)
LONGEST = timedelta(minutes=5)  # of one turn; what is left is first in the next one
BATCH = 200  # domains that are read, asked about and written together
REPEAT = timedelta(hours=1)  # after a failure


@dataclass(frozen=True)
class _Asked:
    domain_id: int
    records: Sequence[Record]


class Rotation:
    def __init__(self, database: Database, settings: Settings, lookup: Lookup) -> None:
        self._database = database
        self._settings = settings
        self._lookup = lookup
        self._master_key = settings.master_key_bytes()

    def look(self, now: datetime | None = None) -> int | None:
        """Everything that is due; returns how many domains, None when it is not our turn."""
        at = now or utcnow()
        node = self._settings.node
        with self._database.session() as session:
            if not duties.due(session, NAME, at):
                return None
        with self._database.transaction() as session:
            if not duties.take(session, NAME, node, lease=LEASE, now=at):
                return None
        began, count = utcnow(), 0
        every = timedelta(seconds=self._settings.dkim.every)
        while utcnow() - began < LONGEST and (found := self._batch(at)):
            count += found
        self._publish(at)
        with self._database.transaction() as session:
            duties.finish(session, NAME, node, due_at=at + every)
        return count

    def _batch(self, now: datetime) -> int:
        with self._database.session() as session:
            ids = steps.due(session, now, BATCH)
            asked = [self._questions(session, each, now) for each in ids]
        for each, seen in zip(asked, self._answers(asked), strict=True):
            self._step(each.domain_id, seen, now)
        return len(asked)

    def _questions(self, session: Session, domain_id: int, now: datetime) -> _Asked:
        domain = session.get_one(Domain, domain_id)
        return _Asked(domain_id, steps.questions(session, domain, now, self._settings.dkim))

    def _answers(self, asked: Sequence[_Asked]) -> list[Mapping[Record, bool | None]]:
        records = [record for each in asked for record in each.records]
        with ThreadPoolExecutor(self._settings.dns.concurrency, "dkim") as threads:
            answers = dict(zip(records, threads.map(self._sees, records), strict=True))
        return [{record: answers[record] for record in each.records} for each in asked]

    def _sees(self, record: Record) -> bool | None:
        try:
            return sees(self._lookup, record)
        except Exception as error:
            log.unexpected(f"key record {record.name}", error)
            return None

    def _step(self, domain_id: int, seen: Mapping[Record, bool | None], now: datetime) -> None:
        try:
            with self._database.transaction() as session:
                domain = session.get_one(Domain, domain_id)
                done = steps.step(
                    session, domain, now, own=self._settings.dkim, master_key=self._master_key,
                    seen=seen.get, prefix=self._settings.brand.prefix,
                )  # fmt: skip
            if done:
                log.keys_moved(domain.name, done)
        except SQLAlchemyError as error:
            log.database_trouble(f"keys of domain {domain_id}", error)
            self._postpone(domain_id, now)
        except Exception as error:
            log.unexpected(f"keys of domain {domain_id}", error)
            self._postpone(domain_id, now)

    def _postpone(self, domain_id: int, now: datetime) -> None:
        with self._database.transaction() as session:
            steps.postpone(session, domain_id, now + REPEAT)

    def _publish(self, now: datetime) -> None:
        own = self._settings.dkim
        if not (own.zone and own.update_server):
            return
        try:
            done = publication.publish(self._database, own, now, node=self._settings.node)
        except Refused:
            return  # an operator is doing it by hand
        if done.errors:
            name, error = next(iter(done.errors.items()))
            log.zone_not_told(name, error, len(done.errors))
