"""Moves DKIM keys on, and tells the server of the relay's zone: one node does it for all.

Per domain three steps: read what is needed, ask the DNS and make keys with no transaction open,
write.  On SQLite nobody else can write meanwhile, so each domain has a short transaction of its
own, and after it others get their turn.  A domain that fails is left alone for an hour, and does
not keep the others waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from franking import log
from franking.db import Database, utcnow
from franking.dns.answers import Lookup
from franking.domains import dkim, publication
from franking.domains.models import Domain
from franking.domains.records import Record
from franking.domains.rotation import steps
from franking.domains.rotation.visibility import sees
from franking.nodes import duties
from franking.nodes.models import Duty
from franking.reasons import Refused
from franking.settings import Settings
from worker.dns.watch import Watch

NAME = "dkim"
LEASE = timedelta(minutes=10)
LONGEST = 300.0  # seconds of one turn; what is left is first in the next one
BATCH = 200  # domains that are read, asked about and written together
REPEAT = timedelta(hours=1)  # after a failure
MAKERS = 2  # threads that make keys, which is arithmetic: more would only keep mail waiting
# Seconds between two domains on SQLite: who waits there asks again 1 to 100 ms later.
PAUSE = 0.02


@dataclass(frozen=True)
class _Asked:
    domain_id: int
    preview: steps.Preview


class Rotation:
    """`clock`, `monotonic` and `pause` are the machine's."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        lookup: Lookup,
        *,
        clock: Callable[[], datetime] = utcnow,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._database = database
        self._settings = settings
        self._lookup = lookup
        self._clock = clock
        self._monotonic = monotonic
        self._pause = pause
        self._watch = Watch(clock, monotonic)
        self._master_key = settings.master_key_bytes()
        self._told: dict[str, datetime] = {}  # what the zone's server has said, and when
        self._waits_for_zone: set[int] = set()  # domains whose keys are not in the relay's zone

    def look(self) -> int | None:
        """Everything that is due; returns how many domains, None when it is not our turn."""
        now, node = self._clock(), self._settings.node
        every = timedelta(seconds=self._settings.dkim.every)
        with self._database.session() as session:
            if not duties.due(session, NAME, now, period=every):
                return None
            last = session.get(Duty, NAME)
            believed = self._watch.believed(last.due_at if last else None)
        with self._database.transaction() as session:
            if not duties.take(session, NAME, node, lease=LEASE, now=now, period=every):
                return None
        began, count = self._monotonic(), 0
        while self._monotonic() - began < LONGEST and (found := self._batch(removing=believed)):
            count += found
        self._publish()
        with self._database.transaction() as session:
            duties.finish(session, NAME, node, due_at=self._clock() + every)
        return count

    def _batch(self, *, removing: bool) -> int:
        now = self._clock()
        with self._database.session() as session:
            ids = steps.due(session, now, BATCH)
            asked = [self._preview(session, each, now) for each in ids]
        self._alarm(asked)
        with ThreadPoolExecutor(MAKERS, "keys") as makers:
            wanted = [algorithm for each in asked for algorithm in each.preview.to_make]
            made = makers.map(dkim.generate, wanted)  # begins at once
            answers = self._answers(asked)
            pairs = dkim.Pairs()
            for algorithm, pair in zip(wanted, made, strict=True):
                pairs.put(algorithm, pair)
        for number, (each, seen) in enumerate(zip(asked, answers, strict=True)):
            if number and self._database.engine.dialect.name == "sqlite":
                self._pause(PAUSE)
            self._step(each.domain_id, seen, pairs, removing=removing)
        return len(asked)

    def _preview(self, session: Session, domain_id: int, now: datetime) -> _Asked:
        own = self._settings
        domain = session.get_one(Domain, domain_id)
        return _Asked(domain_id, steps.preview(session, domain, now, own.dkim, own.brand.prefix))

    def _alarm(self, asked: Sequence[_Asked]) -> None:
        """Once, until no key waits for the zone any more."""
        behind = {each.domain_id: each.preview.untold[0] for each in asked if each.preview.untold}
        if behind and not self._waits_for_zone:
            log.zone_behind(next(iter(behind.values())), len(behind))
        self._waits_for_zone.difference_update(each.domain_id for each in asked)
        self._waits_for_zone.update(behind)

    def _answers(self, asked: Sequence[_Asked]) -> list[Mapping[Record, bool | None]]:
        records = [record for each in asked for record in each.preview.questions]
        with ThreadPoolExecutor(self._settings.dns.concurrency, "dkim") as threads:
            answers = dict(zip(records, threads.map(self._sees, records), strict=True))
        return [{record: answers[record] for record in each.preview.questions} for each in asked]

    def _sees(self, record: Record) -> bool | None:
        try:
            return sees(self._lookup, record)
        except Exception as error:
            log.unexpected(f"key record {record.name}", error)
            return None

    def _step(
        self,
        domain_id: int,
        seen: Mapping[Record, bool | None],
        pairs: dkim.Pairs,
        *,
        removing: bool,
    ) -> None:
        own = self._settings
        try:
            with self._database.transaction() as session:
                domain = session.get_one(Domain, domain_id)
                done = steps.step(
                    session, domain, self._clock(), own=own.dkim, master_key=self._master_key,
                    seen=seen.get, prefix=own.brand.prefix, ttl=own.dns.ttl, pairs=pairs,
                    removing=removing,
                )  # fmt: skip
            if done:
                log.keys_moved(domain.name, done)
        except SQLAlchemyError as error:
            log.database_trouble(f"keys of domain {domain_id}", error)
            self._postpone(domain_id)
        except Exception as error:
            log.unexpected(f"keys of domain {domain_id}", error)
            self._postpone(domain_id)

    def _postpone(self, domain_id: int) -> None:
        with self._database.transaction() as session:
            steps.postpone(session, domain_id, self._clock() + REPEAT)

    def _publish(self) -> None:
        own = self._settings.dkim
        if not (own.zone and own.update_server):
            return
        try:
            done = publication.publish(self._database, own, self._clock(), node=self._settings.node)
        except Refused:
            return  # an operator is doing it by hand
        self._complain(done.errors)

    def _complain(self, errors: Mapping[str, str]) -> None:
        """Of each trouble once an hour: it is tried again every few seconds."""
        now = self._clock()
        self._told = {said: at for said, at in self._told.items() if now - REPEAT < at <= now}
        for error in set(errors.values()) - self._told.keys():
            names = [name for name, said in errors.items() if said == error]
            log.zone_not_told(names[0], error, len(names))
            self._told[error] = now
