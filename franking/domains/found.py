"""What the last look at a domain's records has found, as it is kept in `dns_check`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.db import Database
from franking.domains import keys
from franking.domains.models import DkimKey, DnsCheck, Domain
from franking.domains.records import Record, RelayNames, expected_records

if TYPE_CHECKING:
    from franking.domains.checks import Finding


@dataclass(frozen=True)
class Shown:
    """A record that is expected, and what the last look has found; `not_started` before it."""

    record: Record
    status: str = "not_started"
    fault: str | None = None
    found: tuple[str, ...] = ()
    advice: str = ""
    seen_at: datetime | None = None
    checked_at: datetime | None = None


def statuses(session: Session, domain: Domain, relay: RelayNames) -> list[Shown]:
    """Every record that is expected, in order."""
    records = expected_records(domain, keys.keys_of(session, domain), relay)
    rows = _rows(session, domain)
    return [shown(record, rows.get((record.purpose, record.name))) for record in records]


def shown(record: Record, row: DnsCheck | None) -> Shown:
    if row is None:
        return Shown(record)
    found = tuple(row.found)
    return Shown(record, row.status, row.fault, found, row.advice, row.seen_at, row.checked_at)


def write(session: Session, domain: Domain, findings: Sequence[Finding], now: datetime) -> None:
    """Rows of what is not expected any more go."""
    rows = _rows(session, domain)
    for finding in findings:
        key = finding.record.purpose, finding.record.name
        row = rows.pop(key, None)
        if row is None:
            row = DnsCheck(domain_id=domain.id, purpose=key[0], name=key[1])
            session.add(row)
        row.status = finding.status
        row.fault = finding.fault
        row.found = list(finding.found)
        row.advice = finding.advice
        row.checked_at = now
        if finding.status == "verified":
            row.seen_at = row.seen_at or now
    for gone in rows.values():
        session.delete(gone)


def _rows(session: Session, domain: Domain) -> dict[tuple[str, str], DnsCheck]:
    rows = session.scalars(select(DnsCheck).where(DnsCheck.domain_id == domain.id))
    return {(row.purpose, row.name): row for row in rows}


class Others:
    """What a check may ask about the keys of other domains (`franking.domains.checks.Others`)."""

    def __init__(self, database: Database, account_id: int, domain_id: int) -> None:
        self._database = database
        self._account_id = account_id
        self._domain_id = domain_id

    def key_owner(self, public_key: str) -> str | None:
        query = (
            select(Domain.account_id)
            .join(DkimKey, DkimKey.domain_id == Domain.id)
            .where(DkimKey.public_key == public_key, Domain.id != self._domain_id)
        )
        with self._database.session() as session:
            owner = session.scalar(query.limit(1))
        if owner is None:
            return None
        return "another domain" if owner == self._account_id else "another account"
