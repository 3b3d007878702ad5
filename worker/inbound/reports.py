"""Mail to the address in a customer's DMARC record: one aggregate report."""

from __future__ import annotations

from datetime import datetime

from franking import log
from franking.db import Database
from franking.domains.dmarc import newcomers, sources, stages, store
from franking.domains.dmarc.reports import Limits, read_report
from franking.domains.records import RelayNames
from franking.settings import Settings
from worker.inbound.maildir import Mail


class Reports:
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._own = settings.dmarc
        self._relay = RelayNames.of(settings)
        self._limits = Limits(longest=settings.dmarc.longest_report)

    def take(self, mail: Mail, now: datetime) -> None:
        """Store it, once however often it comes; raises Unreadable."""
        with self._database.session() as session:
            domain = store.domain_of(session, mail.local_part)
            if domain is None:
                log.report_dropped(mail.recipient, "nobody has this address any more")
                return
            own = store.own_of(session, domain, self._relay)
        report = read_report(mail.data, self._limits)  # takes long, so outside a transaction
        named = sources.named(report.rows, own)
        with self._database.transaction() as session:
            domain = store.domain_of(session, mail.local_part)
            if domain is None or not store.keep(session, domain, report, named, now):
                return
            newcomers.tell(session, domain, now)
            stages.announce(session, domain, now, self._own, self._relay)
        log.report_stored(domain.name, report.org_name, report.messages)
