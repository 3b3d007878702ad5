"""Permission for reports to leave a domain: the records of the relay's own zone.

A receiver sends reports about example.com to an address elsewhere only when that place agrees:
`example.com._report._dmarc.<reports domain>` must be a TXT record `v=DMARC1` (RFC 7489 §7.1).
Where the domain for reports is in the zone that the relay publishes by itself (`[dkim] zone`),
there is such a record for each customer's domain; elsewhere one wildcard, published by hand, does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.domains import relayzone
from franking.domains.models import Domain, ZoneEntry
from franking.domains.names import within
from franking.domains.records import RelayNames

AGREED = "v=DMARC1"


@dataclass(frozen=True)
class RelayRecord:
    """A record of the operator's own zone; `why` is a sentence."""

    name: str
    type: str
    value: str
    why: str


def name_for(domain_name: str, relay: RelayNames) -> str:
    return f"{domain_name}._report._dmarc.{relay.reports}"


def published_by_us(relay: RelayNames) -> bool:
    """Whether the domain for reports is in the zone that the relay itself writes."""
    return bool(relay.reports and relay.dkim_zone) and within(relay.reports, [relay.dkim_zone])


def agree(session: Session, domain: Domain, relay: RelayNames) -> None:
    """Reports about this domain are welcome here; nothing where that is published by hand."""
    if published_by_us(relay) and domain.removed_at is None:
        relayzone.put(session, name_for(domain.name, relay), AGREED)


def withdraw(session: Session, domain: Domain) -> None:
    """The domain was removed: no reports about it any more, unless another account has it."""
    others = (Domain.name == domain.name) & (Domain.id != domain.id) & Domain.removed_at.is_(None)
    if session.scalar(select(Domain.id).where(others).limit(1)) is not None:
        return
    for name in names_of(session, domain):
        relayzone.withdraw(session, name)


def names_of(session: Session, domain: Domain) -> Sequence[str]:
    """Where the zone says so at present."""
    below = ZoneEntry.name.startswith(f"{domain.name}._report._dmarc.", autoescape=True)
    return session.scalars(select(ZoneEntry.name).where(below).order_by(ZoneEntry.name)).all()


def relay_records(relay: RelayNames, mail_host: str) -> list[RelayRecord]:
    """What the operator publishes by hand so that reports arrive; empty without such a domain.

    `mail_host`: where port 25 of this relay is.
    """
    if not relay.reports:
        return []
    found = [
        RelayRecord(relay.reports, "MX", f"10 {mail_host}.", "Reports are delivered to this relay.")
    ]
    if not published_by_us(relay):
        why = "Receivers send reports about customers' domains here only where this says so."
        found.append(RelayRecord(name_for("*", relay), "TXT", AGREED, why))
    return found
