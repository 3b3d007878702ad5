"""What a look at a domain's records may have found, made up: for what follows from it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.domains import life, ownership
from franking.domains.checks.finding import Finding, Status
from franking.domains.models import Domain, ZoneEntry
from franking.domains.records import RelayNames, expected_records

GRACE = timedelta(days=4)


def findings(
    session: Session, domain: Domain, relay: RelayNames | None = None, /, **statuses: Status
) -> list[Finding]:
    """Everything is right, save the purposes whose statuses are given."""
    keys = ownership.keys_of(session, domain)
    return [
        Finding(record, statuses.get(record.purpose, "verified"))
        for record in expected_records(domain, keys, relay)
    ]


def look(
    session: Session,
    domain: Domain,
    now: datetime,
    relay: RelayNames | None = None,
    /,
    **statuses: Status,
) -> None:
    """As if the DNS had been asked: what was found, and what follows."""
    life.apply(session, domain, findings(session, domain, relay, **statuses), now, GRACE)


def delegated(session: Session, domain: Domain) -> list[ZoneEntry]:
    """What the relay's own zone has behind the domain's CNAMEs."""
    below = ZoneEntry.name.contains(f".{domain.dkim_token}.")
    return list(session.scalars(select(ZoneEntry).where(below)))
